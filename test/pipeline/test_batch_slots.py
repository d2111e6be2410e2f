# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test batches in flight of an engine whose runs may be in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import math
import os
from pathlib import Path
import threading
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.decode import Head
from trt_detector.engine import BatchSlot, InferenceEngine
from trt_detector.errors import EngineError
from trt_detector.factory import backend, create_detector
from trt_detector.image.image import Image
from trt_detector.model_info import onnx_session
from trt_detector.pipeline.batch_slots import SlotPool
from trt_detector.preprocess import Preprocessor
from trt_detector.values.engine_info import EngineInfo
from trt_detector.values.tensor_spec import TensorSpec

WAIT_S = 20.0


class Engine(InferenceEngine):
    """
    Engine that returns its batch plus 1.

    :param parallel_runs: number of runs at once.
    :param behave: called with the first value of a batch, in the thread of the run.
    """

    def __init__(self, parallel_runs: int, behave: Callable[[float], None]) -> None:
        self._parallel_runs = parallel_runs
        self._behave = behave

    info = EngineInfo('stub', 'fp32', 'no device', '1.0')
    input_spec = TensorSpec('images', (None, 3, 2, 2), np.dtype(np.float32))
    output_specs = (TensorSpec('output', (None, 3, 2, 2), np.dtype(np.float32)),)

    def get_input_shape(self) -> tuple[int, int]:
        return 2, 2

    def get_batch_size(self) -> int:
        return 1

    def get_parallel_runs(self) -> int:
        return self._parallel_runs

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        self._behave(float(batch.flat[0]))
        return [batch + 1]

    def close(self) -> None:
        """Do nothing."""


def open_pool(engine: Engine) -> SlotPool:
    """Open the slots of an engine that takes its batch from host memory."""
    pool = SlotPool(engine)
    pool.open(cast(Preprocessor, object()), cast(Head, object()))
    return pool


def start(pool: SlotPool, value: float) -> BatchSlot:
    """Start a batch of one image of one value."""
    slot = pool.acquire()
    slot.targets(1)[0][...] = value
    slot.start(1, -math.inf)
    return slot


@pytest.fixture(name='gate')
def _gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


def test_as_many_runs_as_the_engine_allows_are_in_progress_at_once() -> None:
    # Each run waits for the other one: a run alone would break the barrier.
    both = threading.Barrier(2, timeout=WAIT_S)
    pool = open_pool(Engine(2, lambda _value: cast(None, both.wait())))
    slots = [start(pool, 1.0), start(pool, 2.0)]
    assert [slot.finish()[0].flat[0] for slot in slots] == [2.0, 3.0]
    pool.close()


def test_one_slot_more_than_runs_is_filled_meanwhile(gate: threading.Event) -> None:
    running: list[float] = []
    began = threading.Semaphore(0)

    def behave(value: float) -> None:
        running.append(value)
        began.release()
        assert gate.wait(WAIT_S)

    pool = open_pool(Engine(2, behave))
    assert len(pool) == 3
    slots = [start(pool, value) for value in (1.0, 2.0, 3.0)]
    assert began.acquire(timeout=WAIT_S)
    assert began.acquire(timeout=WAIT_S)
    assert sorted(running) == [1.0, 2.0]
    with pytest.raises(EngineError, match='3 batches are in flight'):
        pool.acquire()
    gate.set()
    assert [slot.finish()[0].flat[0] for slot in slots] == [2.0, 3.0, 4.0]
    pool.close()


def test_failed_run_raises_at_its_own_batch_only() -> None:
    def behave(value: float) -> None:
        if value == 1.0:
            raise EngineError('no memory')

    pool = open_pool(Engine(2, behave))
    bad, good = start(pool, 1.0), start(pool, 2.0)
    bad.wait()
    with pytest.raises(EngineError, match='no memory'):
        bad.finish()
    pool.release_failed(bad)
    assert good.finish()[0].flat[0] == 3.0
    pool.release(good)
    # All three slots can be used again.
    assert [slot.finish()[0].flat[0] for slot in [start(pool, 4.0) for _ in range(3)]] == [5.0] * 3
    pool.close()


@pytest.mark.parametrize('action', ['close', 'abandon'])
def test_slot_in_use_is_freed_after_its_run(action: str, gate: threading.Event) -> None:
    ended = threading.Event()

    def behave(_value: float) -> None:
        assert gate.wait(WAIT_S)
        ended.set()

    pool = open_pool(Engine(2, behave))
    slot = start(pool, 1.0)
    threading.Timer(0.05, gate.set).start()
    if action == 'close':
        pool.close()
    else:
        pool.release_failed(slot)
    assert ended.is_set()
    pool.close()
    assert not [each for each in threading.enumerate() if each.name.startswith('run_')]


def test_without_parallel_runs_the_engine_runs_in_its_own_thread() -> None:
    threads: list[threading.Thread] = []
    pool = open_pool(Engine(1, lambda _value: threads.append(threading.current_thread())))
    assert len(pool) == 1
    start(pool, 1.0).finish()
    assert threads == [threading.current_thread()]
    pool.close()


def _square(x: int) -> Image:
    """Make a black image of 64x64 with a white cell of 8x8 at column x."""
    array = np.zeros((64, 64, 3), np.uint8)
    array[:8, x : x + 8] = 255
    return Image.from_array(array)


@pytest.mark.parametrize(
    ('cameras', 'threads', 'batch_size', 'depth'),
    [(1, 4, 1, 1), (4, 1, 1, 1), (4, 2, 1, 3), (3, 8, 1, 4), (4, 8, 4, 2), (8, 8, 2, 4)],
)
def test_batches_in_flight_are_limited_by_cameras_threads_and_their_size(
    cameras: int, threads: int, batch_size: int, depth: int, tmp_path: Path
) -> None:
    config = DetectorConfig(
        model_path=str(lamp_detector(tmp_path / 'lamp.onnx')),
        backend='onnxruntime',
        onnxruntime_provider='cpu',
        batch_size=batch_size,
        image_topics=tuple(f'/camera_{number}/image_raw' for number in range(cameras)),
        inference_threads=threads,
    )
    with create_detector(config) as detector:
        assert detector.depth == depth
        pending = [detector.submit([_square(8 * number)]) for number in range(depth)]
        found = [detector.collect(each).detections[0] for each in pending]
    # Batches are collected in the order of their submission, each with its own image.
    assert [each.boxes_xyxy[0, 0] for each in found] == [8 * number for number in range(depth)]


@pytest.mark.parametrize(
    ('usable', 'machine', 'wanted', 'threads', 'runs'),
    [(2, 16, 0, 2, 4), (1, 16, 0, 1, 2), (16, 16, 0, 0, 8), (2, 16, 5, 5, 5)],
)
def test_threads_and_runs_fit_the_cores_that_the_process_may_use(
    usable: int, machine: int, wanted: int, threads: int, runs: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for module in (backend, onnx_session):
        monkeypatch.setattr(module, 'count_usable_cores', lambda: usable)
    monkeypatch.setattr(os, 'cpu_count', lambda: machine)
    config = DetectorConfig(
        model_path=str(lamp_detector(tmp_path / 'lamp.onnx')),
        backend='onnxruntime',
        onnxruntime_provider='cpu',
        batch_size=1,
        image_topics=tuple(f'/camera_{number}/image_raw' for number in range(8)),
        inference_threads=wanted,
    )
    with create_detector(config) as detector:
        session = cast(Any, detector.engine)._session
        assert session.get_session_options().intra_op_num_threads == threads
        assert detector.engine.get_parallel_runs() == runs
