# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The interface between the detector and an inference runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import EngineError
from .values.candidates import Candidates
from .values.engine_info import EngineInfo
from .values.tensor_spec import TensorSpec

__all__ = [
    'BatchSlot',
    'HostSlot',
    'InferenceEngine',
]


class InferenceEngine(ABC):
    """
    A network that is loaded and ready to run.

    An engine belongs to the thread that made it: make, use and close it there. Only run() may be
    called in other threads, as :meth:`get_parallel_runs` says.
    """

    @property
    @abstractmethod
    def info(self) -> EngineInfo:
        """Return the description of what runs."""

    @property
    @abstractmethod
    def input_spec(self) -> TensorSpec:
        """Return the image input, dynamic dimensions as None."""

    @property
    @abstractmethod
    def output_specs(self) -> tuple[TensorSpec, ...]:
        """Return the outputs in the order in which run() gives them."""

    @abstractmethod
    def get_input_shape(self) -> tuple[int, int]:
        """Return (height, width) of the input in pixels."""

    def get_input_shape_range(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the smallest and the largest (height, width) that set_input_shape() takes."""
        return self.get_input_shape(), self.get_input_shape()

    def set_input_shape(self, size: tuple[int, int]) -> None:
        """
        Change what :meth:`get_input_shape` returns, for a network that leaves it open.

        :param size: (height, width) in pixels.
        :raises EngineError: if the engine cannot run at it.
        """
        self._check_input_size(size)

    def _check_input_size(self, size: tuple[int, int]) -> None:
        """
        Refuse a size that set_input_shape() does not take.

        :raises EngineError: with the size and the range.
        """
        smallest, largest = self.get_input_shape_range()
        if any(not a <= b <= c for a, b, c in zip(smallest, size, largest, strict=True)):
            raise EngineError(
                f'the input {self.input_spec} cannot run at {size[1]}x{size[0]} pixels; it takes '
                f'{smallest[1]}x{smallest[0]} to {largest[1]}x{largest[0]}: set input_shape, or '
                'min_shape and max_shape'
            )

    @abstractmethod
    def get_batch_size(self) -> int:
        """Return the largest number of images that one run() takes."""

    @abstractmethod
    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """
        Run the network and wait for its outputs.

        :param batch: C-contiguous array of :attr:`input_spec`'s dtype and layout, first dimension
            1 to :meth:`get_batch_size`.
        :return: one array per output, first dimension that of the batch. They may share the
            engine's buffers: they are valid until the next run(). They are new arrays if the
            engine has parallel runs.
        :raises EngineError: if the batch does not fit or the runtime fails.
        """

    def get_parallel_runs(self) -> int:
        """Return the number of run() calls that may be in progress at once, in any threads."""
        return 1

    @abstractmethod
    def close(self) -> None:
        """Free everything; calling it again does nothing."""

    def __enter__(self) -> InferenceEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm_up(self, iterations: int) -> None:
        """
        Run on zeros, one image and a full batch, so that no live image waits for initialization.

        :param iterations: runs of each size; 0 does nothing.
        """
        shape = self.batch_shape(self.get_batch_size())
        zeros = np.zeros(shape, self.input_spec.dtype)
        for count in sorted({1, shape[0]}):
            for _ in range(iterations):
                self.run(zeros[:count])

    def interrupt(self) -> None:
        """
        Make the run in progress and all further ones fail, if the engine can; any thread may.

        Meant for an engine that is closed next. Engines on a GPU ignore it: they run for
        milliseconds.
        """
        return

    def device_lock(self) -> AbstractContextManager[None]:
        """Return a lock that keeps other threads from opening engines on the same device."""
        return nullcontext()

    def batch_shape(self, count: int) -> tuple[int, ...]:
        """Return the shape of a batch of count images with the dynamic dimensions filled in."""
        height, width = self.get_input_shape()
        if self.input_spec.channels_last:
            return (count, height, width, self.input_spec.shape[3] or 3)
        return (count, self.input_spec.shape[1] or 3, height, width)

    def _check_batch(self, batch: npt.NDArray[Any]) -> None:
        """
        Refuse a batch that the network cannot take.

        :raises EngineError: with both shapes or both dtypes named.
        """
        expected = self.batch_shape(self.get_batch_size())
        if batch.dtype != self.input_spec.dtype:
            raise EngineError(
                f'batch has dtype {batch.dtype}; input {self.input_spec} takes '
                f'{self.input_spec.dtype}'
            )
        if batch.ndim != 4 or not 1 <= batch.shape[0] <= expected[0]:
            raise EngineError(
                f'batch has shape {batch.shape}; expected 1 to {expected[0]} images of '
                f'{expected[1:]}'
            )


class BatchSlot(ABC):
    """
    Memory of one batch in flight.

    An engine with several slots works on one while the host fills and reads the others. A slot
    belongs to the engine's thread. The order of calls is targets(), start(), optionally wait(),
    finish().
    """

    @abstractmethod
    def targets(self, count: int) -> Sequence[Any]:
        """Return the targets of count images, for the preprocessor of this engine to fill."""

    @abstractmethod
    def start(self, count: int, minimum_score: float) -> None:
        """
        Run the network on the first count images; return at once if the engine is asynchronous.

        :param minimum_score: predictions below it may be left out of the candidates.
        :raises EngineError: if the runtime refuses.
        """

    @abstractmethod
    def wait(self) -> None:
        """
        Wait until the network has run, so that another batch can begin before finish().

        :raises EngineError: if the runtime fails.
        """

    @abstractmethod
    def finish(self) -> list[npt.NDArray[Any]]:
        """
        Wait for the outputs.

        :return: as :meth:`InferenceEngine.run`; valid until the slot is used again.
        :raises EngineError: if the runtime fails.
        """

    def get_candidates(self) -> list[Candidates] | None:
        """
        Return the candidates of each image in the batch that finished last.

        :return: None if finish() gave the whole outputs. Otherwise the candidates replace them;
            they are valid until the slot is used again.
        """
        return None

    def time_stages(self) -> bool:
        """Time the stages on the device from now on; return whether the device can."""
        return False

    def get_stage_ms(self) -> Mapping[str, float]:
        """Return the milliseconds per stage of the batch that finished last."""
        return {}

    @abstractmethod
    def abandon(self) -> None:
        """Discard the batch, after waiting until nothing of it runs."""

    @abstractmethod
    def close(self) -> None:
        """Free the slot; calling it again does nothing."""


class HostSlot(BatchSlot):
    """
    Slot of an engine that takes its batch from host memory.

    :param engine: runs the batch.
    :param threads: run the engine from start() on; if None, the thread that calls finish() does.
    """

    def __init__(self, engine: InferenceEngine, threads: Executor | None = None) -> None:
        self._engine = engine
        self._threads = threads
        self._run: Future[list[npt.NDArray[Any]]] | None = None
        shape = engine.batch_shape(engine.get_batch_size())
        self._batch = np.zeros(shape, engine.input_spec.dtype)
        self._count = 0

    @property
    def batch(self) -> npt.NDArray[Any]:
        """Return the array of a full batch."""
        return self._batch

    def targets(self, count: int) -> Sequence[Any]:
        """Return the arrays of count images."""
        return list(self._batch[:count])

    def start(self, count: int, minimum_score: float) -> None:  # noqa: ARG002 - all outputs are read
        """Start the run in another thread, or store the number of images for finish()."""
        self._count = count
        if self._threads is not None:
            self._run = self._threads.submit(self._engine.run, self._batch[:count])

    def wait(self) -> None:
        """Wait until a run in another thread has ended; finish() raises its error."""
        if self._run is not None:
            wait([self._run])

    def finish(self) -> list[npt.NDArray[Any]]:
        """Wait for the outputs of the run in another thread, or run the engine."""
        run, self._run = self._run, None
        if run is not None:
            return run.result()
        return self._engine.run(self._batch[: self._count])

    def abandon(self) -> None:
        """Wait until nothing runs."""
        self.wait()
        self._run = None

    def close(self) -> None:
        """Wait until nothing runs; the arrays go with the slot."""
        self.abandon()
