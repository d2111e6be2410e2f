# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of candidates by their best class, whichever way the scores lie in memory."""

from __future__ import annotations

import numpy as np
import pytest
from trt_detector.decode import DecodeOptions
from trt_detector.decode.postprocess import best_of_classes, filter_and_suppress, read_counts
from trt_detector.errors import DecodeError


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
