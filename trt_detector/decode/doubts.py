# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Signs in the predictions of an image that a layout reads them wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..values.candidates import CandidateRule, Candidates
from ..values.detections import Detections

__all__ = [
    'HELP',
    'Doubt',
    'check_background',
    'check_corners',
    'check_exchanged',
    'check_queries',
    'check_rows',
    'check_spread',
    'read_rows',
]

HELP = 'set head to the layout of the model (docs/models.md, "My boxes are wrong")'
"""Remedy of most faults, for messages."""

_TWICE = 'a Sigmoid may be applied twice (set scores to probabilities, or export without one)'
# More than half of the predictions have a lower score than the first, some than the second.
_BACKGROUND = 0.2
_NO_BACKGROUND = 0.5
_SIGMOID_OF_ONE = 0.7311
# Layouts with a column per class, and with objectness before them.
_CLASSES = frozenset({'yolo', 'yolo_transposed', 'yolo_obb', 'nanodet', 'nanodet_plus'})
_OBJECTNESS = frozenset({'yolo_objectness', 'yolox', 'yolox_decoded'})
# Layouts whose boxes are center x, y, width, height.
_CENTERS = frozenset({
    'yolo', 'yolo_transposed', 'yolo_objectness', 'yolox_decoded', 'yolo_boxes_scores', 'detr',
    'detr_sigmoid', 'detr_softmax', 'detr_softmax_first',
})  # fmt: skip
# Part of the input that holds the centers of all predictions only if they are misread.
_CORNER = 0.25
# In pixels: the largest coordinate of normalized boxes.
_UNIT = 1.5
# Share of the input's size that right boxes hardly ever exceed.
_BEYOND = 1.1
# A score that is high, one that is low, and one that no second class has beside a high one.
_HIGH = 0.5
_LOW = 0.1
_SECOND = 0.3
# Predictions with a high score that tell, and the part of them that has to agree.
_ENOUGH = 3
_NEARLY_ALL = 0.9


@dataclass(frozen=True, slots=True)
class Doubt:
    """
    Sign that a layout reads an image's predictions wrongly.

    :param kind: each kind is told once.
    :param text: sentence for the user.
    :param certain: no right reading shows it.
    """

    kind: str
    text: str
    certain: bool


def read_rows(
    rule: CandidateRule,
    outputs: Sequence[npt.NDArray[Any]],
    candidates: Sequence[Candidates] | None,
) -> list[npt.NDArray[Any]]:
    """
    Read the predictions that a head decodes.

    :param candidates: per image, None if the outputs have them.
    :return: per image (n, values).
    """
    if candidates is not None:
        return [one.values for one in candidates]
    plane = outputs[rule.output]
    rows = plane if rule.values_last else plane.transpose(0, 2, 1)
    return list(rows[..., : rule.values])


def check_rows(
    layout: str, rule: CandidateRule, rows: npt.NDArray[Any], tolerance: float
) -> Doubt | None:
    """
    Check the columns of scores of every prediction.

    :param layout: name of the layout.
    :param rule: that of the head.
    :param rows: (n, values).
    :param tolerance: rounding of scores.
    """
    if not len(rows):
        return None
    with np.errstate(invalid='ignore'):
        if layout in _OBJECTNESS:
            return _check_objectness(rows[:, rule.first], rows[:, rule.last :])
        if layout not in _CLASSES:
            return None
        scores = rows[:, rule.first : rule.last]
        doubt = _check_negative(layout, scores, tolerance) or _check_first_class(layout, scores)
        if doubt is None and layout == 'yolo_obb':
            doubt = _check_angle(rows[:, rule.last])
        return doubt


