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
) -> npt.NDArray[np.intp]:
    """
    Keep the best box of every group of overlapping boxes.

    A box is suppressed if a kept box of higher score has an intersection over union with it above
    the threshold. Boxes of equal score keep their order.

    :param boxes_xyxy: float32 (n, 4) in pixels, within a billion of them, corners in order.
    :param scores: (n,), finite.
    :param class_ids: (n,) integers, 0 or more.
    :param iou_threshold: 0 to 1.
    :param max_detections: maximum number of kept boxes.
    :param class_agnostic: boxes of different classes suppress each other.
    :return: indices of the kept boxes, best first.
    """
    count = len(scores)
    if not count:
        return np.empty(0, np.intp)
    limit = _float32_limit(iou_threshold)
    order = np.argsort(-scores, kind='stable')
    ids = np.zeros(count, np.intp) if class_agnostic else class_ids.take(order)
    boxes = boxes_xyxy.take(order, axis=0)
    # Boxes without area divide zero by zero: NaN is not above the limit, so they are kept.
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        if not class_agnostic and count <= _MAX_SHIFTED:
            boxes += (ids.astype(np.float32) * (boxes.max() + np.float32(1)))[:, None]
        kept = OpenBoxes(np.ascontiguousarray(boxes.T), ids, np.float32(limit)).keep(
            max_detections
        )
    return order.take(kept[:max_detections])


@lru_cache(maxsize=8)
def _float32_limit(threshold: float) -> float:
    """Find the float32 limit that float32 values exceed exactly if they exceed the threshold."""
    limit = np.float32(threshold)
    return float(limit if float(limit) <= threshold else np.nextafter(limit, np.float32(-np.inf)))
