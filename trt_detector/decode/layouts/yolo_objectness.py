# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""YOLOv5 and YOLOv7 head: [N, A, 5 + C] of center boxes, objectness and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.candidates import CandidateRule, Candidates
from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..joined import decode_images, Rows
from ..postprocess import centers_to_corners, finite_rows
from .yolo import read_dense

__all__ = ['YoloObjectnessHead', 'YoloObjectnessLayout', 'objectness_rule', 'read_objectness']


_ASSUMED = (
    '85 values per prediction are read as objectness and 80 classes, because nothing tells '
    'whether they are 81 classes: give class_names, or set head to yolo_transposed if they are'
)


def objectness_rule(num_classes: int, output: int) -> CandidateRule:
    """Make the rule of a head that selects by objectness: no class score is above 1."""
    return CandidateRule(output, values_last=True, values=5 + num_classes, first=4, last=5)


def read_objectness(
    rows: npt.NDArray[Any], _numbers: npt.NDArray[Any] | None, options: DecodeOptions
) -> Rows:
    """
    Read the predictions of an image or of several; a score is objectness times class score.

    :param rows: (A, 5 + C), center x, y, width, height in input pixels, objectness, scores.
    """
    # No class score is above 1, so the objectness alone rules out most predictions.
    objectness = rows[:, 4].astype(np.float32, copy=False)
    found = np.flatnonzero(~(objectness < options.minimum_value))
    candidates = rows[found].astype(np.float32, copy=False)
    with np.errstate(invalid='ignore', over='ignore'):
        finite = finite_rows(candidates, axis=1)
        boxes = centers_to_corners(candidates)
        best = candidates[:, 5:].max(axis=1)
        scores = options.to_scores(candidates[:, 4]) * options.to_scores(best)
    class_ids = candidates[:, 5:].argmax(axis=1)
    return Rows(found, boxes, scores, class_ids, finite, are_scores=True)


class YoloObjectnessHead:
    """
    Decoder for [N, A, 5 + C]: center x, y, width, height in input pixels, objectness, scores.

    YOLOv5 and YOLOv7 have three anchors per cell, YOLOv6 has one.

    :param num_classes: C; values after the class scores are ignored.
    :param output: index of the output.
    """

    layout = 'YOLO with objectness [N, A, 5 + C]'

    def __init__(self, num_classes: int, output: int) -> None:
        self.num_classes: int | None = num_classes
        self._values = 5 + num_classes
        self._output = output
        self.candidate_rule = objectness_rule(num_classes, output)

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        batch = outputs[self._output][:, :, : self._values]
        return [read_objectness(rows, None, options).select(options) for rows in batch]

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return decode_images(candidates, read_objectness, options)


class YoloObjectnessLayout:
    """Recognizer of YOLOv5's output by three anchors per cell, or by the class names."""

    name = 'yolo_objectness'
    description = (
        '[N, A, 5 + C]: center x, y, width, height in input pixels, objectness, C class scores'
    )
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        dense = read_dense(info, 5, values_last=True)
        if dense is None:
            return None
        count, output = dense.num_classes, info.outputs[dense.output]
        rotates = info.rotates(output)
        three = dense.evidence is Evidence.THREE_ANCHORS
        assumed = dense.common and not three and output.name not in info.objectness
        return LayoutMatch(
            count,
            f'boxes, objectness and {count} class scores',
            partial(YoloObjectnessHead, count, dense.output),
            Evidence.ON_REQUEST if rotates else dense.evidence,
            dense.common,
            doubt=_ASSUMED if assumed else '',
            boxes=(dense.output, 'centers'),
        )
