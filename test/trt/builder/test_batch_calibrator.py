# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's own calibrator, fed with batches on the device, on doubles."""

from __future__ import annotations

from collections.abc import Iterator
import gc
from pathlib import Path
import signal
from typing import Any

from doubles.machine import machine
import numpy as np
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError, ImageError
from trt_detector.quantize import CalibrationCache, read_calibration_cache
from trt_detector.tools import calibrate
from trt_detector.trt.builder.batch_calibrator import calibrate_on_device

DEMO = Path(__file__).resolve().parents[3] / 'demo'
HEADERS = {
    'tensorrt-8.6': 'TRT-8601-EntropyCalibration2',
    'tensorrt-10.3': 'TRT-100300-EntropyCalibration2',
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return networks.yolo(tmp_path / 'yolo.onnx')


def calibrated(model: Path, batches: Iterator[Any]) -> CalibrationCache:
    config = DetectorConfig(model_path=str(model))
    return calibrate_on_device(config, model.read_bytes(), None, batches)


@pytest.mark.parametrize('personality', HEADERS)
def test_every_batch_is_on_the_device_when_tensorrt_reads_it(
    personality: str, model: Path
) -> None:
    # One array for all of them, as the preprocessor has: each is overwritten by the next.
    slot = np.empty((1, 3, 64, 64), np.float32)

    def batches() -> Iterator[np.ndarray]:
        for value in (0.25, -0.75, 0.5):
            slot.fill(value)
            yield slot

    with machine(personality) as world:
        cache = calibrated(model, batches())
        assert cache.header == HEADERS[personality]
        assert cache.scales['images'] == pytest.approx(0.75 / 127)
        gc.collect()
        world.cuda.assert_clean()


def test_an_error_in_an_input_ends_the_calibration_and_is_raised(model: Path) -> None:
    def batches() -> Iterator[np.ndarray]:
        yield np.zeros((1, 3, 64, 64), np.float32)
        raise ImageError('damaged')

    with machine('tensorrt-10.3') as world:
        with pytest.raises(ImageError, match='damaged'):
            calibrated(model, batches())
        gc.collect()
        world.cuda.assert_clean()


def test_ctrl_c_during_a_batch_ends_the_calibration_and_is_raised(model: Path) -> None:
    def batches() -> Iterator[np.ndarray]:
        for _ in range(3):
            asked.append(1)
            yield np.zeros((1, 3, 64, 64), np.float32)
            signal.raise_signal(signal.SIGINT)

    asked: list[int] = []
    with machine('tensorrt-10.3') as world:
        with pytest.raises(KeyboardInterrupt):
            calibrated(model, batches())
        # The one that was being made is finished.
        assert len(asked) == 2
        gc.collect()
        world.cuda.assert_clean()


def test_a_tensorrt_without_calibrator_and_no_batch_are_said(model: Path) -> None:
    with machine('tensorrt-11.4'), pytest.raises(ConfigError, match='has no calibrator'):
        calibrated(model, iter([np.zeros((1, 3, 64, 64), np.float32)]))
    with machine('tensorrt-10.3'), pytest.raises(ConfigError, match='no image to calibrate with'):
        calibrated(model, iter(()))


def test_the_tool_writes_what_tensorrt_found(tmp_path: Path) -> None:
    output = tmp_path / 'x.calib'
    arguments = ['--model', DEMO / 'models' / 'demo_end2end.onnx', '--output', output]
    arguments += ['--images', *sorted((DEMO / 'pictures').glob('*.png')), '--tensorrt']
    with machine('tensorrt-10.3'):
        assert calibrate.main([str(argument) for argument in arguments]) == 0
    cache = read_calibration_cache(output)
    assert cache.header == HEADERS['tensorrt-10.3']
    # A white pixel is 1.0 at the network's input.
    assert cache.scales['images'] == pytest.approx(1 / 127)
