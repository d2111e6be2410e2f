# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Baseline node of the benchmarks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / 'docs' / 'benchmarks' / 'naive_node.py'
MODELS = [ROOT / 'demo' / 'models' / f'demo_{name}.onnx' for name in ('end2end', 'raw')]
PICTURES = ROOT / 'demo' / 'pictures'


def load(path: Path) -> Any:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(
    not (all(model.is_file() for model in MODELS) and PICTURES.is_dir()),
    reason='the models or the pictures of the demonstration are missing: see demo/README.md',
)
def test_the_naive_node_finds_what_is_there() -> None:
    """Else its times would say nothing."""
    module: Any = load(SCRIPT)
    picture = Image.from_file(min(PICTURES.glob('*1280x720*'))).to_bgr()
    for model in MODELS:
        boxes, scores, classes = module.Naive(str(model), 'cpu').detect(picture)
        config = DetectorConfig(
            model_path=str(model), backend='onnxruntime', resize_mode='stretch'
        )
        with create_detector(config) as detector:
            found = detector.detect([Image.from_array(picture)]).detections[0]
        order, wanted = np.argsort(-scores), np.argsort(-found.scores)
        assert len(found) > 0
        np.testing.assert_allclose(scores[order], found.scores[wanted], atol=0.02)
        np.testing.assert_array_equal(classes[order], found.class_ids[wanted])
        boxes = np.clip(boxes, 0, picture.shape[1::-1] * 2)
        np.testing.assert_allclose(boxes[order], found.boxes_xyxy[wanted], atol=1.0)
