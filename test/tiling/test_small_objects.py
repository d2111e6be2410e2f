# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles in drawn scenes with small objects: docs/benchmarks/tiling.py on a small scale."""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.evaluation.data_set import Sample
from trt_detector.evaluation.metric import coco_figures
from trt_detector.factory import create_detector
from trt_detector.image.image import Image

DEMO = Path(__file__).resolve().parents[2] / 'demo'
sys.path.insert(0, str(DEMO))

from scenes import render_distant_scene, Scene  # noqa: E402
from splits import DISTANT_SEEDS  # noqa: E402

pytest.importorskip('faster_coco_eval', reason='pip install faster-coco-eval')

# The demo model sees such an image at 512x288: these objects are 4 to 16 pixels large there.
SIZE, SIDES_PX = (1536, 864), (12, 48)


@pytest.fixture(name='scene', scope='module')
def _scene() -> Scene:
    return render_distant_scene(DISTANT_SEEDS[0], SIZE, objects=60, sides_px=SIDES_PX)


def _map50(scene: Scene, model: str, tiling: str) -> float:
    """Compute the mean average precision of a model at an IoU of 0.5."""
    config = DetectorConfig(
        model_path=str(DEMO / 'models' / f'{model}.onnx'),
        backend='onnxruntime',
        tiling=tiling,
        score_threshold=0.01,
    )
    with create_detector(config) as detector:
        found = detector.detect([Image.from_array(scene.image_bgr)]).detections
        names = detector.class_names
    sample = Sample(
        Path('scene'),
        np.array([thing.bbox_xyxy for thing in scene.objects], np.float64),
        np.array([thing.class_id for thing in scene.objects], np.int64),
        np.zeros(len(scene.objects), np.bool_),
    )
    return coco_figures([sample], [SIZE], found, names).map50


def test_distant_scenes_hold_objects_of_the_wanted_sizes(scene: Scene) -> None:
    boxes = np.array([thing.bbox_xyxy for thing in scene.objects])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert len(boxes) > 15
    assert sides.min() >= SIDES_PX[0]
    assert sides.max() <= SIDES_PX[1]


@pytest.mark.parametrize('model', ['demo_raw', 'demo_end2end'])
def test_tiles_raise_the_precision_of_small_objects_by_half(scene: Scene, model: str) -> None:
    without, with_tiles = (_map50(scene, model, tiling) for tiling in ('none', 'auto'))
    assert with_tiles > 0.3
    assert with_tiles >= 1.5 * without
