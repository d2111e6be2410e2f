# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the filter of blocks against the full one with matrices (8, 8)."""

from __future__ import annotations

import numpy as np
import pytest
from trt_detector.tracking import kalman

STEPS_S = (1 / 30, 0.1, 0.5, 0.0, 1 / 15)


def _noise(
    height: float, position: float, velocity: float, aspect: float, turn: float
) -> np.ndarray:
    """Return a diagonal covariance (8, 8) of ByteTrack, per image, velocities per second."""
    p, v = height * position, height * velocity * 30
    return np.diag(np.array([p, p, aspect, p, v, v, turn * 30, v]) ** 2)


def _full_filter(measured: np.ndarray) -> list[np.ndarray]:
    """Filter the measurements (t, 4) of one box; return the means (8,) after each."""
    mean = np.concatenate((measured[0], np.zeros(4)))
    covariance = _noise(measured[0, 3], 2 / 20, 10 / 160, 1e-2, 1e-5)
    means = [mean]
    observe = np.eye(4, 8)
    for row, step_s in zip(measured[1:], STEPS_S, strict=True):
        motion = np.eye(8)
        motion[:4, 4:] = np.eye(4) * step_s
        noise = _noise(mean[3], 1 / 20, 1 / 160, 1e-2, 1e-5) * step_s * 30
        mean = motion @ mean
        covariance = motion @ covariance @ motion.T + noise
        h = mean[3] / 20
        innovation = observe @ covariance @ observe.T + np.diag([h, h, 1e-1, h]) ** 2
        gain = covariance @ observe.T @ np.linalg.inv(innovation)
        mean = mean + gain @ (row - observe @ mean)
        covariance = (np.eye(8) - gain @ observe) @ covariance
        means.append(mean)
    return means


def test_blocks_give_the_means_of_the_full_covariance() -> None:
    random = np.random.default_rng(5)
    start = np.column_stack((random.uniform(50, 900, (7, 2)), random.uniform(20, 90, (7, 2))))
    start[:, 2] = random.uniform(0.3, 3, 7)
    tracks = start + random.normal(0, 4, (len(STEPS_S) + 1, 7, 4)) * [1, 1, 0.02, 1]
    state = kalman.initiate(tracks[0].T)
    for step, step_s in enumerate(STEPS_S, 1):
        kalman.predict(state, step_s)
        state = kalman.update(state, tracks[step].T)
        for number in range(7):
            wanted = _full_filter(tracks[:, number])[step]
            np.testing.assert_allclose(state[:2, :, number].ravel(), wanted, rtol=1e-9)


def test_boxes_survive_the_way_to_a_state_and_back() -> None:
    boxes = np.array([[10.0, 20, 50, 100], [-5, 3, 7, 4]]).T
    state = kalman.initiate(kalman.to_measurements(boxes))
    np.testing.assert_allclose(kalman.to_boxes(state), boxes)


def test_boxes_without_size_stay_finite() -> None:
    boxes = np.array([[10.0, 20, 10, 20], [5, 5, 5, 9], [5, 5, 9, 5]]).T
    with np.errstate(all='raise'):
        measured = kalman.to_measurements(boxes)
        found = kalman.to_boxes(kalman.initiate(measured))
    np.testing.assert_allclose(found, boxes, atol=0.01)


def test_a_height_that_was_predicted_below_zero_gives_a_box() -> None:
    state = kalman.initiate(np.array([[50.0], [60], [0.5], [40]]))
    state[0, 3] = -2
    left, top, right, bottom = kalman.to_boxes(state)[:, 0]
    assert left < right
    assert top < bottom
    assert [left, bottom] == pytest.approx([50, 60], abs=0.01)
