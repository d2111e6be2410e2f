# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Upright boxes of detections, and the intersection over union of boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..values.detections import Detections
from .kalman import Floats

__all__ = ['intersection_over_union', 'upright_boxes']


def upright_boxes(detections: Detections) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """
    Make the boxes (4, n) of detections: left, top, right, bottom.

    A rotated box becomes the upright one around it: width, height and angle can jump between two
    images of the same object, that one cannot.

    :return: the boxes, and the mask (n,) of the finite ones; the others are zero.
    """
    boxes = np.ascontiguousarray(detections.boxes_xyxy.T, np.float64)
    finite = np.asarray(np.isfinite(boxes).all(axis=0))
    if detections.angles is not None:
        finite &= np.isfinite(detections.angles)
    if not finite.all():
        boxes[:, ~finite] = 0.0
    if detections.angles is None:
        return boxes, finite
    angles = np.where(finite, detections.angles, 0.0)
    cos, sin = np.abs(np.cos(angles)), np.abs(np.sin(angles))
    center, (width, height) = (boxes[:2] + boxes[2:]) / 2, boxes[2:] - boxes[:2]
    half = np.stack((width * cos + height * sin, width * sin + height * cos)) / 2
    return np.concatenate((center - half, center + half)), finite


def intersection_over_union(first: Floats, second: Floats) -> Floats:
    """Calculate the IoU (n, m) of boxes (4, n) and (4, m): left, top, right, bottom."""
    left, top, right, bottom = first[:, :, None]
    shared = np.minimum(right, second[2])
    shared -= np.maximum(left, second[0])
    np.maximum(shared, 0.0, out=shared)
    height = np.minimum(bottom, second[3])
    height -= np.maximum(top, second[1])
    np.maximum(height, 0.0, out=height)
    shared *= height
    areas = (second[2] - second[0]) * (second[3] - second[1])
    union = (right - left) * (bottom - top) + areas
    union -= shared
    np.maximum(union, 1e-9, out=union)
    shared /= union
    return np.asarray(shared)
