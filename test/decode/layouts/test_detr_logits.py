# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes and class values of a DETR in two outputs: names, and values that are scores already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.planted import assert_same, dark_and_bright, Found, HEIGHT, open_planted, plant, WIDTH
from trt_detector.errors import DecodeError

QUERIES = 50
# Per image, in pixels.
PLANTED: list[list[Found]] = [
    [(10, 20, 40, 50, 0.9, 1), (50, 4, 90, 36, 0.8, 0)],
    [(40, 12, 64, 60, 0.6, 3), (8, 8, 24, 40, 0.5, 2)],
]


def _answers(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Make boxes [2, Q, 4] and scores [2, Q, C]."""
    boxes = np.full((2, QUERIES, 4), 0.3)
    scores = np.full((2, QUERIES, classes), 0.001)
    for image, found in enumerate(PLANTED):
        for row, (left, top, right, bottom, score, label) in enumerate(found):
            boxes[image, row] = (
                (left + right) / 2 / WIDTH,
                (top + bottom) / 2 / HEIGHT,
                (right - left) / WIDTH,
                (bottom - top) / HEIGHT,
            )
            scores[image, row, label] = score
    return boxes.astype(np.float32), scores.astype(np.float32)


def _logits(scores: np.ndarray) -> np.ndarray:
    return np.log(scores / (1 - scores))


@pytest.mark.parametrize('masks', [False, True])
@pytest.mark.parametrize('boxes_first', [True, False])
def test_four_classes_are_told_from_the_boxes_by_the_names_of_rf_detr(
    *, boxes_first: bool, masks: bool, tmp_path: Path
) -> None:
    boxes, scores = _answers(4)
    outputs = {'dets': boxes, 'labels': _logits(scores)}
    if not boxes_first:
        outputs = dict(reversed(outputs.items()))
    if masks:
        outputs['masks'] = np.zeros((2, QUERIES, 16, 24), np.float32)
    path = plant(tmp_path / 'm.onnx', outputs, metadata={'names': "['a', 'b', 'c', 'd']"})
    with open_planted(path) as detector:
        assert detector.info.warnings == ()
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], PLANTED[image])


def test_values_that_are_scores_already_are_refused_or_told(tmp_path: Path) -> None:
    boxes, scores = _answers(4)
    path = plant(tmp_path / 'm.onnx', {'pred_boxes': boxes, 'logits': scores})
    with (
        open_planted(path, head='detr_sigmoid') as detector,
        pytest.raises(DecodeError, match=r'for all 50 predictions.*set scores to probabilities'),
    ):
        detector.detect(dark_and_bright())
    with open_planted(path, head='detr_sigmoid', scores='probabilities') as detector:
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], PLANTED[image])
