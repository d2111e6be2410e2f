# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Kalman filter of many boxes, with time steps in seconds.

It is the filter of ByteTrack with center, aspect ratio and height, each with a velocity. The noise
is diagonal and each value is measured, so that the covariance (8, 8) of a box never has more than
four blocks (2, 2), one per value. A state is therefore an array (5, 4, n): values, velocities, and
the three entries of each block.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ['initiate', 'predict', 'to_boxes', 'to_measurements', 'update']

Floats = npt.NDArray[np.float64]

# The noise of ByteTrack is per image, at the 30 images per second of its data.
_RATE = 30.0
# Standard deviations of center and height, as shares of the height; those of the aspect ratio.
_POSITION, _VELOCITY = 1 / 20, _RATE / 160
_ASPECT, _ASPECT_VELOCITY, _ASPECT_MEASURED = 1e-2, 1e-5 * _RATE, 1e-1
_HEIGHT_ROW, _ASPECT_ROW = 3, 2
_SMALLEST = 1e-3


def to_measurements(boxes: Floats) -> Floats:
    """Convert boxes (4, n), left, top, right, bottom, to center, aspect ratio and height."""
    measured = np.empty_like(boxes)
    np.add(boxes[:2], boxes[2:], out=measured[:2])
    measured[:2] *= 0.5
    width, height = np.maximum(boxes[2:] - boxes[:2], _SMALLEST)
    np.divide(width, height, out=measured[2])
    measured[3] = height
    return measured


def to_boxes(state: Floats) -> Floats:
    """Convert a state (5, 4, n) to boxes (4, n): left, top, right, bottom."""
    center = state[0, :2]
    half = np.maximum(state[0, 2:], _SMALLEST)
    half[0] *= half[1]
    half *= 0.5
    boxes = np.empty((4, state.shape[2]))
    np.subtract(center, half, out=boxes[:2])
    np.add(center, half, out=boxes[2:])
    return boxes


def _variances(heights: Floats, share: float, aspect: float) -> Floats:
    """Calculate variances (4, n) that grow with the height of the box."""
    variances = np.empty((4, len(heights)))
    np.square(heights * share, out=variances[0])
    variances[1] = variances[_HEIGHT_ROW] = variances[0]
    variances[_ASPECT_ROW] = aspect**2
    return variances


def initiate(measured: Floats) -> Floats:
    """Make the state (5, 4, n) of new tracks, at rest, from measurements (4, n)."""
    state = np.zeros((5, *measured.shape))
    heights = measured[_HEIGHT_ROW]
    state[0] = measured
    state[2] = _variances(heights, 2 * _POSITION, _ASPECT)
    state[4] = _variances(heights, 10 * _VELOCITY, _ASPECT_VELOCITY)
    return state


def predict(state: Floats, step_s: float) -> None:
    """Move a state (5, 4, n) forward in place by a time step in seconds."""
    value, velocity, variance, covariance, velocity_variance = state
    heights = np.maximum(value[_HEIGHT_ROW], _SMALLEST)
    images = step_s * _RATE
    value += velocity * step_s
    variance += (2 * covariance + velocity_variance * step_s) * step_s
    variance += _variances(heights, _POSITION, _ASPECT) * images
    covariance += velocity_variance * step_s
    velocity_variance += _variances(heights, _VELOCITY, _ASPECT_VELOCITY) * images


def update(state: Floats, measured: Floats) -> Floats:
    """Correct a state (5, 4, n) by measurements (4, n); return the corrected one."""
    value, velocity, variance, covariance, velocity_variance = state
    heights = np.maximum(value[_HEIGHT_ROW], _SMALLEST)
    total = variance + _variances(heights, _POSITION, _ASPECT_MEASURED)
    gain, velocity_gain = variance / total, covariance / total
    residual = measured - value
    left = 1.0 - gain
    corrected = np.empty_like(state)
    corrected[0] = value + gain * residual
    corrected[1] = velocity + velocity_gain * residual
    corrected[2] = variance * left
    corrected[3] = covariance * left
    corrected[4] = velocity_variance - velocity_gain * covariance
    return corrected
