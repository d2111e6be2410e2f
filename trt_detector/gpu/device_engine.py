# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine on a CUDA device offers beside run(): work on device memory, in its stream."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from ..engine import InferenceEngine
from .buffers import TensorBuffer

__all__ = ['DeviceEngine']


class DeviceEngine(InferenceEngine):
    """An engine whose batch may come from device memory and stay there."""

    @property
    def works_on_device(self) -> bool:
        """Return whether :meth:`make_outputs` and :meth:`enqueue` can be used."""
        return True

    @property
    @abstractmethod
    def device_id(self) -> int:
        """Return the number of the GPU."""

    @property
    @abstractmethod
    def cuda(self) -> Any:
        """Return pycuda.driver; the primary context is current in the engine's thread."""

    @property
    @abstractmethod
    def stream(self) -> Any:
        """Return the stream that the network runs in."""

    def get_room(self) -> int:
        """Return how many images the input memory of :meth:`enqueue` has to hold."""
        return self.get_batch_size()

    @abstractmethod
    def make_outputs(self, *, mapped: bool = False) -> list[TensorBuffer]:
        """
        Return a further set of output buffers for a full batch, in the order of output_specs.

        The caller frees them.

        :param mapped: see :class:`.buffers.TensorBuffer`.
        :raises EngineError: if the memory is not to be had.
        """

    @abstractmethod
    def enqueue(
        self, count: int, input_address: int, outputs: Sequence[TensorBuffer]
    ) -> list[tuple[int, ...]]:
        """
        Run the network in the order of :attr:`stream` and return at once.

        :param count: images of :meth:`get_input_shape`'s size.
        :param input_address: device memory for :meth:`get_room` images; it may hold any
            number behind the images.
        :param outputs: from :meth:`make_outputs`; written on the device only.
        :return: the shapes of the outputs. The first dimension can be larger than count where the
            network takes no batch as small.
        :raises EngineError: if the runtime refuses.
        """

    @abstractmethod
    def check_thread(self) -> None:
        """
        Refuse the wrong thread.

        :raises EngineError: if this is not the thread that made the engine.
        """
