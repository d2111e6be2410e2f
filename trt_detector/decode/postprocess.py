# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Steps from the candidates of one image to its detections, the same for every layout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DecodeError
from ..values.detections import Detections
from .head import DecodeOptions
from .nms import batched_nms
from .nms_rotated import rotated_nms

__all__ = [
    'all_finite',
    'best_of_classes',
    'centers_to_corners',
    'filter_and_suppress',
    'finite_rows',
    'mask_wanted',
    'read_counts',
]

# In pixels: float32 can still multiply and shift such coordinates without an overflow.
_MAX_COORDINATE = 1e9
# Class IDs in float outputs must fit into an int32.
_MAX_CLASSES = 2**31
# Up to this number of predictions, fewer calls of NumPy are faster than fewer comparisons.
_FEW = 200

_Array = npt.NDArray[Any]


def best_of_classes(
    scores: _Array, minimum_score: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """
    Select the predictions whose best class has the minimum score, or a NaN score.

    :param scores: (C, A); most predictions are background.
    :return: (n,) their indices and (n,) the scores of their best classes.
    """
    if scores.strides[0] < scores.strides[1] and scores.shape[1] > _FEW:
        # [A, C] in memory: comparing all scores is faster than a maximum per prediction, as long
        # as few of them are enough.
        rows = scores.T
        enough = ~(rows < minimum_score)
        if np.count_nonzero(enough) <= len(rows):
            hits = np.flatnonzero(enough) // max(rows.shape[1], 1)
            found = hits[np.diff(hits, prepend=-1) != 0]
            return found, rows[found].max(axis=1).astype(np.float32, copy=False)
    best = scores.max(axis=0).astype(np.float32, copy=False)
    # Not 'best >= minimum_score': NaN has to be counted, and every comparison with it is false.
    found = np.flatnonzero(~(best < minimum_score))
    return found, best.take(found)


def read_counts(output: _Array, images: int) -> list[int]:
    """
    Read the numbers of detections per image.

    :param output: (images,) or (images, 1), integers or floats; a negative number counts as 0.
    :raises DecodeError: if a number is not finite.
    """
    counts = output.reshape(images)
    if counts.dtype.kind == 'f' and not np.isfinite(counts).all():
        raise DecodeError(
            f'the output of the number of detections is {counts.tolist()}; expected whole '
            'numbers: export the model again, in FP32 if this engine is FP16 or INT8'
        )
    return [max(0, int(count)) for count in counts]


def finite_rows(values: _Array, axis: int) -> npt.NDArray[np.bool_] | None:
    """
    Mask the predictions that have finite values only; None if all have.

    :param values: float32 (n, values) or (values, n).
    :param axis: the dimension of the values.
    """
    # A sum is finite only if every value is; sums that overflow float32 are the exception.
    if math.isfinite(values.sum()):
        return None
    return np.asarray(np.isfinite(values.sum(axis=axis)))


def centers_to_corners(boxes: _Array) -> npt.NDArray[np.float32]:
    """
    Convert center boxes to corners x1, y1, x2, y2.

    :param boxes: (n, 4), center x, y, width, height.
    """
    corners = np.empty((len(boxes), 4), np.float32)
    columns, flat = boxes.T, corners.T
    half = columns[2:4] / 2
    np.subtract(columns[:2], half, out=flat[:2], casting='same_kind')
    np.add(columns[:2], half, out=flat[2:], casting='same_kind')
    return corners


def filter_and_suppress(
    boxes_xyxy: _Array,
    scores: _Array,
    class_ids: _Array,
    options: DecodeOptions,
    *,
    suppress: bool,
    finite: npt.NDArray[np.bool_] | None = None,
    are_scores: bool = False,
    angles: _Array | None = None,
) -> Detections:
    """
    Select the candidates to return, highest score first; equal scores keep their order.

    Removed are candidates below the minimum score, of another class, without area, and
    non-finite candidates (a coordinate beyond 1e9 counts as infinite). The last ones are counted,
    unless their score is certainly too low.

    :param boxes_xyxy: (n, 4) in pixels of the network's input.
    :param scores: (n,).
    :param class_ids: (n,), integers or floats, which are rounded; a negative value is no class.
    :param suppress: suppress duplicates; an IoU threshold of 1 suppresses nothing.
    :param finite: (n,), mask of the candidates that come from finite values; None for all.
    :param are_scores: the scores are final, even if the network's values are logits.
    :param angles: (n,), rotations of the boxes about their centers in radians; None for upright
        boxes. An angle that is not finite has to be in the mask of finite candidates.
    """
    shapes = (boxes_xyxy.shape, scores.shape, class_ids.shape)
    if shapes != ((len(scores), 4), (len(scores),), (len(scores),)):
        raise DecodeError(
            f'the outputs have boxes {list(shapes[0])}, scores {list(shapes[1])} and classes '
            f'{list(shapes[2])} for one image; expected [M, 4], [M] and [M]: export the model '
            'again'
        )
    boxes = boxes_xyxy.astype(np.float32, copy=False)
    if options.raw.box_scale is not None:
        with np.errstate(over='ignore', invalid='ignore'):
            boxes = boxes * np.array(options.raw.box_scale * 2, np.float32)
    scores = scores.astype(np.float32, copy=False)
    if not are_scores:
        scores = options.to_scores(scores)
    left, top, right, bottom = boxes.T
    class_values = class_ids
    if class_ids.dtype.kind == 'f':
        # A network may miss a whole number by a little.
        class_values = class_ids.astype(np.float32, copy=False)
        class_ids = np.rint(class_values)
    # A comparison with NaN is false, so non-finite boxes are removed here, too.
    has_area = (right > left) & (bottom > top)
    wanted = mask_wanted(scores, options.map_classes(class_ids), options)
    rows = has_area & wanted
    invalid = 0
    if not all_finite(boxes, scores, class_ids, finite):
        valid = _mask_finite(boxes, scores, class_ids)
        if finite is not None:
            valid &= finite
        invalid = int(np.count_nonzero(~valid & ~(scores < options.minimum_score)))
        rows &= valid
        wanted &= valid
    degenerate = 0
    if not rows.all():
        degenerate = int(np.count_nonzero(wanted & ~has_area & (scores > 0)))
        boxes, scores, class_ids = boxes[rows], scores[rows], class_ids[rows]
        class_values = class_values[rows]
        angles = None if angles is None else angles[rows]
    class_error = 0.0
    if class_values.dtype.kind == 'f' and len(class_values):
        class_error = float(np.abs(class_values - class_ids).max())
    class_ids = options.map_classes(class_ids.astype(np.int32, copy=False))
    kept = _choose_best(boxes, scores, class_ids, options, suppress=suppress, angles=angles)
    # take() copies the rows: the network's outputs may be overwritten.
    return Detections(
        boxes.take(kept, axis=0),
        scores.take(kept),
        class_ids.take(kept),
        invalid=invalid,
        degenerate=degenerate,
        class_error=class_error,
        angles=None if angles is None else angles.take(kept).astype(np.float32, copy=False),
    )


def _choose_best(
    boxes: _Array,
    scores: _Array,
    class_ids: npt.NDArray[np.int32],
    options: DecodeOptions,
    *,
    suppress: bool,
    angles: _Array | None,
) -> npt.NDArray[np.intp]:
    """Choose the rows to return, highest score first; for the parameters see the caller."""
    rivals = class_ids if suppress else _find_rivals(class_ids, options)
    if rivals is None or options.iou_threshold >= 1:
        return np.argsort(-scores, kind='stable')[: options.max_detections]
    arrays = (scores, rivals, options.iou_threshold, options.max_detections)
    agnostic = suppress and options.class_agnostic
    if angles is None:
        return batched_nms(boxes, *arrays, class_agnostic=agnostic)
    return rotated_nms(boxes, angles, *arrays, class_agnostic=agnostic)


def _find_rivals(
    class_ids: npt.NDArray[np.int32], options: DecodeOptions
) -> npt.NDArray[np.int32] | None:
    """
    Give the candidates numbers, so that only those of merged classes suppress each other.

    The network has suppressed the duplicates within each of its own classes.

    :param class_ids: (n,), mapped.
    :return: (n,); None if no classes are merged.
    """
    if options.class_map is None:
        return None
    merged = {target for own, target in enumerate(options.class_map) if own != target}
    alone = len(options.class_map) + np.arange(len(class_ids))
    return np.where(np.isin(class_ids, list(merged)), class_ids, alone).astype(np.int32)


def all_finite(
    boxes: _Array, scores: _Array, class_ids: _Array, finite: npt.NDArray[np.bool_] | None
) -> bool:
    """Tell whether certainly every candidate is finite; that is nearly always so."""
    if finite is not None or not len(boxes):
        return finite is None
    # One call for all: a sum of squares is below a bound only if every value is.
    flat = boxes.reshape(-1)
    with np.errstate(invalid='ignore', over='ignore'):
        near = flat.dot(flat) < _MAX_COORDINATE**2 and scores.dot(scores) < np.inf
    return bool(near and (class_ids.dtype.kind != 'f' or abs(class_ids).max() < _MAX_CLASSES))


def _mask_finite(boxes: _Array, scores: _Array, class_ids: _Array) -> npt.NDArray[np.bool_]:
    """Mask the finite candidates."""
    finite = (np.abs(boxes).max(axis=1) < _MAX_COORDINATE) & np.isfinite(scores)
    if class_ids.dtype.kind == 'f':
        finite &= np.abs(class_ids) < _MAX_CLASSES
    return np.asarray(finite)


def mask_wanted(
    scores: npt.NDArray[np.float32], class_ids: _Array, options: DecodeOptions
) -> npt.NDArray[np.bool_]:
    """Mask the candidates that have the minimum score of their class and a class to return."""
    wanted = options.has_minimum_score(scores, class_ids)
    wanted &= class_ids >= 0
    if options.classes is not None:
        wanted &= np.isin(class_ids, list(options.classes))
    return np.asarray(wanted)
