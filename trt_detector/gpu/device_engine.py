# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine on a CUDA device offers beside run(): work on device memory, in its stream."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from ..engine import InferenceEngine
from .buffers import TensorBuffer
from .context import ContextScope
from .device_lock import device_lock

__all__ = ['DeviceEngine']


class DeviceEngine(InferenceEngine):
    """
    An engine whose batch may come from device memory and stay there.

    Its constructor sets the attributes below.
    """

    _device_id: int
    _cuda: Any
    _stream: Any
    _scope: ContextScope

    @property
    def works_on_device(self) -> bool:
        """Return whether :meth:`make_outputs` and :meth:`enqueue` can be used."""
        return True

    @property
    def device_id(self) -> int:
        """Return the number of the GPU."""
        return self._device_id

    @property
    def cuda(self) -> Any:
        """Return pycuda.driver; the primary context is current in the engine's thread."""
        return self._cuda

    @property
    def stream(self) -> Any:
        """Return the stream that the network runs in."""
        return self._stream

    @property
    @abstractmethod
    def smallest_batch(self) -> int:
        """Return how many images the network takes at least; fewer run as that many."""

    def padded_batch_size(self) -> int:
        """Return how many images the input memory of :meth:`enqueue` has to hold."""
        return max(self.get_batch_size(), self.smallest_batch)

    def make_outputs(self, *, mapped: bool = False) -> list[TensorBuffer]:
        """
        Return a further set of output buffers for a full batch, in the order of output_specs.

        The caller frees them.

        :param mapped: see :class:`.buffers.TensorBuffer`.
        :raises EngineError: if the memory is not to be had.
        """
        self.check_thread()
        made: list[TensorBuffer] = []
        with ExitStack() as undo:
            for index in range(len(self.output_specs)):
                made.append(self._make_output(index, mapped=mapped))
                undo.callback(made[-1].free)
            undo.pop_all()
        return made

    @abstractmethod
    def _make_output(self, index: int, *, mapped: bool) -> TensorBuffer:
        """Return a further buffer for one output, as :meth:`make_outputs` says."""

    @abstractmethod
    def enqueue(
        self,
        count: int,
        input_address: int,
        outputs: Sequence[TensorBuffer],
        *,
        capturing: bool = False,
    ) -> list[tuple[int, ...]]:
        """
        Queue the network in :attr:`stream`; returns at once where the runtime can.

        :param count: images of :meth:`get_input_shape`'s size.
        :param input_address: device memory for :meth:`padded_batch_size` images; it may hold any
            number behind the images.
        :param outputs: from :meth:`make_outputs`; written on the device only.
        :param capturing: the stream is being recorded, or about to be: nothing may wait for it,
            and later runs of another number of images must leave alone what this one uses.
            Only for :attr:`smallest_batch` and :meth:`padded_batch_size` images.
        :return: the shapes of the outputs. The first dimension can be larger than count where the
            network takes no batch as small.
        :raises EngineError: if the runtime refuses.
        """

    def device_lock(self) -> AbstractContextManager[None]:
        """Return the turn of its device, as :mod:`.turns` says."""
        return device_lock(self._device_id)

    def release_captures(self) -> None:
        """Free what enqueue() made for records; none of them is launched any more."""

    def check_thread(self) -> None:
        """
        Refuse the wrong thread.

        :raises EngineError: if this is not the thread that made the engine.
        """
        self._scope.check_thread()