def _check_negative(layout: str, scores: npt.NDArray[Any], tolerance: float) -> Doubt | None:
    """Find columns of classes with values below 0: the best class of a prediction hides them."""
    lowest = np.where(np.isfinite(scores), scores, 0).min(axis=0)
    wrong = np.flatnonzero(lowest < -tolerance)
    total = len(lowest)
    if not len(wrong):
        return None
    last = len(wrong) == total - wrong[0] < total
    place = f'the last {len(wrong)} of {total}' if last else f'{len(wrong)} of {total}'
    angle = 'set head to yolo_obb for an angle, else ' if layout == 'yolo' and last else ''
    return Doubt(
        'negative',
        f'values down to {float(lowest.min()):.3g} in {place} class columns; expected 0 to 1: an '
        f'angle, mask coefficients or keypoints may be read as classes: {angle}give task and '
        f'kpt_shape in <stem>.yaml, or {HELP}',
        certain=True,
    )


def _check_angle(angles: npt.NDArray[Any]) -> Doubt | None:
    """Find angles that look like the scores of a class: nearly 0, few above."""
    low, high, middle = float(angles.min()), float(angles.max()), float(np.median(angles))
    if low < 0 or high > 1 or middle > _LOW or low == high:
        return None
    return Doubt(
        'angle',
        f'angles of {low:.3g} to {high:.3g}, half of them up to {middle:.3g}: the last class may '
        'be read as the angle: set head to yolo if boxes are not rotated',
        certain=False,
    )


def _check_first_class(layout: str, scores: npt.NDArray[Any]) -> Doubt | None:
    """Find a first class that comes with another one always, as objectness does."""
    if scores.shape[1] < 2:
        return None
    found = scores[scores[:, 0] >= _HIGH]
    if len(found) < _ENOUGH:
        return None
    count = int(np.count_nonzero(found[:, 1:].max(axis=1) >= _SECOND))
    if count < _NEARLY_ALL * len(found):
        return None
    remedy = 'export [N, A, 5 + C] (with a Transpose) and set'
    if layout == 'yolo_transposed':
        remedy = 'set'
    return Doubt(
        'objectness',
        f'{count} of {len(found)} predictions of class 0 have a second class: class 0 may be '
        f'objectness; if it is, {remedy} head to yolo_objectness (yolox or yolox_decoded for '
        f'YOLOX), with {scores.shape[1] - 1} class_names',
        certain=False,
    )


