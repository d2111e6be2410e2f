# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Faults that only the boxes of several images tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.models import constant_detector
from trt_detector.config import DetectorConfig
from trt_detector.decode.first_boxes import count_duplicates, FirstBoxes
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.values.detections import Detections

SIDE = 64
IMAGE = Image.from_array(np.zeros((SIDE, SIDE, 3), np.uint8))


def _open(path: Path, rows: np.ndarray, head: str) -> Detector:
    """Open a detector that answers every picture with the same rows."""
    constant_detector(path / 'm.onnx', rows)
    return create_detector(
        DetectorConfig(
            model_path=str(path / 'm.onnx'), backend='onnxruntime', warmup_iterations=0, head=head
        )
    )


def _detections(*boxes: tuple[float, ...]) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.linspace(0.9, 0.5, count).astype(np.float32),
        np.zeros(count, np.int32),
    )


def _judge(found: Detections, size: tuple[int, int], images: int = 40) -> list[str]:
    """List the kinds of doubt after some images."""
    first = FirstBoxes('end_to_end', suppresses=False)
    return [doubt.kind for _ in range(images) for doubt in first.add(found, size)]


@pytest.mark.parametrize(
    ('boxes', 'classes', 'told'),
    [
        ([(10, 20, 30, 50), (10, 21, 30, 51), (11, 20, 31, 50)], (0, 0, 0), True),
        # Another class, another place.
        ([(10, 20, 30, 50), (10, 21, 30, 51), (11, 20, 31, 50)], (0, 1, 2), False),
        ([(10, 20, 30, 50), (14, 20, 34, 50), (30, 20, 50, 50)], (0, 0, 0), False),
        ([(10, 20, 30, 50), (10, 21, 30, 51)], (0, 0), False),
    ],
)
def test_duplicates_that_nothing_suppresses_are_told(
    boxes: list[tuple[float, ...]], classes: tuple[int, ...], *, told: bool, tmp_path: Path
) -> None:
    rows = np.zeros((20, 6), np.float32)
    for row, (box, label) in enumerate(zip(boxes, classes, strict=True)):
        rows[row] = (*box, 0.9 - 0.1 * row, label)
    with _open(tmp_path, rows, 'end_to_end') as detector:
        for _ in range(20):
            assert len(detector.detect([IMAGE]).detections[0]) == len(boxes)
        warnings = detector.info.warnings
    assert len(warnings) == told
    assert all('20 of the first 30 boxes lie where a better one' in text for text in warnings)
    if told:
        with _open(tmp_path, rows, 'deepstream') as detector:
            assert len(detector.detect([IMAGE]).detections[0]) == 1


WIDE = _detections((10, 20, 30, 150), (5, 8, 60, 100), (12, 8, 20, 24))


def test_boxes_that_begin_with_y_leave_a_wide_input_below() -> None:
    assert _judge(WIDE, (64, 160)) == ['outside']
    some = _detections((10, 20, 30, 150), (5, 8, 60, 60), (12, 8, 20, 24))
    assert _judge(some, (64, 160)) == ['exchanged']
    # Upright inputs the other way round.
    assert _judge(replace(some, boxes_xyxy=some.boxes_xyxy[:, [1, 0, 3, 2]]), (160, 64)) == [
        'exchanged'
    ]
    # A box at the far end of the long side belongs there.
    right = _detections((10, 20, 30, 150), (5, 8, 70, 60), (12, 8, 20, 24))
    assert _judge(right, (64, 160)) == []
    # A square input tells nothing, wherever the boxes lie.
    assert _judge(some, (160, 160)) == []
    assert _judge(replace(some, boxes_xyxy=some.boxes_xyxy[:, [1, 0, 3, 2]]), (64, 64)) == []
    # Nor do a few boxes, as those that an edge cuts.
    inside = [(10, 20, 30, 60), (12, 8, 20, 24), (30, 30, 50, 50), (5, 5, 60, 60)]
    assert _judge(_detections((10, 20, 30, 150), *inside), (64, 160)) == []


@pytest.mark.parametrize(('degenerate', 'told'), [(7, False), (8, True)])
def test_a_fifth_of_all_candidates_has_to_have_no_area(degenerate: int, *, told: bool) -> None:
    # 7 of 37 are less than a fifth, 8 of 38 are more.
    boxes = [(x, y, x + 5, y + 5) for x in range(0, 60, 10) for y in range(0, 50, 10)]
    found = replace(_detections(*boxes), degenerate=degenerate)
    assert (_judge(found, (64, 64), images=1) == ['degenerate']) == told


def test_a_duplicate_lies_where_a_better_box_does() -> None:
    # The second and the third box are 8 pixels from the first, and 16 from each other:
    # 92 / 108 = 0.85 of their union is shared, and 84 / 116 = 0.72.
    boxes = ((20, 0, 120, 100), (28, 0, 128, 100), (12, 0, 112, 100))
    assert count_duplicates(_detections(*boxes)) == 2
    assert count_duplicates(_detections(boxes[1], boxes[2])) == 0
    # Boxes apart in both directions share nothing.
    assert count_duplicates(_detections((0, 0, 10, 10), (20, 20, 30, 30))) == 0
    # The upright boxes of rotated ones tell nothing.
    turned = replace(_detections(*boxes), angles=np.array([0, 0.8, 1.6], np.float32))
    assert count_duplicates(turned) == 0


@pytest.mark.parametrize(('degenerate', 'told'), [(0, False), (1, True)])
def test_some_boxes_without_area_make_the_others_doubtful(degenerate: int, *, told: bool) -> None:
    found = replace(_detections((5, 5, 30, 30), (9, 9, 40, 40)), degenerate=degenerate)
    assert (_judge(found, (64, 64)) == ['degenerate']) == told
    assert _judge(found, (64, 64), images=14) == []
