# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Network of one batch slot, queued by the runtime or launched as a CUDA graph."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError
from .buffers import TensorBuffer
from .cuda_errors import make_engine_error
from .cuda_graph import capture_graph, CudaGraph
from .device_engine import DeviceEngine
from .device_lock import is_build_in_progress

__all__ = ['BUILD_IN_PROGRESS', 'NetworkRunner', 'capture_graphs']

# The only temporary reason.
BUILD_IN_PROGRESS = 'another engine was being built for this GPU; configure again'

_Outputs = list[npt.NDArray[Any]]
# A graph launches the same kernels, but some of them add in no fixed order.
_RELATIVE, _ABSOLUTE = 1e-2, 1e-4


class NetworkRunner:
    """
    Runner of an engine on the memory of one batch slot. The engine's context must be current.

    :param engine: engine that runs the network.
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
        Queue the network in the engine's stream; returns at once.

        :param count: number of images.
        :return: shapes of the outputs, which may be those of a larger batch.
        :raises EngineError: if the runtime or the driver reports an error.
        """
        for size, (graph, shapes) in self._graphs.items():
            if size >= count:
                graph.launch(self._engine.stream)
                return shapes
        return self._engine.enqueue(count, self._address, self._outputs)

    def capture(self, counts: Sequence[int]) -> None:
        """
        Capture the network for some batch sizes; other sizes use the next larger graph.

        :param counts: batch sizes, ascending.
        :raises EngineError: if the network cannot be captured, or memory runs out.
        """
        self.drop_graphs()
        for count in counts:
            shapes: list[tuple[int, ...]] = []

            def work(count: int = count, shapes: list[tuple[int, ...]] = shapes) -> None:
                shapes[:] = self._engine.enqueue(
                    count, self._address, self._outputs, capturing=True
                )

            # A run without capture first: a runtime cannot set up a new batch size during capture.
            work()
            self._engine.stream.synchronize()
            self._graphs[count] = (capture_graph(self._engine.stream, work), shapes)

    def run_again(self, count: int) -> None:
        """
        Run without a graph and wait, so that the runtime frees what it kept during the captures.

        :param count: number of images.
        :raises EngineError: if the network cannot be run.
        """
        try:
            self._engine.enqueue(count, self._address, self._outputs)
        except EngineError:
            # CUDA reports the error of a failed capture once more at the next call.
            self._engine.enqueue(count, self._address, self._outputs)
        self._engine.stream.synchronize()

    def drop_graphs(self) -> None:
        """Free the graphs, which must not be running."""
        graphs, self._graphs = self._graphs, {}
        for graph, _ in graphs.values():
            graph.close()

    def load(self, batch: npt.NDArray[Any]) -> None:
        """
        Queue copies that fill the input with a batch and the outputs with NaN.

        :param batch: page-locked, of padded_batch_size() images.
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
    Capture the networks of an engine's slots as CUDA graphs, if these give the same outputs.

    The caller holds the device's lock (:func:`.device_lock.device_lock`).

    After all captures, the outputs of each graph are compared with those of a run without a graph
    on the same noise, since a runtime may reuse memory that an earlier capture depends on.

    :param engine: engine that runs the network.
    :param runners: runners of its slots.
    :return: '' if the graphs are used, else the reason why they are not.
    :raises EngineError: if the network cannot be run at all.
    """
    if is_build_in_progress(engine.device_id):
        return BUILD_IN_PROGRESS
    counts = _counts(engine)
    shape = engine.batch_shape(engine.padded_batch_size())
    spec = engine.input_spec
    try:
        noise = engine.cuda.pagelocked_empty((math.prod(shape),), spec.dtype)
    except engine.cuda.Error as error:
        return f'no page-locked memory for the comparison: {error}'
    try:
        random = np.random.default_rng(0).random(noise.size, np.float32)
        noise[:] = random if spec.dtype.kind == 'f' else random * 255
        reason = _capture(engine.cuda.Error, runners, counts, noise)
    except engine.cuda.Error as error:
        raise make_engine_error('CUDA failed in the first runs of the network', error) from error
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
    """Capture and compare; return '' or the reason, see :func:`capture_graphs`."""
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
        # Also if memory runs out: a graph needs memory of its own.
        reason = str(error)
    runners[0].run_again(counts[0])
    for runner in runners if not reason else ():
        for count in counts:
            runner.load(noise)
            if not _agree(runner.read(runner.enqueue(count)), expected[count]):
                reason = f'its outputs for {count} images differ from those without a graph'
    return reason


def _counts(engine: DeviceEngine) -> list[int]:
    """
    Return the batch sizes to capture: the smallest and the full batch.

    Each graph needs memory of its own, so that the sizes in between run as a full batch.
    """
    return sorted({engine.smallest_batch, engine.padded_batch_size()})


def _agree(found: _Outputs, expected: _Outputs) -> bool:
    """Return whether outputs are equal except for the order of additions."""
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape or not np.allclose(
            one.astype(np.float64), other, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True
        ):
            return False
    return True
