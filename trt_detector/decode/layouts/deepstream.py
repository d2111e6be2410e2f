# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Exports for DeepStream: [N, A, 6] of corners, score and label per anchor, with duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.candidates import CandidateRule, Candidates
from ...values.detections import Detections
from ...values.tensor_spec import TensorSpec
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress

__all__ = ['DeepStreamHead', 'DeepStreamLayout']

_VALUES = 6
# torch.max over the classes becomes one or two of these.
_BEST_CLASS = frozenset({'ArgMax', 'ReduceMax', 'TopK'})


class DeepStreamHead:
    """
    Decoder for [N, A, 6]: corners in input pixels, score, label of the best class per anchor.

    DeepStream-Yolo's export scripts write it; DeepStream itself suppresses the duplicates.

    :param output: index of the output.
    """

    layout = 'DeepStream-Yolo [N, A, 6]'
    num_classes: int | None = None

    def __init__(self, output: int) -> None:
        self._output = output
        self.candidate_rule = CandidateRule(
            output, values_last=True, values=_VALUES, first=4, last=5
        )

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        found = []
        for rows in outputs[self._output]:
            # Not 'score >= minimum': NaN has to be counted, every comparison with it is false.
            kept = np.flatnonzero(~(rows[:, 4] < options.minimum_value))
            found.append(self._decode_rows(rows[kept], options))
        return found

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return [self._decode_rows(found.values, options) for found in candidates]

    @staticmethod
    def _decode_rows(rows: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Decode the candidates of one image.

        :param rows: (n, 6).
        """
        rows = rows.astype(np.float32, copy=False)
        return filter_and_suppress(rows[:, :4], rows[:, 4], rows[:, 5], options, suppress=True)


class DeepStreamLayout:
    """Recognizer of one row per anchor whose tail chooses the best class but no boxes."""

    name = 'deepstream'
    description = '[N, A, 6]: x1, y1, x2, y2 in input pixels, score, class of every anchor'
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        plane = info.plane()
        if plane is None or plane[1].shape[2] != _VALUES or info.extra_values():
            return None
        return LayoutMatch(
            None,
            'corners, score, class of every anchor, with duplicates',
            partial(DeepStreamHead, plane[0]),
            _rate(info, plane[1]),
            boxes=(plane[0], 'corners'),
        )


def _rate(info: GraphInfo, output: TensorSpec) -> Evidence:
    """Rate the evidence: the best class of all anchors, and no selection of boxes."""
    tail, count = info.tail(output), output.shape[1]
    if info.end2end or info.suppresses(output):
        return Evidence.ON_REQUEST
    anchors = bool(info.anchors_per_cell(count))
    if tail is None:
        return Evidence.POSSIBLE if anchors else Evidence.ON_REQUEST
    if not tail & _BEST_CLASS:
        return Evidence.ON_REQUEST
    # With fewer rows than anchors TopK has selected boxes.
    return Evidence.ON_REQUEST if 'TopK' in tail and not anchors else Evidence.OPERATORS
