# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Greedy non-maximum suppression, class by class, with the results of torchvision's batched_nms.

The reference is torchvision on an x86-64 CPU: intersection over union in float32; up to 1,000
boxes every class is first shifted to coordinates of its own, with the rounding errors of that
shift; with more boxes the classes are processed one by one. One difference is intended: the shift
of the reference lets boxes of two classes overlap if a coordinate is negative; here they never do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .nms_many import OpenBoxes

__all__ = ['batched_nms']

# The reference shifts the classes apart up to this number of boxes.
_MAX_SHIFTED = 1000

_Array = npt.NDArray[Any]


def batched_nms(
    boxes_xyxy: _Array,
    scores: _Array,
    class_ids: _Array,
    iou_threshold: float,
    max_detections: int,
    *,
    class_agnostic: bool = False,
    images: npt.NDArray[np.intp] | None = None,
) -> npt.NDArray[np.intp]:
    """
    Keep the best box of every group of overlapping boxes.

    A box is suppressed if a kept box of higher score has an intersection over union with it above
    the threshold. Boxes of equal score keep their order.

    :param boxes_xyxy: float32 (n, 4) in pixels, within a billion of them, corners in order.
    :param scores: (n,), finite.
    :param class_ids: (n,) integers, 0 or more.
    :param iou_threshold: 0 to 1.
    :param max_detections: maximum number of kept boxes, of all images together.
    :param class_agnostic: boxes of different classes suppress each other.
    :param images: (n,) image of each box, of at most 1,000 boxes; None if they are of one image.
        The result is that of each image alone.
    :return: indices of the kept boxes, best first.
    """
    count = len(scores)
    if not count:
        return np.empty(0, np.intp)
    limit = _float32_limit(iou_threshold)
    order = np.argsort(-scores, kind='stable')
    ids = np.zeros(count, np.intp) if class_agnostic else class_ids.take(order)
    boxes = boxes_xyxy.take(order, axis=0)
    owners = None if images is None else images.take(order)
    # Boxes without area divide zero by zero: NaN is not above the limit, so they are kept.
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        if not class_agnostic and count <= _MAX_SHIFTED:
            boxes += (ids.astype(np.float32) * (_highest(boxes, owners) + np.float32(1)))[:, None]
        if owners is not None:
            ids = owners * (int(ids.max()) + 1) + ids
        kept = OpenBoxes(np.ascontiguousarray(boxes.T), ids, np.float32(limit)).keep(
            max_detections
        )
    return order.take(kept[:max_detections])


def _highest(boxes: _Array, images: npt.NDArray[np.intp] | None) -> Any:
    """Find the highest coordinate in the image of each box, (n,) or one for all."""
    if images is None:
        return boxes.max()
    highest = np.full(int(images.max()) + 1, -np.inf, np.float32)
    np.maximum.at(highest, images, boxes.max(axis=1))
    return highest.take(images)


@lru_cache(maxsize=8)
def _float32_limit(threshold: float) -> float:
    """Find the float32 limit that float32 values exceed exactly if they exceed the threshold."""
    limit = np.float32(threshold)
    return float(limit if float(limit) <= threshold else np.nextafter(limit, np.float32(-np.inf)))
