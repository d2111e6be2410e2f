# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detections of the parts of an image, merged so that every object is reported once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..decode.nms_rotated import rotated_iou, suppress_pairs
from ..decode.overlap import box_areas, enclose_rotated, intersection_areas
from ..values.detections import Detections
from .grid import Box

__all__ = ['CUT_SHARE', 'PartDetections', 'merge_parts']

CUT_SHARE = 0.6
"""A cut box yields to a box that holds more than this share of its area."""

# In pixels of the network's input: the box of an object that a border cuts ends this close to it.
_MARGIN_PX = 4
# In pixels of the network's input: boxes of smaller objects, and their classes, are inaccurate.
_COARSE_PX = 32
# Pairs of boxes that are compared at once.
_BLOCK = 1 << 15

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class PartDetections:
    """
    Detections in a part of an image.

    :param box_xyxy: the part, in pixels of the image.
    :param detections: in pixels of the part.
    :param scale_xy: pixels of the image per pixel of the network's input, horizontally and
        vertically.
    """

    box_xyxy: Box
    detections: Detections
    scale_xy: tuple[float, float]


def merge_parts(
    parts: Sequence[PartDetections],
    size_wh: tuple[int, int],
    *,
    iou_threshold: float,
    class_agnostic: bool,
    max_detections: int,
) -> Detections:
    """
    Merge the detections of the parts of an image.

    A box is suppressed by a box of higher score, of another part and of the same class, if their
    intersection over union is above the threshold. Two kinds of boxes come after all others,
    whatever their scores, and yield to boxes of any class, because theirs is often wrong:

    - first those of the whole image that are coarse: below 32 pixels of the network's input. A
      tile shows the object larger.
    - then those that an inner border of their tile cuts. They also yield if more than
      :data:`CUT_SHARE` of them is inside the other box. That is the intersection over the smaller
      box, because a piece is smaller than its object.

    Boxes of one part do not suppress each other: its head has decided about them.

    :param parts: of one image; at least one.
    :param size_wh: width and height of the image in pixels.
    :param iou_threshold: as for non-maximum suppression.
    :param class_agnostic: boxes of different classes suppress each other.
    :param max_detections: maximum number of boxes to return.
    :return: in pixels of the image, highest score first; equal scores keep the order of the parts.
    """
    all_found, numbers, is_cut, is_coarse = _join(parts, size_wh)
    order = np.lexsort((-all_found.scores, is_coarse, is_cut))
    found, cut, coarse = all_found.select(order), is_cut[order], is_coarse[order]
    first, second = _find_pairs(_find_bounds(found), numbers[order])
    iou, share = _overlap(found, first, second)
    rivals = found.class_ids[first] == found.class_ids[second]
    rivals |= class_agnostic | (cut | coarse)[second]
    hits = (rivals & (iou > iou_threshold)) | (cut[second] & (share > CUT_SHARE))
    suppressed = suppress_pairs(first[hits], second[hits])
    # Back in the order of the parts, so that equal scores keep it.
    kept = np.sort(np.delete(order, list(suppressed)))
    best = np.argsort(-all_found.scores[kept], kind='stable')[:max_detections]
    return all_found.select(kept[best])


