# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Overlap of boxes, compared with the plain formula for one pair."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from support.rotated import corners
from trt_detector.decode.overlap import (
    enclose_rotated,
    intersection_areas,
    intersection_over_union,
)


def _make_edges(rng: np.random.Generator, count: int, dtype: npt.DTypeLike) -> np.ndarray:
    """Make boxes (4, n) near each other: many overlap, some touch, are equal or have no area."""
    corner = rng.integers(0, 40, (2, count)) / 4
    sides = rng.integers(0, 40, (2, count)) / 4 + rng.choice([0, 1 / 3], (1, count))
    return np.concatenate((corner, corner + sides)).astype(dtype)


def _overlap(a: np.ndarray, b: np.ndarray) -> tuple[np.floating, np.floating]:
    """Calculate the common area of two boxes and their IoU, in the type of the edges."""
    zero = a.dtype.type(0)
    width = max(min(a[2], b[2]) - max(a[0], b[0]), zero)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), zero)
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared, shared / union if union > 0 else zero


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_all_pairs_have_the_overlap_of_each_pair_to_the_last_bit(dtype: type) -> None:
    rng = np.random.default_rng(7)
    first, second = _make_edges(rng, 60, dtype), _make_edges(rng, 80, dtype)
    shared = intersection_areas(first[:, :, None], second)
    iou = intersection_over_union(first[:, :, None], second)
    assert shared.dtype == iou.dtype == dtype
    expected = np.array([[_overlap(a, b) for b in second.T] for a in first.T], dtype)
    np.testing.assert_array_equal(shared, expected[..., 0])
    np.testing.assert_array_equal(iou, expected[..., 1])
    assert 0.2 < np.count_nonzero(iou) / iou.size < 0.9


def test_pairs_in_a_row_have_the_overlap_of_the_matrix() -> None:
    rng = np.random.default_rng(8)
    first, second = _make_edges(rng, 50, np.float64), _make_edges(rng, 50, np.float64)
    matrix = intersection_over_union(first[:, :, None], second)
    np.testing.assert_array_equal(intersection_over_union(first, second), np.diag(matrix))


def test_boxes_without_area_have_no_overlap_with_themselves() -> None:
    edges = np.array([[5, 5, 5, 9], [3, 3, 8, 3]], np.float32).T
    np.testing.assert_array_equal(intersection_over_union(edges, edges), [0, 0])


def test_a_rotated_box_is_enclosed_by_the_extremes_of_its_corners() -> None:
    rng = np.random.default_rng(9)
    edges, angles = _make_edges(rng, 100, np.float64), rng.uniform(-4, 4, 100)
    enclosing = enclose_rotated(edges, angles)
    for box, angle, found in zip(edges.T, angles, enclosing.T, strict=True):
        x, y = zip(*corners(box.tolist(), float(angle)), strict=True)
        np.testing.assert_allclose(found, [min(x), min(y), max(x), max(y)], atol=1e-12)
