# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""YOLO OBB heads: raw [N, 4 + C + 1, A] and selected rows [N, M, 7], with an angle per box."""

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
from ..postprocess import best_of_classes, centers_to_corners, filter_and_suppress, finite_rows
from .yolo import read_dense

__all__ = ['ObbRowsHead', 'ObbRowsLayout', 'YoloObbHead', 'YoloObbLayout']

_TASK = 'obb'
_ROW_VALUES = 7


class YoloObbHead:
    """
    Decoder for [N, 4 + C + 1, A]: center x, y, width, height in input pixels, C scores, angle.

    The angle is in radians, positive from the x axis to the y axis. A box has its best class only.

    :param num_classes: C.
    :param output: index of the output.
    """

    layout = 'YOLO OBB [N, 4 + C + 1, A]'

    def __init__(self, num_classes: int, output: int) -> None:
        self.num_classes: int | None = num_classes
        self._last = 4 + num_classes
        self._output = output
        self.candidate_rule = CandidateRule(
            output, values_last=False, values=self._last + 1, first=4, last=self._last
        )

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        batch = outputs[self._output][:, : self._last + 1]
        return [self._decode_one(columns, options) for columns in batch]

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return [self._decode_one(found.values.T, options) for found in candidates]

    def _decode_one(self, columns: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Decode one image.

        :param columns: (4 + C + 1, A).
        """
        found, scores = best_of_classes(columns[4 : self._last], options.minimum_value)
        candidates = columns[:, found].astype(np.float32, copy=False)
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(candidates, axis=0)
            boxes = centers_to_corners(candidates[:4].T)
        return filter_and_suppress(
            boxes,
            scores,
            candidates[4 : self._last].argmax(axis=0),
            options,
            suppress=True,
            finite=finite,
            angles=candidates[self._last],
        )


class ObbRowsHead:
    """
    Decoder for [N, M, 7]: center x, y, width, height in input pixels, score, class, angle.

    :param output: index of the output.
    """

    layout = 'YOLO OBB [N, M, 7]'
    num_classes: int | None = None

    def __init__(self, output: int) -> None:
        self._output = output

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        found = []
        for rows in outputs[self._output].astype(np.float32, copy=False):
            with np.errstate(invalid='ignore', over='ignore'):
                finite = finite_rows(rows, axis=1)
                boxes = centers_to_corners(rows[:, :4])
            found.append(
                filter_and_suppress(
                    boxes,
                    rows[:, 4],
                    rows[:, 5],
                    options,
                    suppress=False,
                    finite=finite,
                    angles=rows[:, 6],
                )
            )
        return found


class YoloObbLayout:
    """Recognizer of the raw head by the metadata, or by Cos and Sin in the graph's tail."""

    name = 'yolo_obb'
    description = (
        '[N, 4 + C + 1, A]: center x, y, width, height in input pixels, C class scores, angle'
    )
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        dense = read_dense(info, 5, values_last=False)
        if dense is None:
            return None
        evidence = Evidence.ON_REQUEST
        if dense.evidence > Evidence.ON_REQUEST:
            if info.task == _TASK:
                evidence = Evidence.METADATA
            elif info.rotates(info.outputs[dense.output]):
                evidence = Evidence.OPERATORS
        count = dense.num_classes
        head = partial(YoloObbHead, count, dense.output)
        reading = f'boxes, {count} class scores and an angle'
        return LayoutMatch(count, reading, head, evidence, rotated=True)


class ObbRowsLayout:
    """Recognizer of rows of seven values of a model whose metadata name the task."""

    name = 'obb_rows'
    description = '[N, M, 7]: center x, y, width, height in input pixels, score, class, angle'
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        plane = info.plane()
        if plane is None or plane[1].shape[2] != _ROW_VALUES:
            return None
        evidence = Evidence.METADATA if info.task == _TASK else Evidence.ON_REQUEST
        head = partial(ObbRowsHead, plane[0])
        return LayoutMatch(None, 'boxes, score, class and an angle', head, evidence, rotated=True)
