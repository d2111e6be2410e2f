# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Greedy non-maximum suppression of rotated boxes by the exact overlap of their areas."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .overlap import enclose_rotated

__all__ = ['rotated_iou', 'rotated_nms', 'suppress_pairs']

_Array = npt.NDArray[Any]

# Boxes that are compared with each other at once.
_BLOCK = 512
# In box sides: a corner on an edge counts as inside.
_EPSILON = 1e-9
# Signs of the corners, in their order around the box.
_CORNERS = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


def rotated_nms(
    boxes_xyxy: _Array,
    angles: _Array,
    scores: _Array,
    class_ids: _Array,
    iou_threshold: float,
    max_detections: int,
    *,
    class_agnostic: bool = False,
) -> npt.NDArray[np.intp]:
    """
    Keep the best box of every group of overlapping rotated boxes.

    A box is suppressed if a kept box of higher score has an intersection over union with it above
    the threshold. Boxes of equal score keep their order.

    :param boxes_xyxy: (n, 4) in pixels, before the rotation about their centers; of positive size.
    :param angles: (n,) in radians, from the x axis to the y axis.
    :param scores: (n,), finite.
    :param class_ids: (n,) integers, 0 or more.
    :param iou_threshold: 0 to 1.
    :param max_detections: maximum number of kept boxes.
    :param class_agnostic: boxes of different classes suppress each other.
    :return: indices of the kept boxes, highest score first.
    """
    order = np.argsort(-scores, kind='stable')
    boxes = boxes_xyxy[order].astype(np.float64)
    turns = angles[order].astype(np.float64)
    ids = np.zeros(len(order), np.intp) if class_agnostic else class_ids[order]
    reach = enclose_rotated(boxes.T, turns).T
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        # By the boxes that are kept already, then by those of the block.
        block = _suppress(kept, block, boxes, turns, ids, reach, iou_threshold)
        block = _suppress(block, block, boxes, turns, ids, reach, iou_threshold)
        kept = np.concatenate((kept, block))
        if len(kept) >= max_detections:
            break
    return order[kept[:max_detections]]


def _suppress(
    better: npt.NDArray[np.intp],
    worse: npt.NDArray[np.intp],
    boxes: _Array,
    angles: _Array,
    ids: _Array,
    reach: _Array,
    limit: float,
) -> npt.NDArray[np.intp]:
    """Drop those of the worse boxes that a better one suppresses; both may be the same boxes."""
    same = ids[better][:, None] == ids[worse]
    low = np.maximum(reach[better][:, None, :2], reach[worse][:, :2])
    high = np.minimum(reach[better][:, None, 2:], reach[worse][:, 2:])
    rows, columns = np.nonzero(same & (high > low).all(axis=2))
    pairs = better[rows] < worse[columns]
    first, second = better[rows[pairs]], worse[columns[pairs]]
    hits = rotated_iou(boxes[first], angles[first], boxes[second], angles[second]) > limit
    return worse[~np.isin(worse, list(suppress_pairs(first[hits], second[hits])))]


def suppress_pairs(better: npt.NDArray[np.intp], worse: npt.NDArray[np.intp]) -> set[int]:
    """
    Find the boxes that a better box suppresses which is not suppressed itself.

    :param better: (m,) rank of the better box of each pair that overlaps too much.
    :param worse: (m,) rank of the other one.
    :return: ranks of the suppressed boxes.
    """
    suppressed: set[int] = set()
    # By the better box: whether it is suppressed itself is known when its pairs come.
    for one, other in sorted(zip(better.tolist(), worse.tolist(), strict=True)):
        if one not in suppressed:
            suppressed.add(other)
    return suppressed


