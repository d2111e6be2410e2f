# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the change of the frame of a box."""

from __future__ import annotations

import numpy as np
from trt_detector.depth.box3d import Box3D


def test_transform_moves_the_center_and_turns_axes_and_covariance() -> None:
    size, covariance = np.array([4.0, 5.0, 6.0]), np.diag([7.0, 8.0, 9.0])
    box = Box3D(np.array([1.0, 2.0, 3.0]), np.eye(3), size, covariance)
    # From a camera (right, down, forward) to a vehicle (forward, left, up) half a meter above it.
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    moved = box.transform(turn, np.array([0.0, 0.0, 0.5]))
    np.testing.assert_array_equal(moved.center, [3, -1, -1.5])
    np.testing.assert_array_equal(moved.size, [4, 5, 6])
    np.testing.assert_array_equal(moved.rotation, turn)
    np.testing.assert_array_equal(moved.covariance, np.diag([9, 7, 8]))
