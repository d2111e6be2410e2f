# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Greedy non-maximum suppression, class by class, with the results of torchvision's batched_nms.

The reference is what torchvision does on the CPU of an x86-64 machine: intersection over union in
float32; up to 1,000 boxes each class is first shifted into a plane of its own, with the rounding
that this brings, beyond that the classes are taken one by one. One thing differs on purpose: the
shift of the reference lets boxes of two classes meet where a coordinate is negative; here they
never do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .nms_few import keep_few
from .nms_many import Candidates

__all__ = ['batched_nms']

# Of up to so many boxes Python's own numbers are tried first.
_FEW = 150
# The reference shifts the classes apart up to so many boxes.
_MOST_SHIFTED = 1000

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
    Keep the best box of each group of boxes that overlap.

    A box goes when a better kept one has an intersection over union with it larger than the
    threshold. Boxes of equal score are taken in the order in which they come.

    :param boxes_xyxy: float32 (n, 4) in pixels, within a billion of them, corners in order.
    :param scores: (n,), finite.
    :param class_ids: (n,) integers, 0 or more.
    :param iou_threshold: 0 to 1.
    :param max_detections: so many are kept at most.
    :param class_agnostic: whether boxes of different classes suppress each other.
    :return: indices of the kept boxes, best first.
    """
    count = len(scores)
    limit = _float32_limit(iou_threshold)
    if 0 < count <= _FEW:
        numbers = [0] * count if class_agnostic else class_ids.tolist()
        few = keep_few(boxes_xyxy, scores.tolist(), numbers, limit)
        if few is not None:
            return np.fromiter(few[:max_detections], np.intp)
    if not count:
        return np.empty(0, np.intp)
    order = np.argsort(-scores, kind='stable')
    ids = np.zeros(count, np.intp) if class_agnostic else class_ids.take(order)
    boxes = boxes_xyxy.take(order, axis=0)
    # Boxes without an area divide zero by zero: NaN is not above the limit, so they stay.
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        if not class_agnostic and count <= _MOST_SHIFTED:
            boxes += (ids.astype(np.float32) * (boxes.max() + np.float32(1)))[:, None]
        kept = Candidates(np.ascontiguousarray(boxes.T), ids, np.float32(limit)).keep(
            max_detections
        )
    return order.take(kept[:max_detections])


@lru_cache(maxsize=8)
def _float32_limit(threshold: float) -> float:
    """Return the float32 that float32 values exceed just when they exceed the threshold."""
    limit = np.float32(threshold)
    return float(limit if float(limit) <= threshold else np.nextafter(limit, np.float32(-np.inf)))
