# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""MMDeploy's boxes with scores, and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.planted import assert_same, dark_and_bright, Found, open_planted, plant
from trt_detector.decode import GraphInfo, recognize
from trt_detector.errors import ModelError
from trt_detector.preprocess import PRESETS
from trt_detector.values.tensor_spec import TensorSpec

# (left, top, right, bottom, score, class) of each image in pixels; label -1 is padding.
PLANTED: list[list[Found]] = [
    [(10.0, 4.0, 40.0, 24.0, 0.9, 3), (50.0, 20.0, 90.0, 60.0, 0.8, 0),
     (1.0, 1.0, 9.0, 9.0, 0.7, -1)],
    [(0.0, 0.0, 96.0, 64.0, 0.99, 1), (6.0, 7.0, 8.0, 9.0, 0.5, 79), (3.0, 3.0, 9.0, 9.0, 0.4, 2)],
]  # fmt: skip


def _outputs() -> dict[str, np.ndarray]:
    return {
        'labels': np.array([[row[5] for row in image] for image in PLANTED]),
        'dets': np.array([[row[:5] for row in image] for image in PLANTED], np.float32),
    }


@pytest.mark.parametrize('masks', [False, True])
def test_dets_and_labels_are_decoded_in_a_batch(*, masks: bool, tmp_path: Path) -> None:
    outputs = _outputs()
    if masks:
        outputs['masks'] = np.zeros((2, 3, 28, 28), np.float32)
    with open_planted(plant(tmp_path / 'm.onnx', outputs)) as detector:
        assert detector.layout.startswith('MMDeploy')
        warnings = detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    assert 'RTMDet needs color_order: bgr and pad_value: 114' in warnings[0]
    for image in (0, 1):
        assert_same(found[image], [row for row in PLANTED[image] if row[5] >= 0])


def test_rows_that_are_not_finite_are_counted_and_left_out(tmp_path: Path) -> None:
    outputs = _outputs()
    outputs['dets'][0, 0, 0] = np.nan
    outputs['dets'][1, 1, 4] = np.inf
    with open_planted(plant(tmp_path / 'm.onnx', outputs)) as detector:
        found = detector.detect(dark_and_bright()).detections
    assert [(len(f), f.invalid) for f in found] == [(1, 1), (2, 1)]


def _info(*outputs: tuple[str, tuple[int, ...], str]) -> GraphInfo:
    specs = [TensorSpec(name, shape, np.dtype(kind)) for name, shape, kind in outputs]
    return GraphInfo(tuple(specs), input_size=(640, 640))


def test_the_preprocessing_is_that_of_most_configs() -> None:
    found = recognize(_info(('dets', (1, 100, 5), 'f4'), ('labels', (1, 100), 'i8')))
    spec = PRESETS[found.preset]
    assert (spec.mode, spec.anchor, spec.pad_value, spec.color) == (
        'letterbox', 'top_left', 0, 'rgb',
    )  # fmt: skip
    assert (spec.mean, spec.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    'info',
    [
        # Other names: what the five values are is not known.
        _info(('a', (1, 100, 5), 'f4'), ('b', (1, 100), 'i8')),
        _info(('dets', (1, 100, 5), 'f4'), ('labels', (1, 99), 'i8')),
        # Rotated boxes of MMRotate.
        _info(('dets', (1, 100, 6), 'f4'), ('labels', (1, 100), 'i8')),
    ],
)
def test_other_rows_are_refused(info: GraphInfo) -> None:
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(info)
