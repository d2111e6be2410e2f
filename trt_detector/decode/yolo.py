# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The raw head of YOLOv8 and its kin: [N, 4 + C, A] of centre boxes and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..candidates import CandidateRule, Candidates
from ..detections import Detections
from .dense import read_dense
from .facts import GraphFacts
from .head import DecodeOptions, Fit
from .select import best_of_classes, centres_to_corners, finite_rows, report

__all__ = ['Yolo', 'YoloHead']


class YoloHead:
    """
    Decodes [N, 4 + C, A]: centre x, y, width, height in input pixels, then C class scores.

    YOLOv8, YOLOv9, YOLO11 and YOLO12 write it, YOLOv5u too. A box is of its best class alone.

    :param num_classes: C; values behind the class scores (mask coefficients, keypoints) are not
        looked at.
    :param transposed: whether the output is [N, A, 4 + C].
    :param output: number of the output.
    """

    def __init__(self, num_classes: int, *, transposed: bool = False, output: int = 0) -> None:
        self.num_classes: int | None = num_classes
        self.layout = 'YOLO [N, A, 4 + C]' if transposed else 'YOLO [N, 4 + C, A]'
        self._transposed = transposed
        self._values = 4 + num_classes
        self._output = output
        self.candidate_rule = CandidateRule(
            output, values_last=transposed, values=self._values, first=4, last=self._values
        )

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        axes = (0, 2, 1) if self._transposed else (0, 1, 2)
        batch = outputs[self._output].transpose(axes)[:, : self._values]
        return [self._decode_one(columns, options) for columns in batch]

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, as :class:`.head.CandidateHead` says."""
        return [self._decode_one(found.values.T, options) for found in candidates]

    @staticmethod
    def _decode_one(columns: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Return the anchors to report.

        :param columns: (4 + C, A).
        """
        # Most anchors are background: one pass over the scores leaves a few to look at.
        found, scores = best_of_classes(columns[4:], options.least_score)
        candidates = columns[:, found].astype(np.float32, copy=False)
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(candidates, axis=0)
            boxes = centres_to_corners(candidates[:4].T)
        class_ids = candidates[4:].argmax(axis=0)
        return report(boxes, scores, class_ids, options, suppress=True, finite=finite)


class Yolo:
    """
    Recognizes YOLOv8's output by its anchor count, or as the longer of the two dimensions.

    :param transposed: look for [N, A, 4 + C].
    """

    preset = 'yolo'

    def __init__(self, *, transposed: bool = False) -> None:
        self._transposed = transposed
        self.name = 'yolo_transposed' if transposed else 'yolo'
        shape = '[N, A, 4 + C]' if transposed else '[N, 4 + C, A]'
        self.description = f'{shape}: centre x, y, width, height in input pixels, C class scores'

    def fit(self, facts: GraphFacts) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        dense = read_dense(facts, 4, values_last=self._transposed)
        if dense is None:
            return None
        grade = {1: 4, 3: -1, 0: 0, None: 2}[dense.a_cell] if dense.likely else -1
        if grade >= 0:
            # Exporters put the values first.
            grade += (not self._transposed) + dense.usual
        count = dense.num_classes
        head = partial(YoloHead, count, transposed=self._transposed, output=dense.output)
        return Fit(count, f'boxes and {count} class scores', head, grade=grade)
