# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs: capture, refused captures, and equal results with and without graphs."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import gc
import itertools
from pathlib import Path
import threading
import time
from typing import Any
from unittest import mock

from doubles.graph_double import GraphDriverDouble
from doubles.machine import machine
import pytest
from support import device_memory
from support.detectors import (
    assert_same,
    collect_all,
    config,
    device,
    on_cpu,
    pictures,
    require_cuda_provider,
)
from support.images import make_image
from support.requirements import require_cuda
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.gpu import device_lock as locks
from trt_detector.gpu.context import ContextScope
from trt_detector.gpu.device_lock import build_in_progress, device_lock, is_build_in_progress
from trt_detector.gpu.device_slot import DeviceSlot
from trt_detector.trt.builder import plan_job
from trt_detector.trt.execution_context import ExecutionContext
from trt_detector.values.engine_info import CudaGraphUse


def test_graphs_give_the_detections_of_the_cpu(kind: str, model: Path, tmp_path: Path) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with device(kind) as (cuda, backend):
        values = config(model, tmp_path, backend=backend, batch_size=5)
        with create_detector(values) as detector:
            assert detector.info.cuda_graph == CudaGraphUse(used=True)
            # For one image and for five per slot.
            assert len(cuda.executables) == 2 * detector.depth
            before = cuda.graph_launches
            found = [
                detections
                for count in (1, 3, 2)
                for detections in detector.detect(images[:count]).detections
            ]
            assert cuda.graph_launches == before + 3
        gc.collect()
        cuda.assert_clean()
    for one, other in zip(found, [images[0], *images[:3], *images[:2]], strict=True):
        assert_same(one, expected[images.index(other)])


