# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The head of YOLOv5 and YOLOv7: [N, A, 5 + C] of center boxes, objectness and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.candidates import CandidateRule, Candidates
from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Fit
from ..postprocess import centers_to_corners, finite_rows, report
from .yolo import read_dense

__all__ = ['YoloObjectnessLayout', 'YoloObjectnessHead', 'decode_objectness', 'objectness_rule']


def objectness_rule(num_classes: int, output: int, *, values_last: bool) -> CandidateRule:
    """Return the rule of a head whose objectness decides: no class score is above 1."""
    values = 5 + num_classes
    return CandidateRule(output, values_last=values_last, values=values, first=4, last=5)


def decode_objectness(rows: npt.NDArray[Any], options: DecodeOptions) -> Detections:
    """
    Return the predictions of one image to report; a score is objectness times class score.

    :param rows: (A, 5 + C), center x, y, width, height in input pixels, objectness, scores.
    """
    # No class score is above 1, so the objectness alone rules most predictions out.
    objectness = rows[:, 4].astype(np.float32, copy=False)
    found = np.flatnonzero(~(objectness < options.least_score))
    candidates = rows[found].astype(np.float32, copy=False)
    with np.errstate(invalid='ignore', over='ignore'):
        finite = finite_rows(candidates, axis=1)
        boxes = centers_to_corners(candidates)
        scores = candidates[:, 4] * candidates[:, 5:].max(axis=1)
    class_ids = candidates[:, 5:].argmax(axis=1)
    return report(boxes, scores, class_ids, options, suppress=True, finite=finite)


class YoloObjectnessHead:
    """
    Decodes [N, A, 5 + C]: center x, y, width, height in input pixels, objectness, C class scores.

    YOLOv5 and YOLOv7 write it with three anchors a cell, YOLOv6 with one.

    :param num_classes: C; values behind the class scores are not looked at.
    :param transposed: whether the output is [N, 5 + C, A].
    :param output: number of the output.
    """

    def __init__(self, num_classes: int, *, transposed: bool = False, output: int = 0) -> None:
        self.num_classes: int | None = num_classes
        self.layout = f'YOLO with objectness {_shape(transposed)}'
        self._transposed = transposed
        self._values = 5 + num_classes
        self._output = output
        self.candidate_rule = objectness_rule(num_classes, output, values_last=not transposed)

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        axes = (0, 2, 1) if self._transposed else (0, 1, 2)
        batch = outputs[self._output].transpose(axes)[:, :, : self._values]
        return [decode_objectness(rows, options) for rows in batch]

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, as :class:`.head.CandidateHead` says."""
        return [decode_objectness(found.values, options) for found in candidates]


class YoloObjectnessLayout:
    """
    Recognizes YOLOv5's output by its anchor count of three a cell, or by the class names.

    With one anchor a cell the transposed one is YOLOv8's, unless the user says otherwise.

    :param transposed: look for [N, 5 + C, A].
    """

    preset = 'yolo'

    def __init__(self, *, transposed: bool = False) -> None:
        self._transposed = transposed
        self.name = 'yolo_objectness_transposed' if transposed else 'yolo_objectness'
        self.description = (
            f'{_shape(transposed)}: center x, y, width, height in input pixels, objectness, C '
            'class scores'
        )

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        dense = read_dense(facts, 5, values_last=not self._transposed)
        if dense is None:
            return None
        grade = {1: 4, 3: 6, 0: 0, None: 2}[dense.anchors_per_cell] if dense.likely else -1
        if self._transposed and dense.anchors_per_cell != 3:
            # Nobody exports it so, and one class name too few must not look like it.
            grade = -1
        if grade >= 0:
            grade += dense.usual
        count = dense.num_classes
        head = partial(YoloObjectnessHead, count, transposed=self._transposed, output=dense.output)
        return Fit(count, f'boxes, objectness and {count} class scores', head, grade=grade)


def _shape(transposed: bool) -> str:
    """Return the output's shape in words."""
    return '[N, 5 + C, A]' if transposed else '[N, A, 5 + C]'