def _check_objectness(objectness: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Doubt | None:
    """Find objectness that comes without any class, as a class of its own does."""
    found = classes[objectness >= _HIGH]
    # That of YOLOv6 is 1 for all.
    if len(found) < _ENOUGH or objectness.min() == objectness.max():
        return None
    count = int(np.count_nonzero(found.max(axis=1) < _LOW))
    if count < _NEARLY_ALL * len(found):
        return None
    return Doubt(
        'objectness',
        f'{count} of {len(found)} predictions with an objectness of {_HIGH} or more have no class '
        f'above {_LOW}: the first class, or the background, may be read as objectness: set head '
        f'to yolo_transposed if the model has {classes.shape[1] + 1} classes and no objectness',
        certain=False,
    )


def check_background(scores: npt.NDArray[np.float32]) -> Doubt | None:
    """
    Find scores that no prediction of background has, or few.

    :param scores: (n,) of every anchor.
    """
    low, high, middle = float(scores.min()), float(scores.max()), float(np.median(scores))
    causes = (
        f'expected nearly 0 for most, which are background: {_TWICE}, or objectness, background '
        f'or columns of another task may be read as classes: {HELP}'
    )
    if low >= _NO_BACKGROUND:
        text = f'scores of {low:.3g} to {high:.3g} for all {len(scores)} predictions; {causes}'
        return Doubt('background', text, certain=True)
    if middle >= _BACKGROUND:
        text = f'half of {len(scores)} predictions have a score of {middle:.3g} or more; {causes}'
        return Doubt('background', text, certain=False)
    return None


def check_queries(predictions: Detections) -> Doubt | None:
    """Find scores that a second Sigmoid makes, or more objects than queries without one."""
    scores = predictions.scores
    low, high, middle = float(scores.min()), float(scores.max()), float(np.median(scores))
    if low >= _NO_BACKGROUND and high <= _SIGMOID_OF_ONE:
        text = (
            f'scores of {low:.3g} to {high:.3g} for all {len(scores)} predictions; expected '
            f'nearly 0 for background: {_TWICE}'
        )
        return Doubt('background', text, certain=True)
    if middle >= _NO_BACKGROUND:
        most = int(np.bincount(predictions.class_ids).argmax())
        text = (
            f'half of {len(scores)} queries have a score of {middle:.3g} or more, most often for '
            f'class {most}; expected nearly 0 for those that find nothing: if the images are not '
            'full of objects, the background is read as a class: set head to detr_softmax if it '
            'is the last one, to detr_softmax_first if it is the first one'
        )
        return Doubt('background', text, certain=False)
    return None


def check_corners(
    layout: str,
    boxes_xyxy: npt.NDArray[np.float32],
    input_size: tuple[int, int],
    *,
    certain: bool,
) -> Doubt | None:
    """
    Find boxes that are corners, read as center and size: x2 > x1 and y2 > y1 are true for all.

    Boxes that fill the input are so, too, but do not reach far beyond it.

    :param boxes_xyxy: (n, 4) of every prediction.
    :param input_size: (height, width) in pixels.
    :param certain: there is a prediction per anchor.
    """
    if layout not in _CENTERS:
        return None
    sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    beyond = boxes_xyxy[:, 2:] > _BEYOND * np.array((input_size[1], input_size[0]))
    if not (sizes > centers).all() or beyond.mean(axis=0).min() < _LOW:
        return None
    return Doubt(
        'corners',
        f'all {len(sizes)} predictions are wider than their center x and higher than their center '
        'y, and some reach far beyond the input: x1, y1, x2, y2 seem to be read as center x, y, '
        'width, height: open the ONNX file of the plan, which may tell, or export center x, y, '
        'width, height',
        certain=certain,
    )


def check_spread(boxes_xyxy: npt.NDArray[np.float32], input_size: tuple[int, int]) -> Doubt | None:
    """
    Find predictions whose centers all lie in the top left corner.

    :param boxes_xyxy: (n, 4) of every anchor.
    :param input_size: (height, width) in pixels.
    """
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    right, bottom = (float(value) for value in centers.max(axis=0))
    height, width = input_size
    if right >= _CORNER * width or bottom >= _CORNER * height:
        return None
    hint = 'offsets in cells (YOLOX) may be read as pixels: '
    if max(right, bottom) <= _UNIT:
        hint = 'set boxes to normalized if the model writes them so; otherwise '
    return Doubt(
        'spread',
        f'the centers of all {len(boxes_xyxy)} predictions lie left of {right:.3g} and above '
        f'{bottom:.3g} on {width}x{height} pixels: {hint}{HELP}',
        certain=True,
    )


def check_exchanged(
    boxes_xyxy: npt.NDArray[np.float32], input_size: tuple[int, int]
) -> Doubt | None:
    """
    Find predictions that reach beyond the short side of the input, but not along the long one.

    :param boxes_xyxy: (n, 4) of every anchor.
    :param input_size: (height, width) in pixels.
    """
    sides = np.array((input_size[1], input_size[0]))
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    short, limit = int(sides.argmin()), _BEYOND * sides.min()
    if limit > sides.max() or centers[:, 1 - short].max() > limit:
        return None
    count = int(np.count_nonzero(centers[:, short] > limit))
    if count < _LOW * len(centers):
        return None
    return Doubt(
        'exchanged',
        f'{count} of {len(centers)} predictions lie beyond the short side of '
        f'{sides[0]}x{sides[1]} pixels, and none as far along the long side: x and y may be '
        'exchanged: export boxes that begin with x',
        certain=True,
    )
