# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From candidates of one image to the detections that are reported: the same for every layout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..values.detections import Detections
from .head import DecodeOptions
from .nms import batched_nms

__all__ = ['best_of_classes', 'centers_to_corners', 'finite_rows', 'report']

# In pixels: float32 can still multiply and shift such coordinates without an overflow.
_FARTHEST = 1e9
# Numbers of classes in float outputs that an int32 holds.
_MOST_CLASSES = 2**31

_Array = npt.NDArray[Any]


def best_of_classes(
    scores: _Array, least: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """
    Return the predictions whose best class scores enough, or whose scores are not numbers.

    :param scores: (C, A); most predictions are background.
    :param least: score that is enough.
    :return: (n,) their numbers and (n,) the scores of their best classes.
    """
    best = scores.max(axis=0).astype(np.float32, copy=False)
    # Not 'best >= least': a NaN is to be counted, and no comparison with it is true.
    found = np.flatnonzero(~(best < least))
    return found, best.take(found)


def finite_rows(values: _Array, axis: int) -> npt.NDArray[np.bool_] | None:
    """
    Return which predictions have finite values only, None for all of them.

    :param values: float32 (n, values) or (values, n).
    :param axis: the dimension of the values.
    """
    # A sum is finite only if each value is, but for sums that float32 cannot hold.
    if math.isfinite(values.sum()):
        return None
    return np.asarray(np.isfinite(values.sum(axis=axis)))


def centers_to_corners(boxes: _Array) -> npt.NDArray[np.float32]:
    """
    Return corners x1, y1, x2, y2.

    :param boxes: (n, 4), center x, y, width, height.
    """
    corners = np.empty((len(boxes), 4), np.float32)
    columns, flat = boxes.T, corners.T
    half = columns[2:4] / 2
    np.subtract(columns[:2], half, out=flat[:2], casting='same_kind')
    np.add(columns[:2], half, out=flat[2:], casting='same_kind')
    return corners


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
    :param finite: (n,), which candidates came from finite values; None for all.
    """
    boxes = boxes_xyxy.astype(np.float32, copy=False)
    scores = scores.astype(np.float32, copy=False)
    left, top, right, bottom = boxes.T
    # A comparison with NaN is false: what is not finite drops out here, too.
    rows = (right > left) & (bottom > top) & _wanted(scores, class_ids, options)
    invalid = 0
    if not _all_sound(boxes, scores, class_ids, finite):
        sound = _sound(boxes, scores, class_ids)
        if finite is not None:
            sound &= finite
        invalid = int(np.count_nonzero(~sound & ~(scores < options.least_score)))
        rows &= sound
    if not rows.all():
        boxes, scores, class_ids = boxes[rows], scores[rows], class_ids[rows]
    class_ids = class_ids.astype(np.int32, copy=False)
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
    # Taking rows copies them: the network's outputs may be written again.
    return Detections(boxes.take(kept, axis=0), scores.take(kept), class_ids.take(kept), invalid)


def _all_sound(
    boxes: _Array, scores: _Array, class_ids: _Array, finite: npt.NDArray[np.bool_] | None
) -> bool:
    """Return whether surely every candidate is finite; it nearly always is."""
    if finite is not None or not len(boxes):
        return finite is None
    # One call for all: a sum of squares is below a bound only if each value is.
    flat = boxes.reshape(-1)
    with np.errstate(invalid='ignore', over='ignore'):
        near = flat.dot(flat) < _FARTHEST**2 and scores.dot(scores) < np.inf
    return bool(near and (class_ids.dtype.kind != 'f' or abs(class_ids).max() < _MOST_CLASSES))


def _sound(boxes: _Array, scores: _Array, class_ids: _Array) -> npt.NDArray[np.bool_]:
    """Return which candidates are finite."""
    sound = (np.abs(boxes).max(axis=1) < _FARTHEST) & np.isfinite(scores)
    if class_ids.dtype.kind == 'f':
        sound &= np.abs(class_ids.astype(np.float32, copy=False)) < _MOST_CLASSES
    return np.asarray(sound)


def _wanted(
    scores: npt.NDArray[np.float32], class_ids: _Array, options: DecodeOptions
) -> npt.NDArray[np.bool_]:
    """Return which candidates score enough and are of a class to report."""
    if class_ids.dtype.kind == 'f':
        # As they are reported: a network may miss a whole number by a little.
        class_ids = np.floor(class_ids)
    if not options.class_score_thresholds:
        wanted = scores >= options.score_threshold
    else:
        least = np.full(len(scores), options.score_threshold)
        for class_id, score in options.class_score_thresholds:
            least[class_ids == class_id] = score
        wanted = scores >= least
    wanted &= class_ids >= 0
    if options.classes is not None:
        wanted &= np.isin(class_ids, list(options.classes))
    return np.asarray(wanted)
