# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Interface of engines that run on device memory, in a CUDA stream."""

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
    Engine whose inputs and outputs may stay in device memory.

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
        """Return the CUDA bindings; the primary context is current in the engine's thread."""
        return self._cuda

    @property
    def stream(self) -> Any:
        """Return the stream that the network runs in."""
        return self._stream

    @property
    @abstractmethod
    def smallest_batch(self) -> int:
        """Return the minimum number of images per run; smaller batches are padded to it."""

    def padded_batch_size(self) -> int:
        """Return the number of images that the input buffer of :meth:`enqueue` must hold."""
        return max(self.get_batch_size(), self.smallest_batch)

    def make_outputs(self, *, mapped: bool = False) -> list[TensorBuffer]:
        """
        Allocate another set of output buffers for a full batch, in the order of output_specs.

        The caller frees them.

        :param mapped: see :class:`.buffers.TensorBuffer`.
        :raises EngineError: if the memory cannot be allocated.
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
        """Allocate another buffer for one output; see :meth:`make_outputs`."""

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
        Queue the network in :attr:`stream`; returns at once if the runtime can.

        :param count: number of images of :meth:`get_input_shape`'s size.
        :param input_address: device memory for :meth:`padded_batch_size` images; the contents
            after the images do not matter.
        :param outputs: from :meth:`make_outputs`; written on the device only.
        :param capturing: the stream is being captured, or about to be: nothing may wait for it,
            and later runs of another batch size must not change the resources of this one.
            Only for :attr:`smallest_batch` and :meth:`padded_batch_size` images.
        :return: shapes of the outputs. The first dimension is larger than count if the network
            does not accept a batch that small.
        :raises EngineError: if the runtime reports an error.
        """

    def device_lock(self) -> AbstractContextManager[None]:
        """Return the lock of its device; see :mod:`.device_lock`."""
        return device_lock(self._device_id)

    def release_captures(self) -> None:
        """Free the resources of captured runs, whose graphs are not launched any more."""

    def check_thread(self) -> None:
        """
        Check that this is the thread that created the engine.

        :raises EngineError: if it is not.
        """
        self._scope.check_thread()
