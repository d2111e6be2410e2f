# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Labels, boxes and scores: of selected objects, or of every anchor with duplicates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.planted import (
    assert_same,
    dark_and_bright,
    Found,
    HEIGHT,
    open_planted,
    plant,
    STRIDES,
    WIDTH,
)  # fmt: skip

ANCHORS = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)
OBJECTS: list[Found] = [
    (10, 20, 40, 50, 0.9, 1),
    (50, 4, 90, 36, 0.8, 0),
    (44, 40, 60, 62, 0.6, 2),
]
# Overlaps the first object by 0.9.
DUPLICATE: Found = (11, 20, 41, 50, 0.85, 1)


def _answers(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make boxes [2, rows, 4], scores [2, rows] and labels [2, rows], the same for both images."""
    found = [*OBJECTS, DUPLICATE]
    values = np.zeros((rows, 6), np.float32)
    values[:, :4] = (8, 8, 16, 16)
    values[: len(found)] = found
    both = np.stack([values, values])
    return both[..., :4], both[..., 4], both[..., 5].astype(np.int64)


@pytest.mark.parametrize(('rows', 'every'), [(ANCHORS, True), (3 * ANCHORS, True), (100, False)])
@pytest.mark.parametrize('kind', ['labels', 'dets'])
def test_a_row_per_anchor_has_duplicates(
    kind: str, rows: int, *, every: bool, tmp_path: Path
) -> None:
    boxes, scores, labels = _answers(rows)
    outputs = {'labels': labels, 'boxes': boxes, 'scores': scores}
    if kind == 'dets':
        outputs = {'dets': np.concatenate((boxes, scores[..., None]), axis=2), 'labels': labels}
    path = plant(tmp_path / 'm.onnx', outputs)
    expected = OBJECTS if every else sorted([*OBJECTS, DUPLICATE], key=lambda one: -one[4])
    with open_planted(path) as detector:
        for found in detector.detect(dark_and_bright()).detections:
            assert_same(found, expected)
        if kind == 'labels':
            assert len(detector.info.warnings) == every
            assert all('duplicates are suppressed' in text for text in detector.info.warnings)
            assert ('letterbox center' in detector.description) == every
