# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Greedy non-maximum suppression, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['batched_nms']


def batched_nms(
    boxes_xyxy: npt.NDArray[Any],
    scores: npt.NDArray[Any],
    class_ids: npt.NDArray[Any],
    iou_threshold: float,
    max_detections: int,
) -> npt.NDArray[np.intp]:
    """
    Keep the best box of each group of boxes of one class that overlap.

    A box goes when a better kept one of its class has an intersection over union with it larger
    than the threshold. Boxes of equal score are taken in the order in which they come.

    :param boxes_xyxy: (n, 4) in pixels, finite.
    :param scores: (n,), finite.
    :param class_ids: (n,) integers.
    :param iou_threshold: 0 to 1.
    :param max_detections: the search ends when so many are kept.
    :return: indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind='stable')
    boxes = boxes_xyxy[order].astype(np.float64)
    if len(boxes):
        # Boxes of two classes never meet once each class has a plane of its own. In float64
        # the shift costs no precision of a float32 coordinate.
        extent = boxes.max() - boxes.min() + 1
        boxes += (class_ids[order] * extent)[:, None]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left) and len(kept) < max_detections:
        best, left = left[0], left[1:]
        kept.append(int(best))
        corner_low = np.maximum(boxes[best, :2], boxes[left, :2])
        corner_high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        overlap = np.clip(corner_high - corner_low, 0, None).prod(axis=1)
        union = areas[best] + areas[left] - overlap
        left = left[overlap <= iou_threshold * union]
    return order[kept]
