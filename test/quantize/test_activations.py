# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Which activations are counted, and that memory does not change what is counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.quantized import DETECTORS, min_max_cache, random_images, yolov8_like
from trt_detector.errors import EngineError, ModelError
from trt_detector.quantize import activations
from trt_detector.quantize.activations import ActivationCounter, calibrated_tensors
from trt_detector.quantize.calibration import CalibrationMethod, make_cache
from trt_detector.quantize.graph import analyse_head
from trt_detector.quantize.precision_fp16 import convert_to_fp16
from trt_detector.quantize.qdq import insert_qdq

MINMAX = CalibrationMethod('minmax')


def scales(counter: ActivationCounter) -> dict[str, float]:
    return dict(make_cache(counter.histograms, MINMAX, '10.3.0').scales)


def count(model: onnx.ModelProto, images: np.ndarray, **options: int) -> ActivationCounter:
    counter = ActivationCounter(model, images[:1].shape, **options)
    for image in images:
        counter.add(image[None])
    return counter


@pytest.mark.parametrize('name', DETECTORS)
def test_ranges_are_those_of_the_activations(name: str) -> None:
    model, images = DETECTORS[name](), random_images(3)
    expected = min_max_cache(model, images).scales
    found = scales(count(model, images))
    assert found
    for tensor, scale in found.items():
        assert scale == pytest.approx(expected[tensor], rel=1e-5), tensor


@pytest.mark.parametrize('name', DETECTORS)
def test_quantizable_convolutions_have_scales_and_the_tail_has_none(name: str) -> None:
    model = DETECTORS[name]()
    head = analyse_head(model)
    tensors = calibrated_tensors(model)
    read = {n.input[0] for n in model.graph.node if n.name in head.convolutions}
    assert read <= set(tensors)
    assert not head.tail_tensors & set(tensors)
    cache = make_cache(count(model, random_images(2)).histograms, MINMAX, '10.3.0')
    skipped = insert_qdq(model, cache).skipped
    assert not [reason for reason in skipped.values() if 'calibration' in reason]


def test_small_chunks_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[onnx.ModelProto] = []
    open_one = activations.open_cpu_session

    def open_cpu_session(model: onnx.ModelProto, threads: int) -> Any:
        sessions.append(model)
        return open_one(model, threads)

    monkeypatch.setattr(activations, 'open_cpu_session', open_cpu_session)
    model, images = yolov8_like(), random_images(2)
    whole = count(model, images)
    assert len(sessions) == 1
    small = count(model, images, chunk_bytes=20_000)
    assert len(sessions) > 4
    assert scales(small) == pytest.approx(scales(whole), rel=1e-6)


@pytest.mark.skipif(os.cpu_count() == 1, reason='needs a second core that is not used')
def test_no_thread_runs_on_a_core_that_the_process_may_not_use() -> None:
    tasks = Path('/proc/self/task')
    core = min(os.sched_getaffinity(0))

    def find_cores() -> set[int]:
        """Open sessions in a thread with one core; find the cores of the threads it starts."""
        os.sched_setaffinity(0, {core})
        before = set(tasks.iterdir())
        counter = ActivationCounter(yolov8_like(), (1, 3, 64, 64))
        started = set(tasks.iterdir()) - before
        cores = {core for task in started for core in os.sched_getaffinity(int(task.name))}
        return cores if counter.histograms else set()

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(find_cores).result() <= {core}


def test_only_the_pictures_of_a_batch_count_not_its_padding() -> None:
    model, images = yolov8_like(batch='batch'), random_images(3)
    part = ActivationCounter(model, images.shape)
    part.add(images, 2)
    assert scales(part) == pytest.approx(scales(count(model, images[:2])), rel=1e-6)


def test_activations_that_are_not_finite_are_named() -> None:
    counter = ActivationCounter(yolov8_like(), (1, 3, 64, 64))
    with pytest.raises(EngineError, match="activation 'images': .* NaN"):
        counter.add(np.full((1, 3, 64, 64), np.nan, np.float32))


def test_networks_that_cannot_be_calibrated_are_refused() -> None:
    model = yolov8_like()
    cache = min_max_cache(model, random_images(1))
    with pytest.raises(ModelError, match='already quantized'):
        calibrated_tensors(insert_qdq(model, cache).model)
    with pytest.raises(ModelError, match='calibrate its FP32 export'):
        calibrated_tensors(convert_to_fp16(model, keep_io=False))
