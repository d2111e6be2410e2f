# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From candidates of one image to the detections that are reported: the same for every layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..detections import Detections
from .head import DecodeOptions
from .nms import batched_nms

__all__ = ['best_of_classes', 'centres_to_corners', 'report']

# Columns looked at together: with 80 classes they fit the second-level cache.
_COLUMNS = 2048

# In pixels: float32 can still multiply and shift such coordinates without an overflow.
_FARTHEST = 1e9
# Numbers of classes in float outputs that an int32 holds.
_MOST_CLASSES = 2**31

_Array = npt.NDArray[Any]


def best_of_classes(scores: _Array, least: float) -> npt.NDArray[np.intp]:
    """
    Return the predictions whose best class scores enough, or whose scores are not numbers.

    :param scores: (C, A); most predictions are background.
    :param least: score that is enough.
    """
    best = np.empty(scores.shape[1], scores.dtype)
    for start in range(0, scores.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        np.max(scores[:, part], axis=0, out=best[part])
    # Not 'best >= least': a NaN is to be counted, and no comparison with it is true.
    return np.flatnonzero(~(best.astype(np.float32, copy=False) < least))


def centres_to_corners(boxes: _Array) -> npt.NDArray[np.float32]:
    """
    Return corners x1, y1, x2, y2.

    :param boxes: (n, 4), centre x, y, width, height.
    """
    half = boxes[:, 2:4] / 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1, dtype=np.float32)


def report(
    boxes_xyxy: _Array,
    scores: _Array,
    class_ids: _Array,
    options: DecodeOptions,
    *,
    suppress: bool,
    finite: npt.NDArray[np.bool_] | None = None,
) -> Detections:
    """
    Return the candidates to report, best first; equal scores keep their order.

    Left out: what scores too little, is of another class, has no area, or is not finite (a box
    far from any picture is as good as infinite). The last is counted, unless it certainly scores
    too little.

    :param boxes_xyxy: (n, 4) in pixels of the network's input.
    :param scores: (n,).
    :param class_ids: (n,), integers or floats; below 0 is none.
    :param suppress: whether duplicates are still among them.
    :param finite: (n,), which candidates came from finite values; None looks at the others.
    """
    boxes_xyxy = boxes_xyxy.astype(np.float32, copy=False)
    scores = scores.astype(np.float32, copy=False)
    with np.errstate(invalid='ignore'):
        whole = (np.abs(boxes_xyxy).max(axis=1, initial=0) < _FARTHEST) & np.isfinite(scores)
    if finite is not None:
        whole &= finite
    if class_ids.dtype.kind == 'f':
        whole &= np.abs(class_ids.astype(np.float32, copy=False)) < _MOST_CLASSES
    invalid = int(np.count_nonzero(~whole & ~(scores < options.least_score)))
    sizes = boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]
    rows = np.flatnonzero(whole & sizes[:, 0] & sizes[:, 1] & (class_ids >= 0))
    boxes, scores = boxes_xyxy[rows], scores[rows]
    class_ids = class_ids[rows].astype(np.int32, copy=False)
    wanted = _wanted(scores, class_ids, options)
    if not wanted.all():
        boxes, scores, class_ids = boxes[wanted], scores[wanted], class_ids[wanted]
    if suppress:
        kept = batched_nms(
            boxes,
            scores,
            class_ids,
            options.iou_threshold,
            options.max_detections,
            class_agnostic=options.class_agnostic,
        )
    else:
        kept = np.argsort(-scores, kind='stable')[: options.max_detections]
    return Detections(boxes[kept], scores[kept], class_ids[kept], invalid)


def _wanted(
    scores: npt.NDArray[np.float32], class_ids: npt.NDArray[np.int32], options: DecodeOptions
) -> npt.NDArray[np.bool_]:
    """Return which candidates score enough and are of a class to report."""
    if not options.class_score_thresholds:
        wanted = scores >= options.score_threshold
    else:
        least = np.full(len(scores), options.score_threshold)
        for class_id, score in options.class_score_thresholds:
            least[class_ids == class_id] = score
        wanted = scores >= least
    if options.classes is not None:
        wanted &= np.isin(class_ids, list(options.classes))
    return np.asarray(wanted)