def _join(
    parts: Sequence[PartDetections], size_wh: tuple[int, int]
) -> tuple[Detections, npt.NDArray[np.intp], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """
    Join the detections of all parts, in pixels of the image.

    :return: them, the number of the part of each, whether an inner border cuts it, and whether
        it is coarse.
    """
    shifted = [_shift(part) for part in parts]
    lists = list(zip(parts, shifted, strict=True))
    angles = [found.angles for found in shifted if found.angles is not None]
    joined = Detections(
        np.concatenate([found.boxes_xyxy for found in shifted]),
        np.concatenate([found.scores for found in shifted]),
        np.concatenate([found.class_ids for found in shifted]),
        invalid=sum(found.invalid for found in shifted),
        degenerate=sum(found.degenerate for found in shifted),
        class_error=max(found.class_error for found in shifted),
        angles=np.concatenate(angles) if angles else None,
    )
    numbers = np.repeat(np.arange(len(parts)), [len(found) for found in shifted])
    is_cut = np.concatenate([_mask_cut(part, found, size_wh) for part, found in lists])
    is_coarse = np.concatenate([_mask_coarse(part, found, size_wh) for part, found in lists])
    return joined, numbers, is_cut, is_coarse


def _shift(part: PartDetections) -> Detections:
    """Map the detections of a part into the image."""
    offset = np.array(part.box_xyxy[:2] * 2, np.float32)
    return replace(part.detections, boxes_xyxy=part.detections.boxes_xyxy + offset)


def _mask_cut(
    part: PartDetections, found: Detections, size_wh: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """
    Mask the boxes that touch a border of their part inside the image.

    :param found: detections of the part in pixels of the image.
    """
    bounds = _find_bounds(found)
    left, top, right, bottom = part.box_xyxy
    inner = np.array([left > 0, top > 0, right < size_wh[0], bottom < size_wh[1]])
    inside = np.array([1, 1, -1, -1]) * (bounds - part.box_xyxy)
    margins = _MARGIN_PX * np.array(part.scale_xy * 2)
    return np.asarray(((inside <= margins) & inner).any(axis=1))


def _mask_coarse(
    part: PartDetections, found: Detections, size_wh: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Mask the boxes of the whole image that are small in the network's input."""
    if part.box_xyxy != (0, 0, *size_wh):
        return np.zeros(len(found), np.bool_)
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
    return np.asarray((sides / part.scale_xy).max(axis=1, initial=0) < _COARSE_PX)


def _find_bounds(found: Detections) -> _Array:
    """Find the upright boxes (n, 4) in float64 around the boxes."""
    boxes = found.boxes_xyxy.astype(np.float64)
    if found.angles is None:
        return boxes
    return enclose_rotated(boxes.T, found.angles.astype(np.float64)).T


def _find_pairs(
    bounds: _Array, numbers: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """
    Find the pairs of boxes of two parts that intersect.

    :return: (m,) the earlier and (m,) the later one of each pair.
    """
    order = np.argsort(bounds[:, 0], kind='stable')
    ordered, parts = bounds[order], numbers[order]
    positions = np.arange(len(order))
    # From left to right, a box can only intersect the following ones that begin before it ends.
    counts = np.maximum(np.searchsorted(ordered[:, 0], ordered[:, 2]) - positions - 1, 0)
    pairs = []
    for block in np.split(positions, np.flatnonzero(np.diff(np.cumsum(counts) // _BLOCK)) + 1):
        number = counts[block]
        a = np.repeat(block, number)
        b = a + 1 + np.arange(len(a)) - np.repeat(np.cumsum(number) - number, number)
        rivals = parts[a] != parts[b]
        for axis in (0, 1):
            low = np.maximum(ordered[a, axis], ordered[b, axis])
            rivals &= np.minimum(ordered[a, axis + 2], ordered[b, axis + 2]) > low
        pairs.append(np.stack((order[a[rivals]], order[b[rivals]])))
    first, second = np.sort(np.concatenate(pairs, axis=1), axis=0)
    return first, second


def _overlap(
    found: Detections, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]
) -> tuple[_Array, _Array]:
    """
    Compute how pairs of boxes overlap.

    :return: (m,) intersection over union, and (m,) the share of the second box that is inside the
        first one.
    """
    boxes = found.boxes_xyxy.astype(np.float64)
    areas = box_areas(boxes.T)
    a, b = boxes[first], boxes[second]
    if found.angles is None:
        # The boxes of a pair overlap, so their union has an area.
        shared = intersection_areas(a.T, b.T)
        iou = shared / (areas[first] + areas[second] - shared)
    else:
        angles = found.angles.astype(np.float64)
        iou = rotated_iou(a, angles[first], b, angles[second])
        shared = iou * (areas[first] + areas[second]) / (1 + iou)
    return iou, shared / areas[second]
