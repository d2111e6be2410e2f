# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Overlap and suppression of rotated boxes, against polygons clipped with Python's numbers."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from support.rotated import corners, overlap
from trt_detector.decode.nms_rotated import rotated_iou, rotated_nms


def _random(seed: int, count: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Make rotated boxes (corners before the rotation, angles)."""
    rng = np.random.default_rng(seed)
    centers, sizes = rng.uniform(0, spread, (count, 2)), rng.uniform(4, 50, (count, 2))
    boxes = np.concatenate((centers - sizes / 2, centers + sizes / 2), axis=1)
    # Angles beyond a turn, and boxes that are parallel or at right angles.
    angles = np.where(
        rng.random(count) < 0.3,
        rng.choice([0, math.pi / 2, math.pi, math.pi / 4], count),
        rng.uniform(-7, 7, count),
    )
    return boxes, angles


@pytest.mark.parametrize('seed', range(3))
def test_the_overlap_is_that_of_the_clipped_polygons(seed: int) -> None:
    first, first_angles = _random(seed, 200, 60)
    second, second_angles = _random(seed + 100, 200, 60)
    # The same box, the same box turned half, one inside the other.
    second[0], second_angles[0] = first[0], first_angles[0]
    second[1], second_angles[1] = first[1], first_angles[1] + math.pi
    center = (first[2, :2] + first[2, 2:]) / 2
    second[2] = np.concatenate((center - 1, center + 1))
    found = rotated_iou(first, first_angles, second, second_angles)
    expected = [
        overlap(corners(a, t), corners(b, u))
        for a, t, b, u in zip(
            first.tolist(), first_angles, second.tolist(), second_angles, strict=True
        )
    ]
    assert sum(value > 0 for value in expected) > 50
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[:2], 1, atol=1e-9)


def test_a_square_on_its_corner() -> None:
    # Of two unit squares, one turned by 45 degrees, the overlap is a regular octagon.
    box = np.array([[-0.5, -0.5, 0.5, 0.5]]) + 1000
    octagon = 2 * (math.sqrt(2) - 1)
    found = rotated_iou(box, np.zeros(1), box, np.array([math.pi / 4]))
    np.testing.assert_allclose(found, octagon / (2 - octagon), atol=1e-9)


@pytest.mark.parametrize(('count', 'spread'), [(0, 10), (1, 10), (60, 80), (1300, 700)])
@pytest.mark.parametrize('agnostic', [False, True])
def test_suppression_is_that_of_the_plain_loop(
    count: int, spread: float, *, agnostic: bool
) -> None:
    boxes, angles = _random(7, count, spread)
    rng = np.random.default_rng(1)
    scores, ids = rng.integers(0, 50, count) / 50, rng.integers(0, 3, count)
    polygons = [corners(b, t) for b, t in zip(boxes.tolist(), angles, strict=True)]
    radius = [math.dist(p[0], p[2]) / 2 for p in polygons]
    middle = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in boxes.tolist()]
    kept: list[int] = []
    for n in sorted(range(count), key=lambda n: -scores[n]):
        rivals = [
            k
            for k in kept
            if (agnostic or ids[k] == ids[n])
            and math.dist(middle[k], middle[n]) < radius[k] + radius[n]
        ]
        if all(overlap(polygons[k], polygons[n]) <= 0.3 for k in rivals):
            kept.append(n)
    found = rotated_nms(boxes, angles, scores, ids, 0.3, count + 1, class_agnostic=agnostic)
    assert found.tolist() == kept
    assert count < 60 or len(kept) < count
    few = rotated_nms(boxes, angles, scores, ids, 0.3, 5, class_agnostic=agnostic)
    assert few.tolist() == kept[:5]


def test_a_side_that_vanishes_beside_its_distance_is_no_error() -> None:
    boxes = np.array([[-1e9, 0, 1e9, 1e-30], [0, 0, 1e-30, 1e-30], [5e8, 5e8, 5e8 + 1, 5e8 + 1]])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        kept = rotated_nms(boxes, np.array([0.3, 1e30, 2]), np.ones(3), np.zeros(3, int), 0.5, 9)
    assert kept.tolist() == [0, 1, 2]
