# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The network of one slot: queued call by call, or as a CUDA graph where that gives the same."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError
from .buffers import TensorBuffer
from .cuda_graph import capture_graph, CudaGraph
from .device_engine import DeviceEngine
from .device_lock import is_build_in_progress

__all__ = ['BEING_BUILT', 'NetworkRunner', 'capture_graphs']

# The reason that passes.
BEING_BUILT = 'another engine was being built for this GPU; configure again'

_Outputs = list[npt.NDArray[Any]]
# A graph repeats the very kernels, but some of them add in no fixed order.
_RELATIVE, _ABSOLUTE = 1e-2, 1e-4


class NetworkRunner:
    """
    Runs an engine on the memory of one slot. The engine's context has to be current.

    :param input_address: device memory for the engine's padded_batch_size() images.
    :param outputs: from the engine's make_outputs(); the caller frees them.
    """

    def __init__(
        self, engine: DeviceEngine, input_address: int, outputs: Sequence[TensorBuffer]
    ) -> None:
        self._engine = engine
        self._address = input_address
        self._outputs = tuple(outputs)
        self._graphs: dict[int, tuple[CudaGraph, list[tuple[int, ...]]]] = {}

    def enqueue(self, count: int) -> list[tuple[int, ...]]:
        """
        Queue the network in the engine's stream and return at once.

        :return: the shapes of the outputs, which may be those of a larger batch.
        :raises EngineError: if the runtime or the driver refuses.
        """
        for size, (graph, shapes) in self._graphs.items():
            if size >= count:
                graph.launch(self._engine.stream)
                return shapes
        return self._engine.enqueue(count, self._address, self._outputs)

    def capture(self, counts: Sequence[int]) -> None:
        """
        Record the network for some numbers of images; others take the next larger record.

        :param counts: ascending.
        :raises EngineError: if it cannot be recorded, or there is no memory for it.
        """
        self.drop_graphs()
        for count in counts:
            shapes: list[tuple[int, ...]] = []

            def work(count: int = count, shapes: list[tuple[int, ...]] = shapes) -> None:
                shapes[:] = self._engine.enqueue(
                    count, self._address, self._outputs, capturing=True
                )

            # Once for nothing: what a runtime sets up for a size it cannot while it is recorded.
            work()
            self._engine.stream.synchronize()
            self._graphs[count] = (capture_graph(self._engine.stream, work), shapes)

    def run_again(self, count: int) -> None:
        """
        Run call by call and wait, so that the runtime does what it put off while it was recorded.

        :raises EngineError: if the network cannot be run.
        """
        try:
            self._engine.enqueue(count, self._address, self._outputs)
        except EngineError:
            # Of a record that failed, CUDA tells the next call once more.
            self._engine.enqueue(count, self._address, self._outputs)
        self._engine.stream.synchronize()

    def drop_graphs(self) -> None:
        """Free the records, once nothing of them runs any more."""
        graphs, self._graphs = self._graphs, {}
        for graph, _ in graphs.values():
            graph.close()

    def load(self, batch: npt.NDArray[Any]) -> None:
        """
        Fill the input, and the outputs with NaN, in the order of the engine's stream.

        :param batch: page-locked, for all images that there is room for.
        """
        stream = self._engine.stream
        self._engine.cuda.memcpy_htod_async(self._address, batch, stream)
        for buffer in self._outputs:
            buffer.clear(stream, value=0xFF)

    def read(self, shapes: Sequence[tuple[int, ...]]) -> _Outputs:
        """Wait for the outputs and return copies of them."""
        stream = self._engine.stream
        views = [buffer.view(shape) for buffer, shape in zip(self._outputs, shapes, strict=True)]
        for buffer, view in zip(self._outputs, views, strict=True):
            buffer.download(view, stream)
        stream.synchronize()
        return [view.copy() for view in views]


def capture_graphs(engine: DeviceEngine, runners: Sequence[NetworkRunner]) -> str:
    """
    Let the networks of an engine's slots run as CUDA graphs, if these give what calls give.

    Call it in the device's turn, as :func:`.turns.device_lock` says.

    Each record is compared with a run of the same noise once all are made: a runtime may use
    again what an earlier record relies on.

    :return: '' where they do now, else the reason why they do not.
    :raises EngineError: if the network cannot even be run.
    """
    if is_build_in_progress(engine.device_id):
        return BEING_BUILT
    counts = _counts(engine)
    shape = engine.batch_shape(engine.padded_batch_size())
    spec = engine.input_spec
    try:
        noise = engine.cuda.pagelocked_empty((math.prod(shape),), spec.dtype)
    except engine.cuda.Error as error:
        return f'no page-locked memory to try it: {error}'
    try:
        random = np.random.default_rng(0).random(noise.size, np.float32)
        noise[:] = random if spec.dtype.kind == 'f' else random * 255
        reason = _capture(engine.cuda.Error, runners, counts, noise)
    except engine.cuda.Error as error:
        raise EngineError(f'CUDA failed while the network was tried: {error}') from error
    finally:
        noise.base.free()
    if reason:
        for runner in runners:
            runner.drop_graphs()
        engine.release_captures()
    return reason


def _capture(
    cuda_error: type[Exception],
    runners: Sequence[NetworkRunner],
    counts: Sequence[int],
    noise: npt.NDArray[Any],
) -> str:
    """Return '' or the reason, as :func:`capture_graphs` says."""
    expected: dict[int, _Outputs] = {}
    for runner in runners:
        for count in counts:
            runner.load(noise)
            expected[count] = runner.read(runner.enqueue(count))
    reason = ''
    try:
        for runner in runners:
            runner.capture(counts)
    except (EngineError, cuda_error) as error:
        # Also for want of memory: a record takes some of its own.
        reason = str(error)
    runners[0].run_again(counts[0])
    for runner in runners if not reason else ():
        for count in counts:
            runner.load(noise)
            if not _agree(runner.read(runner.enqueue(count)), expected[count]):
                reason = f'its outputs for {count} images differ from those of single calls'
    return reason


def _counts(engine: DeviceEngine) -> list[int]:
    """
    Return the numbers of images to record: one, or as few as there may be, and a full batch.

    Each takes memory of its own, so the numbers between run as a full batch.
    """
    return sorted({engine.smallest_batch, engine.padded_batch_size()})


def _agree(found: _Outputs, expected: _Outputs) -> bool:
    """Return whether outputs are the same but for the order of sums."""
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape or not np.allclose(
            one.astype(np.float64), other, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True
        ):
            return False
    return True
