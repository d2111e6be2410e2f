# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of candidates by their best class, whichever way the scores lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trt_detector.decode import DecodeOptions
from trt_detector.decode.postprocess import best_of_classes, filter_and_suppress, read_counts
from trt_detector.errors import DecodeError
from trt_detector.values.detections import Detections


@pytest.mark.parametrize('minimum', [0.0, 0.3, 0.95, 1.1])
@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_predictions_are_selected_by_their_best_class(
    minimum: float, dtype: type[np.floating]
) -> None:
    rng = np.random.default_rng(0)
    rows = (rng.uniform(0, 1, (200, 5)) ** 6).astype(dtype)
    rows[7, 3] = np.nan
    rows[8] = np.nan
    rows[9, 1] = np.inf
    expected = []
    for number, values in enumerate(rows.tolist()):
        if any(value != value for value in values):
            expected.append((number, float('nan')))
        elif max(values) >= minimum:
            expected.append((number, max(values)))
    for scores in (rows.T, np.ascontiguousarray(rows.T), rows[:, 1:].T):
        if len(scores) == 4:
            # A part of wider rows: what decides is its own columns.
            wanted = [n for n, r in enumerate(rows[:, 1:]) if not (r < minimum).all()]
            assert best_of_classes(scores, minimum)[0].tolist() == wanted
            continue
        found, best = best_of_classes(scores, minimum)
        assert found.tolist() == [number for number, _ in expected]
        np.testing.assert_array_equal(best, np.float32([score for _, score in expected]))


@pytest.mark.parametrize('classes', [1, 2, 5])
def test_a_score_that_is_the_minimum_is_enough(classes: int) -> None:
    wide = np.zeros((30, classes + 4), np.float32)
    wide[[3, 4, 20], -1] = 0.5, 0.25, 0.75
    wide[12, 4] = 0.5
    for scores in (wide[:, 4:].T, np.ascontiguousarray(wide[:, 4:].T)):
        found, best = best_of_classes(scores, 0.5)
        assert found.tolist() == [3, 12, 20]
        assert best.tolist() == [0.5, 0.5, 0.75]


@pytest.mark.parametrize('finite', [True, False])
def test_values_beyond_all_pictures_count_as_infinite(*, finite: bool) -> None:
    boxes = np.tile(np.float32([10, 10, 30, 40]), (6, 1))
    scores = np.full(6, 0.5, np.float32)
    classes = np.arange(6, dtype=np.float32)
    boxes[1, 2] = 2e9
    boxes[2, 3] = np.inf
    scores[3] = np.inf
    classes[4] = 2.0**31
    mask = None if finite else np.array([True] * 5 + [False])
    valid = [0, 5] if finite else [0]
    for bad in (1, 2, 3, 4):
        # One bad candidate alone, and all of them together.
        rows = [0, bad, 5]
        part = None if mask is None else mask[rows]
        found = filter_and_suppress(
            boxes[rows], scores[rows], classes[rows], DecodeOptions(), suppress=True, finite=part
        )
        assert found.class_ids.tolist() == valid
        assert found.invalid == 3 - len(valid)
    found = filter_and_suppress(
        boxes, scores, classes, DecodeOptions(), suppress=True, finite=mask
    )
    assert found.class_ids.tolist() == valid
    assert found.invalid == 6 - len(valid)


def test_no_predictions_and_no_classes() -> None:
    for shape in ((0, 3), (4, 3)):
        found, best = best_of_classes(np.zeros(shape, np.float32).T, 0.5)
        assert (len(found), len(best)) == (0, 0)


@pytest.mark.parametrize('sizes', [(3, 2, 3), (3, 3, 1), (1, 4, 4), (0, 2, 2)])
def test_outputs_of_different_numbers_are_refused(sizes: tuple[int, int, int]) -> None:
    boxes, scores, classes = sizes
    arrays = (np.ones((boxes, 4), np.float32), np.ones(scores, np.float32), np.ones(classes))
    with pytest.raises(DecodeError, match=rf'boxes \[{boxes}, 4\], scores \[{scores}\]'):
        filter_and_suppress(*arrays, DecodeOptions(), suppress=True)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('dtype', [np.float16, np.float32])
def test_counts_that_are_not_finite_are_refused(value: float, dtype: type[np.floating]) -> None:
    with pytest.raises(DecodeError, match='number of detections is .*expected whole numbers'):
        read_counts(np.array([[3], [value]], dtype), 2)


def test_counts_are_read_from_any_type() -> None:
    for dtype in (np.int32, np.int64, np.float32):
        assert read_counts(np.array([[3], [-1]], dtype), 2) == [3, 0]
        assert read_counts(np.array([0, 7], dtype), 2) == [0, 7]


def _filter(
    boxes: list[list[float]], scores: list[float], classes: list[float], **more: Any
) -> Detections:
    options = DecodeOptions(0.25, more.pop('iou_threshold', 1.0), 300)
    return filter_and_suppress(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(classes, np.float32),
        options,
        suppress=more.pop('suppress', True),
        **more,
    )


def test_boxes_without_area_are_counted_if_they_would_have_counted() -> None:
    boxes = [[5, 5, 9, 9], [9, 5, 5, 9], [5, 9, 9, 5], [5, 5, 5, 9], [5, 5, 9, 5], [9, 9, 5, 5]]
    found = _filter(boxes, [0.9, 0.8, 0.7, 0.6, 0.5, 0.2], [0] * 6)
    assert found.boxes_xyxy.tolist() == [[5, 5, 9, 9]]
    # The last one scores too little anyway.
    assert (found.degenerate, found.invalid) == (4, 0)
    # One that is not finite is no box without area, and the other way around.
    found = _filter([*boxes[:2], [9, 5, np.nan, 9]], [0.9, 0.8, 0.7], [0] * 3)
    assert (len(found), found.degenerate, found.invalid) == (1, 1, 1)


@pytest.mark.parametrize('suppress', [True, False])
def test_equal_scores_keep_their_order(*, suppress: bool) -> None:
    boxes = [[10 * n, 10, 10 * n + 8, 18] for n in range(40)]
    scores = [0.5, 0.75] * 20
    found = _filter(boxes, scores, list(range(40)), suppress=suppress, iou_threshold=0.5)
    assert found.class_ids.tolist() == [*range(1, 40, 2), *range(0, 40, 2)]


def test_a_threshold_of_one_suppresses_nothing() -> None:
    # Of equal boxes the overlap may round to a little more than 1.
    boxes = [[0.1, 0.1, 0.30000001, 0.7]] * 3
    assert len(_filter(boxes, [0.5, 0.6, 0.7], [0] * 3)) == 3
    assert len(_filter(boxes, [0.5, 0.6, 0.7], [0] * 3, iou_threshold=0.99)) == 1


def test_class_values_are_rounded_and_their_error_told() -> None:
    found = _filter([[5, 5, 9, 9]] * 3, [0.9, 0.8, 0.1], [1.25, 2.0, 3.5])
    assert found.class_ids.tolist() == [1, 2]
    assert found.class_error == 0.25
