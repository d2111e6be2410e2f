# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Networks of dynamic height and width, on doubles: the first image chooses the input size."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any
from unittest import mock

from doubles.machine import machine
import numpy as np
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.decode import doubts
from trt_detector.engine import InferenceEngine
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.gpu.device_preprocessor import DevicePreprocessor
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector

PICTURE = Image.from_array(
    np.random.default_rng(5).integers(0, 256, (360, 640, 3), dtype=np.uint8)
)


@pytest.fixture(autouse=True)
def _implausible_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept predictions of random weights, which find no background."""
    monkeypatch.setattr(doubts, '_NO_BACKGROUND', 2.0)
    monkeypatch.setattr(doubts, '_CORNER', 0.0)


@pytest.fixture(name='model')
def _model(tmp_path: Path) -> Path:
    return networks.yolo(tmp_path / 'open.onnx', size=('height', 'width'))


def _detector(model: Path, backend: str, **values: Any) -> Detector:
    config = DetectorConfig.from_mapping({
        'model_path': str(model),
        'backend': backend,
        'precision': 'fp32',
        'engine_cache_dir': str(model.parent / 'plans'),
        'score_threshold': 0.0,
        'min_shape': [1, 3, 64, 64],
        'max_shape': [1, 3, 256, 256],
        **values,
    })  # fmt: skip
    return create_detector(config)


@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-10.16', 'tensorrt-11.4'])
def test_first_image_chooses_the_input_size(personality: str, model: Path) -> None:
    with _detector(model, 'onnxruntime') as reference:
        expected = reference.detect([PICTURE]).detections[0]
        size = reference.input_size
    # 640x360 within 256x256, in whole strides.
    assert size[0] < size[1] <= 256
    with machine(personality) as world:
        with _detector(model, 'tensorrt') as detector:
            for _ in range(2):
                found = detector.detect([PICTURE]).detections[0]
                assert detector.input_size == size
                np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
                np.testing.assert_allclose(
                    np.sort(found.boxes_xyxy, axis=0), np.sort(expected.boxes_xyxy, axis=0), atol=8
                )
        world.cuda.assert_clean()


def test_size_outside_the_profile_is_an_error_with_the_range(model: Path) -> None:
    with machine('tensorrt-10.3'), _detector(model, 'tensorrt') as detector:
        engine: InferenceEngine = detector.engine
        assert engine.get_input_shape_range() == ((64, 64), (256, 256))
        engine.set_input_shape((128, 192))
        assert engine.get_input_shape() == (128, 192)
        with pytest.raises(EngineError, match='at 320x64 pixels; .* 64x64 to 256x256'):
            engine.set_input_shape((64, 320))


def test_failed_first_image_reports_the_reason_each_time(model: Path) -> None:
    with machine('tensorrt-10.16') as world:
        with _detector(model, 'tensorrt') as detector:
            with (
                mock.patch.object(
                    DevicePreprocessor, 'open_slots', side_effect=EngineError('full')
                ),
                pytest.raises(EngineError, match='full'),
            ):
                detector.detect([PICTURE])
            for _ in range(2):
                with pytest.raises(
                    EngineError, match=r'size of the first image .*full.*configure'
                ):
                    detector.detect([PICTURE])
        gc.collect()
        world.cuda.assert_clean()