@pytest.mark.parametrize(
    ('fault', 'value', 'reason'),
    [
        ('graph_node', 'host', 'calls host functions'),
        ('graph_node', 'host to device', 'copies from or to host memory'),
        ('graph_runs', 0, 'differ from those without a graph'),
    ],
)
def test_graph_with_other_outputs_or_host_nodes_is_not_used(
    fault: str, value: Any, reason: str, kind: str, model: Path, tmp_path: Path
) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with device(kind) as (cuda, backend):
        setattr(cuda, fault, value)
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            assert reason in str(detector.info.cuda_graph)
            launches = cuda.graph_launches
            found = collect_all(detector, images)
            assert cuda.graph_launches == launches
        gc.collect()
        cuda.assert_clean()
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize('call', ['cuStreamBeginCapture_v2', 'cuGraphInstantiateWithFlags'])
def test_driver_without_stream_capture_runs_without_graphs(
    call: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image('bgr8', 90, 70)
    (expected,) = on_cpu(model, tmp_path, [image])
    monkeypatch.delattr(GraphDriverDouble, call)
    with device('onnxruntime') as (cuda, backend):
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            reason = str(detector.info.cuda_graph)
            assert f'this driver has no {call}' in reason
            assert_same(detector.detect([image]).detections[0], expected)
        gc.collect()
        cuda.assert_clean()


def test_failed_allocation_during_capture_runs_without_graphs(model: Path, tmp_path: Path) -> None:
    image = make_image('bgr8', 90, 70)
    (expected,) = on_cpu(model, tmp_path, [image])
    values = config(model, tmp_path, backend='tensorrt')
    with machine('tensorrt-10.3') as world:
        made = ExecutionContext.__init__
        contexts = itertools.count()

        def refuse_the_second(self: ExecutionContext, *arguments: Any) -> None:
            if next(contexts):
                raise EngineError('TensorRT cannot create an execution context')
            made(self, *arguments)

        with (
            mock.patch.object(ExecutionContext, '__init__', refuse_the_second),
            create_detector(values) as detector,
        ):
            assert 'cannot create' in str(detector.info.cuda_graph)
            assert len(detector.engine._contexts) == 1  # type: ignore[attr-defined]
            assert_same(detector.detect([image]).detections[0], expected)
        gc.collect()
        world.cuda.assert_clean()


def test_build_in_progress_prevents_capture(
    kind: str, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with device(kind) as (_, backend):
        values = config(model, tmp_path, backend=backend)
        with build_in_progress(0), create_detector(values) as detector:
            assert 'another engine was being built' in str(detector.info.cuda_graph)
        said = [entry for entry in caplog.records if 'another engine was' in entry.message]
        assert [entry.levelname for entry in said] == ['WARNING']
        with build_in_progress(1), create_detector(values) as detector:
            assert detector.info.cuda_graph == CudaGraphUse(used=True)


def test_capture_waits_for_the_device_lock(kind: str, model: Path, tmp_path: Path) -> None:
    opened, waiting = threading.Event(), threading.Event()

    class Probe:
        """Device lock that signals a waiting thread."""

        def __init__(self) -> None:
            self._lock = threading.RLock()

        def __enter__(self) -> None:
            if not self._lock.acquire(blocking=False):
                waiting.set()
                self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    def open_detector(backend: str) -> None:
        with create_detector(config(model, tmp_path, backend=backend)):
            opened.set()
        gc.collect()

    with device(kind) as (cuda, backend), mock.patch.dict(locks._DEVICE_LOCKS, {0: Probe()}):
        thread = threading.Thread(target=open_detector, args=(backend,))
        with device_lock(0):
            thread.start()
            with device_lock(1), device_lock(0):
                assert waiting.wait(60)
            assert not opened.is_set()
            assert cuda.graph_launches == 0
        thread.join()
    assert opened.is_set()


def test_warm_up_and_closing_slots_hold_the_device_lock(
    kind: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_locked() -> bool:
        return locks._DEVICE_LOCKS[0]._is_owned()  # type: ignore[attr-defined]

    seen: list[tuple[str, bool]] = []
    for owner, name in ((DeviceSlot, 'close'), (DeviceSlot, 'start')):
        work = getattr(owner, name)

        def note(self: DeviceSlot, *arguments: Any, name: str = name, work: Any = work) -> Any:
            seen.append((name, is_locked()))
            return work(self, *arguments)

        monkeypatch.setattr(owner, name, note)
    image = make_image('bgr8', 90, 70)
    with device(kind) as (_, backend):
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            warm = len(seen)
            detector.detect([image])
            live, depth = seen[warm:], detector.depth
        gc.collect()
    assert warm
    assert all(held for _, held in seen[:warm])
    assert live == [('start', False)], 'a live image does not take the lock'
    assert seen[warm + 1 :] == [('close', True)] * depth


def test_build_is_marked_as_in_progress(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    build = plan_job.build_plan

    def note(*arguments: Any) -> Any:
        seen.append(is_build_in_progress(0))
        return build(*arguments)

    monkeypatch.setattr(plan_job, 'build_plan', note)
    with (
        machine('tensorrt-10.3'),
        create_detector(config(model, tmp_path, backend='tensorrt')) as detector,
    ):
        assert detector.info.cuda_graph == CudaGraphUse(used=True)
    assert seen == [True]


def test_build_does_not_begin_while_the_device_is_locked() -> None:
    begun = threading.Event()

    def build() -> None:
        with build_in_progress(0):
            begun.set()

    thread = threading.Thread(target=build)
    with device_lock(0):
        thread.start()
        time.sleep(0.05)
        assert not begun.is_set()
        assert not is_build_in_progress(0)
    thread.join()
    assert begun.is_set()
    assert not is_build_in_progress(0)


def test_warm_up_launches_the_graphs(kind: str, model: Path, tmp_path: Path) -> None:
    with device(kind) as (cuda, backend):
        launches = []
        for iterations in (0, 4):
            values = config(model, tmp_path, backend=backend, warmup_iterations=iterations)
            before = cuda.graph_launches
            with create_detector(values):
                launches.append(cuda.graph_launches - before)
        # One image, two once, and a full batch, besides the comparisons after the captures.
        assert launches[1] - launches[0] == 4 + 1 + 4


def test_device_to_device_copies_are_captured(model: Path, tmp_path: Path) -> None:
    with device('onnxruntime') as (cuda, backend):
        cuda.graph_node = 'device to device'
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            assert detector.info.cuda_graph == CudaGraphUse(used=True)


def test_cuda_graph_off_launches_no_graph(kind: str, model: Path, tmp_path: Path) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with device(kind) as (cuda, backend):
        values = config(model, tmp_path, backend=backend, cuda_graph=False)
        with create_detector(values) as detector:
            assert detector.info.cuda_graph is None
            found = collect_all(detector, images)
        assert cuda.graph_launches == 0
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@pytest.mark.gpu
def test_detectors_opened_in_parallel_on_a_gpu_all_capture(model: Path, tmp_path: Path) -> None:
    require_cuda_provider()
    cuda = require_cuda()
    images = pictures()[:3]
    expected = on_cpu(model, tmp_path, images)
    ended = threading.Event()
    faults: list[BaseException] = []

    def copy_in_the_default_stream() -> None:
        with contextlib.closing(ContextScope(cuda, 0)):
            data = bytes(1 << 16)
            memory = cuda.mem_alloc(len(data))
            while not ended.is_set():
                device_memory.write(int(memory), data)
            memory.free()

    def open_repeatedly() -> None:
        for _ in range(6):
            with create_detector(config(model, tmp_path, backend='onnxruntime')) as detector:
                assert detector.info.cuda_graph == CudaGraphUse(used=True)
                for one, other in zip(detector.detect(images).detections, expected, strict=True):
                    assert_same(one, other)

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            faults.append(error)

    openers = [threading.Thread(target=run, args=(open_repeatedly,)) for _ in range(3)]
    copier = threading.Thread(target=run, args=(copy_in_the_default_stream,))
    for thread in (copier, *openers):
        thread.start()
    for thread in openers:
        thread.join()
    ended.set()
    copier.join()
    if faults:
        raise faults[0]
