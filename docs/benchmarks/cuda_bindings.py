# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the host time of single CUDA calls with the installed CUDA bindings.

It measures the calls of one batch (events, copies, a kernel launch), and the launch and capture of
a CUDA graph with ctypes, as the package does it, and with cuda.bindings if it is installed.

    python3 docs/benchmarks/cuda_bindings.py --json cuda_bindings.json

It needs a GPU and pycuda or cuda-bindings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing, ExitStack
import importlib
import json
from pathlib import Path
import statistics
import time
from typing import Any

import numpy as np
from trt_detector.gpu.buffers import TensorBuffer
from trt_detector.gpu.context import ContextScope, describe_bindings, load_cuda, make_stream
from trt_detector.gpu.cuda_graph import capture_graph
from trt_detector.gpu.device_lock import device_lock
from trt_detector.gpu.kernels.letterbox import LetterboxJob, LetterboxKernel
from trt_detector.preprocess import InputLayout, Letterbox, PreprocessSpec
from trt_detector.values.tensor_spec import TensorSpec

SIDE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='output file for the raw figures')
    arguments = parser.parse_args()
    figures = measure(calls=200, rounds=25)
    for name, microseconds in figures['median_us'].items():
        print(f'{figures["bindings"]:24} {name:28} {microseconds:8.2f} us')
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


def measure(*, calls: int, rounds: int) -> dict[str, Any]:
    """
    Measure all calls.

    :param calls: calls per round, between two synchronizations of the stream.
    :param rounds: rounds, of which the median is taken.
    """
    cuda = load_cuda()
    with closing(ContextScope(cuda, 0)):
        median = _measure_calls(cuda, calls, rounds)
    return {'bindings': describe_bindings(cuda), 'median_us': median}


def _measure_calls(cuda: Any, calls: int, rounds: int) -> dict[str, float]:
    """Return the median time of each call in microseconds; the context is current."""
    stream = make_stream(cuda)
    shape = (1, 3, SIDE, SIDE)
    event = cuda.Event(cuda.event_flags.BLOCKING_SYNC | cuda.event_flags.DISABLE_TIMING)
    event.record(stream)
    layout = InputLayout.of(TensorSpec('images', shape, np.dtype(np.float32)))
    letterbox = Letterbox((1, 1), (SIDE, SIDE), (1, 1), 0, 0)
    with ExitStack() as resources:
        buffer = TensorBuffer(cuda, 'image', np.dtype(np.float32), shape)
        resources.callback(buffer.free)
        view = buffer.view(shape)
        view[:] = 0
        kernel = LetterboxKernel(cuda, PreprocessSpec(), layout, (SIDE, SIDE), (9, 0))
        resources.callback(kernel.close)
        address = buffer.address
        jobs = [LetterboxJob(address, address, 0, 3, 'bgr8', letterbox, False)]
        graphs = resources.enter_context(closing(_Graphs(stream, buffer)))
        work: dict[str, Callable[[], object]] = {
            'record an event': lambda: event.record(stream),
            'wait for an event (stream)': lambda: stream.wait_for_event(event),
            'upload 12 KiB': lambda: buffer.upload(view, stream),
            'download 12 KiB': lambda: buffer.download(view, stream),
            'fill 12 KiB': lambda: buffer.clear(stream),
            'launch the letterbox kernel': lambda: kernel.launch(jobs, stream),
            **graphs.get_work(),
        }
        return {name: _time(call, stream, calls, rounds) for name, call in work.items()}


class _Graphs:
    """CUDA graphs of one fill, captured with ctypes and with cuda.bindings."""

    def __init__(self, stream: Any, buffer: TensorBuffer) -> None:
        self._stream = stream
        self._buffer = buffer
        self._graph = self._capture()
        self._driver: Any = None
        self._executable: Any = None
        try:
            self._driver = importlib.import_module('cuda.bindings.driver')
        except ImportError:
            return
        self._executable = self._capture_with_bindings()

    def get_work(self) -> dict[str, Callable[[], object]]:
        """Return the calls to measure."""
        stream = self._stream
        work: dict[str, Callable[[], object]] = {
            'launch a graph, ctypes': lambda: self._graph.launch(stream),
            'capture a graph, ctypes': lambda: self._capture().close(),
        }
        if self._executable is not None:
            launch, executable = self._driver.cuGraphLaunch, self._executable
            destroy = self._driver.cuGraphExecDestroy
            work |= {
                'launch a graph, bindings': lambda: launch(executable, stream.handle),
                'capture a graph, bindings': lambda: destroy(self._capture_with_bindings()),
            }
        return work

    def close(self) -> None:
        """Free the graphs."""
        self._graph.close()
        if self._executable is not None:
            self._driver.cuGraphExecDestroy(self._executable)

    def _fill(self) -> None:
        """Queue the work of the graphs."""
        self._buffer.clear(self._stream)

    def _capture(self) -> Any:
        """Capture with ctypes."""
        with device_lock(0):
            return capture_graph(self._stream, self._fill)

    def _capture_with_bindings(self) -> Any:
        """Capture with cuda.bindings; check only that the graph exists."""
        driver, handle = self._driver, self._stream.handle
        with device_lock(0):
            mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
            driver.cuStreamBeginCapture(handle, mode)
            self._fill()
            status, graph = driver.cuStreamEndCapture(handle)
            if status:
                raise RuntimeError(f'cuStreamEndCapture failed: {status}')
            _, executable = driver.cuGraphInstantiate(graph, 0)
            driver.cuGraphDestroy(graph)
            return executable


def _time(call: Callable[[], object], stream: Any, calls: int, rounds: int) -> float:
    """Return the median host time of a call in microseconds."""
    times = []
    for _ in range(rounds):
        stream.synchronize()
        begun = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - begun) * 1e6 / calls)
    stream.synchronize()
    return statistics.median(times)


if __name__ == '__main__':
    main()
