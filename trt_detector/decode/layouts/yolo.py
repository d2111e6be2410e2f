# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The raw head of YOLOv8 and its kin: [N, 4 + C, A] of center boxes and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.candidates import CandidateRule, Candidates
from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Fit
from ..postprocess import best_of_classes, centers_to_corners, finite_rows, report

__all__ = ['YoloLayout', 'YoloHead', 'DenseOutput', 'read_dense']


@dataclass(frozen=True, slots=True)
class DenseOutput:
    """
    An output read as predictions for anchors.

    :param output: number of the output.
    :param num_classes: C of that reading.
    :param anchors_per_cell: predictions per cell: 1, 3, 0 if the anchors do not fit the input
        size, None if that is unknown.
    :param likely: whether nothing speaks against the reading.
    :param usual: whether C is that of most models, and no class names say otherwise.
    """

    output: int
    num_classes: int
    anchors_per_cell: int | None
    likely: bool
    usual: bool


def read_dense(facts: GraphInfo, leading: int, *, values_last: bool) -> DenseOutput | None:
    """
    Return the only output of rank 3 as predictions for anchors, None if it cannot be.

    :param leading: values of a prediction before its class scores.
    :param values_last: whether to read it as [N, anchors, values], else as [N, values, anchors].
    """
    plane = facts.plane()
    if plane is None:
        return None
    _, values, anchors = plane[1].shape
    if values_last:
        values, anchors = anchors, values
    if values is None or values - facts.extra_values() <= leading:
        return None
    num_classes = values - facts.extra_values() - leading
    anchors_per_cell = facts.anchors(anchors)
    likely = not (facts.end2end or facts.detr)
    if not anchors_per_cell and (facts.anchors(values) == 1 or (anchors and anchors <= values)):
        # Then the other dimension is that of the anchors.
        likely = False
    return DenseOutput(
        plane[0], num_classes, anchors_per_cell, likely, facts.is_usual(num_classes)
    )


class YoloHead:
    """
    Decodes [N, 4 + C, A]: center x, y, width, height in input pixels, then C class scores.

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
            boxes = centers_to_corners(candidates[:4].T)
        class_ids = candidates[4:].argmax(axis=0)
        return report(boxes, scores, class_ids, options, suppress=True, finite=finite)


class YoloLayout:
    """
    Recognizes YOLOv8's output by its anchor count, or as the longer of the two dimensions.

    :param transposed: look for [N, A, 4 + C].
    """

    preset = 'yolo'

    def __init__(self, *, transposed: bool = False) -> None:
        self._transposed = transposed
        self.name = 'yolo_transposed' if transposed else 'yolo'
        shape = '[N, A, 4 + C]' if transposed else '[N, 4 + C, A]'
        self.description = f'{shape}: center x, y, width, height in input pixels, C class scores'

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        dense = read_dense(facts, 4, values_last=self._transposed)
        if dense is None:
            return None
        grade = {1: 4, 3: -1, 0: 0, None: 2}[dense.anchors_per_cell] if dense.likely else -1
        if grade >= 0:
            # Exporters put the values first.
            grade += (not self._transposed) + dense.usual
        count = dense.num_classes
        head = partial(YoloHead, count, transposed=self._transposed, output=dense.output)
        return Fit(count, f'boxes and {count} class scores', head, grade=grade)
