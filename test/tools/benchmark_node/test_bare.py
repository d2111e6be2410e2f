# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Loop of the bare model."""

from __future__ import annotations

from pathlib import Path
import threading
from typing import Any

import numpy as np
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.tools.benchmark_node.bare import run_loop

MODEL = Path(__file__).resolve().parents[3] / 'demo' / 'models' / 'demo_raw.onnx'


@pytest.mark.parametrize(('batch_size', 'size', 'images'), [(3, 3, 1), (1, 1, 1 / 3)])
def test_an_image_with_tiles_counts_as_one(batch_size: int, size: int, images: float) -> None:
    config = DetectorConfig(
        model_path=str(MODEL), backend='onnxruntime', batch_size=batch_size, tiling='2x1'
    )
    stop = threading.Event()
    shapes = []
    with create_detector(config) as detector:
        inputs = detector.count_inputs((1280, 720))
        run = detector.engine.run

        def count(batch: np.ndarray) -> Any:
            shapes.append(batch.shape)
            stop.set()
            return run(batch)

        detector.engine.run = count  # type: ignore[method-assign]
        runs = run_loop(detector, 0.0, stop, inputs)
    # Two tiles and the whole image.
    assert inputs == 3
    assert {shape[0] for shape in shapes} == {size}
    assert {number for _, _, number in runs} == {images}


@pytest.mark.parametrize(('cameras', 'batch_size', 'at_once'), [(1, 1, 1), (2, 1, 2), (3, 3, 2)])
@pytest.mark.parametrize('rate_hz', [0.0, 500.0])
def test_network_runs_as_often_at_once_as_in_the_node(
    cameras: int, batch_size: int, at_once: int, rate_hz: float
) -> None:
    config = DetectorConfig(
        model_path=str(MODEL), backend='onnxruntime', batch_size=batch_size,
        image_topics=tuple(f'/c{number}/image' for number in range(cameras)),
    )  # fmt: skip
    stop = threading.Event()
    shapes: list[tuple[int, ...]] = []
    running: set[int] = set()
    most = 0
    lock = threading.Lock()
    with create_detector(config) as detector:
        run = detector.engine.run

        def count(batch: np.ndarray) -> Any:
            nonlocal most
            with lock:
                running.add(threading.get_ident())
                most = max(most, len(running))
                shapes.append(batch.shape)
                if len(shapes) >= 40:
                    stop.set()
            outputs = run(batch)
            with lock:
                running.discard(threading.get_ident())
            return outputs

        detector.engine.run = count  # type: ignore[method-assign]
        runs = run_loop(detector, rate_hz, stop)
    assert len(runs) == len(shapes) >= 40
    assert {shape[0] for shape in shapes} == {batch_size} == {images for _, _, images in runs}
    assert most == at_once
    ends = [end_ns for end_ns, _, _ in runs]
    assert ends == sorted(ends)
