# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TorchVision's outputs of one image, and what stands beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.heads import build
from trt_detector.config import DetectorConfig
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.errors import ModelError
from trt_detector.factory import create_detector
from trt_detector.values.tensor_spec import TensorSpec

BOXES = np.array([[10, 20, 40, 50], [50, 4, 90, 36]], np.float32)
LABELS, SCORES = np.array([2, 1]), np.array([0.9, 0.8], np.float32)
MASKS = {'masks': np.zeros((2, 1, 64, 96), np.float32)}
KEYPOINTS = {
    'keypoints': np.zeros((2, 17, 3), np.float32),
    'keypoints_scores': np.zeros((2, 17), np.float32),
}


def _info(outputs: dict[str, np.ndarray]) -> GraphInfo:
    specs = tuple(
        TensorSpec(name, (None, *values.shape[1:]), values.dtype)
        for name, values in outputs.items()
    )
    return GraphInfo(specs, input_size=(64, 96))


@pytest.mark.parametrize('more', [{}, MASKS, KEYPOINTS])
@pytest.mark.parametrize('first', [True, False])
def test_masks_and_keypoints_are_ignored_with_a_warning(
    more: dict[str, np.ndarray], *, first: bool
) -> None:
    own = {'boxes': BOXES, 'labels': LABELS, 'scores': SCORES}
    outputs = {**more, **own} if first else {**own, **more}
    found = recognize(_info(outputs))
    assert found.name == 'torchvision'
    assert len(found.warnings) == bool(more)
    assert all(name in found.warnings[0] for name in more)
    [detections] = found.head.decode(list(outputs.values()), DecodeOptions())
    np.testing.assert_array_equal(detections.boxes_xyxy, BOXES)
    assert detections.class_ids.tolist() == [2, 1]


@pytest.mark.parametrize(
    'more',
    [
        {'more': np.zeros((2, 17), np.float32)},
        {'more': np.zeros((2, 17, 2), np.float32), 'scores2': np.zeros((2, 17), np.float32)},
        {'more': np.zeros((2, 3, 64, 96), np.float32)},
        {'more': np.zeros(2, np.float32)},
        {'more': np.zeros((2, 4), np.float32)},
    ],
)
def test_other_outputs_beside_them_are_refused(more: dict[str, np.ndarray]) -> None:
    own = {'boxes': BOXES, 'labels': LABELS, 'scores': SCORES}
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(_info({**own, **more}))


@pytest.mark.parametrize(
    ('first', 'told'), [('__background__', False), ('Background', False), ('cone', True)]
)
def test_names_without_a_background_are_told(first: str, *, told: bool, tmp_path: Path) -> None:
    path = build('torchvision', tmp_path / 'm.onnx')
    config = DetectorConfig(
        model_path=str(path),
        backend='onnxruntime',
        warmup_iterations=0,
        class_names=(first, 'ball', 'box', 'lamp'),
    )
    with create_detector(config) as detector:
        found = [text for text in detector.info.warnings if 'first class name' in text]
    assert len(found) == told
    assert all("is 'cone': give class_names a first name" in text for text in found)
