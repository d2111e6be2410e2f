# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of detections, and the corners of rotated boxes."""

from __future__ import annotations

import cmath
from dataclasses import replace
import math

import numpy as np
import pytest
from trt_detector.values.detections import Detections


def _three() -> Detections:
    return Detections(
        np.array([[10, 20, 50, 40], [0, 0, 1, 1], [5, 5, 9, 9]], np.float32),
        np.array([0.9, 0.8, 0.7], np.float32),
        np.array([3, 4, 5], np.int32),
        angles=np.array([0.0, 0.5, 1.0], np.float32),
        track_ids=np.array([7, 0, 9]),
    )


@pytest.mark.parametrize('angle', [None, 0.0, 0.3, math.pi / 2, -2.0])
def test_corners_are_turned_about_the_center_to_the_lower_side(angle: float | None) -> None:
    box = np.array([[10, 20, 50, 40]], np.float32)
    found = Detections(
        box, np.ones(1, np.float32), np.zeros(1, np.int32),
        angles=None if angle is None else np.array([angle], np.float32),
    ).find_corners(0)  # fmt: skip
    # Upper left, upper right, lower right, lower left, in the complex plane with y down.
    center, turn = 30 + 30j, cmath.exp(1j * (angle or 0))
    expected = [center + turn * (x - center) for x in (10 + 20j, 50 + 20j, 50 + 40j, 10 + 40j)]
    assert found == [pytest.approx((corner.real, corner.imag), abs=1e-4) for corner in expected]


def test_rows_are_selected_in_every_array() -> None:
    found = _three().select(np.array([2, 0]))
    assert found.boxes_xyxy[:, 0].tolist() == [5, 10]
    assert found.scores.tolist() == pytest.approx([0.7, 0.9])
    assert found.class_ids.tolist() == [5, 3]
    assert found.angles is not None
    assert found.angles.tolist() == [1.0, 0.0]
    assert found.track_ids is not None
    assert found.track_ids.tolist() == [9, 7]
    three = _three()
    assert three.first(3) is three
    assert three.first(2).class_ids.tolist() == [3, 4]


@pytest.mark.parametrize(
    ('name', 'values'),
    [
        ('boxes_xyxy', np.zeros((2, 4), np.float32)),
        ('boxes_xyxy', np.zeros((3, 5), np.float32)),
        ('scores', np.zeros((3, 1), np.float32)),
        ('class_ids', np.zeros(2, np.int32)),
        ('angles', np.zeros(2, np.float32)),
        ('track_ids', np.zeros(4, np.int64)),
    ],
)
def test_arrays_of_other_lengths_are_refused(name: str, values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f'{name}.* have '):
        replace(_three(), **{name: values})