def rotated_iou(
    first: _Array, first_angles: _Array, second: _Array, second_angles: _Array
) -> npt.NDArray[np.float64]:
    """
    Compute the intersection over union of pairs of rotated boxes.

    :param first: (m, 4) corners before the rotation, of positive size.
    :param first_angles: (m,) in radians.
    :param second: (m, 4).
    :param second_angles: (m,).
    :return: (m,).
    """
    # Relative to one center, so that large coordinates lose no digits.
    origin = (first[:, :2] + first[:, 2:]) / 2
    a = _corners(first, first_angles, origin)
    b = _corners(second, second_angles, origin)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    # A side that vanishes beside its distance from the origin divides by zero. Parallel edges do,
    # too. NaN and infinity satisfy no comparison: such a pair has no overlap.
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        points, valid = _intersection_points(a, b)
        points = np.concatenate((points, a, b), axis=1)
        valid = np.concatenate((valid, _contains(b, a), _contains(a, b)), axis=1)
        overlap = _convex_area(points, valid)
        iou = overlap / (areas[0] + areas[1] - overlap)
    return np.asarray(np.nan_to_num(iou, posinf=0.0))


def _corners(boxes: _Array, angles: _Array, origin: _Array) -> _Array:
    """Compute the corners (n, 4, 2) of rotated boxes relative to an origin (n, 2)."""
    local = _CORNERS * (boxes[:, None, 2:] - boxes[:, None, :2])
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x = cosine * local[..., 0] - sine * local[..., 1]
    y = sine * local[..., 0] + cosine * local[..., 1]
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2 - origin
    return np.stack((x, y), axis=2) + centers[:, None]


def _contains(boxes: _Array, points: _Array) -> npt.NDArray[np.bool_]:
    """Tell which points (m, k, 2) are inside boxes, given by their corners (m, 4, 2)."""
    inside = np.ones(points.shape[:2], np.bool_)
    for near in (1, 3):
        # Along the sides from corner 0, as fractions of the side.
        side = boxes[:, near] - boxes[:, 0]
        fraction = np.einsum('mkd,md->mk', points - boxes[:, None, 0], side)
        fraction /= np.einsum('md,md->m', side, side)[:, None]
        inside &= (fraction >= -_EPSILON) & (fraction <= 1 + _EPSILON)
    return inside


def _intersection_points(a: _Array, b: _Array) -> tuple[_Array, npt.NDArray[np.bool_]]:
    """Compute where the edges of pairs of boxes intersect: (m, 16, 2) points and their mask."""
    start, edge = a[:, :, None], (np.roll(a, -1, axis=1) - a)[:, :, None]
    other, other_edge = b[:, None], (np.roll(b, -1, axis=1) - b)[:, None]
    gap = other - start
    denominator = _cross(edge, other_edge)
    along = _cross(gap, other_edge) / denominator
    along_other = _cross(gap, edge) / denominator
    valid = (along >= 0) & (along <= 1) & (along_other >= 0) & (along_other <= 1)
    points = start + np.where(valid, along, 0)[..., None] * edge
    return points.reshape(len(a), 16, 2), valid.reshape(len(a), 16)


def _cross(a: _Array, b: _Array) -> _Array:
    """Compute the cross product of vectors (..., 2)."""
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _convex_area(points: _Array, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Compute the area of the convex polygons that the valid points (m, k, 2) span."""
    count = valid.sum(axis=1)
    mask = valid[..., None]
    center = (points * mask).sum(axis=1) / np.maximum(count, 1)[:, None]
    offsets = np.where(mask, points - center[:, None], 0)
    around = np.where(valid, np.arctan2(offsets[..., 1], offsets[..., 0]), np.inf)
    order = np.argsort(around, axis=1, kind='stable')
    offsets = np.take_along_axis(offsets, order[..., None], axis=1)
    # The points that are not valid come last; the first one in their place closes the polygon.
    last = np.take_along_axis(valid, order, axis=1)[..., None]
    offsets = np.where(last, offsets, offsets[:, :1])
    following = np.roll(offsets, -1, axis=1)
    area = np.abs(_cross(offsets, following).sum(axis=1)) / 2
    return np.where(count >= 3, area, 0.0)
