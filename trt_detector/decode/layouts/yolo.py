# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Raw YOLOv8 head and similar ones: [N, 4 + C, A] of center boxes and class scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import printable
from ...values.candidates import CandidateRule, Candidates
from ...values.detections import Detections
from ...values.tensor_spec import TensorSpec
from ..graph_info import GraphInfo, MAX_QUERIES
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..joined import decode_images, Rows
from ..postprocess import best_of_classes, centers_to_corners, finite_rows

__all__ = ['YoloLayout', 'YoloHead', 'DenseOutput', 'read_dense']


_COLUMNS = (
    'the number of predictions is not that of the input size: they are read as center x, y, '
    'width, height and class scores; if they are selected boxes (x1, y1, x2, y2, score, class) '
    'written as columns, export them as rows [N, M, 6]'
)


@dataclass(frozen=True, slots=True)
class DenseOutput:
    """
    Output read as one prediction per anchor.

    :param output: index of the output.
    :param num_classes: number of classes in this reading.
    :param evidence: strength of the evidence from the shape.
    :param common: the number of classes is the most common one, and no class names tell.
    """

    output: int
    num_classes: int
    evidence: Evidence
    common: bool


def read_dense(info: GraphInfo, leading: int, *, values_last: bool) -> DenseOutput | None:
    """
    Read the only output of rank 3 as one prediction per anchor; None if that is impossible.

    :param leading: number of values before the class scores.
    :param values_last: read it as [N, anchors, values], else as [N, values, anchors].
    """
    plane = info.plane()
    if plane is None:
        return None
    _, values, anchors = plane[1].shape
    if values_last:
        values, anchors = anchors, values
    if values is None or values - info.extra_values() <= leading:
        return None
    num_classes = values - info.extra_values() - leading
    per_cell = info.anchors_per_cell(anchors)
    # Otherwise the other dimension is that of the anchors.
    swapped = not per_cell and (
        info.anchors_per_cell(values) == 1 or (anchors is not None and anchors <= values)
    )
    evidence = {
        None: Evidence.OPEN_SHAPE,
        0: Evidence.POSSIBLE,
        1: Evidence.ANCHORS,
        3: Evidence.THREE_ANCHORS,
    }[per_cell]
    if info.end2end or info.family == 'detr' or swapped:
        evidence = Evidence.ON_REQUEST
    # Few rows may be queries of a DETR or one grid of several: 80 classes prove nothing then.
    few = evidence is Evidence.POSSIBLE and anchors is not None and anchors <= MAX_QUERIES
    common = info.is_common(num_classes) and not few
    return DenseOutput(plane[0], num_classes, evidence, common)


class YoloHead:
    """
    Decoder for [N, 4 + C, A]: center x, y, width, height in input pixels, then C class scores.

    YOLOv5u, YOLOv8, YOLOv9, YOLO11 and YOLO12 have this output. A box has its best class only.

    :param num_classes: C; values after the class scores (mask coefficients, keypoints) are
        ignored.
    :param transposed: the output is [N, A, 4 + C].
    :param output: index of the output.
    :param corners: the boxes are x1, y1, x2, y2 instead.
    """

    def __init__(
        self, num_classes: int, *, transposed: bool, output: int, corners: bool = False
    ) -> None:
        self.num_classes: int | None = num_classes
        shape = '[N, A, 4 + C]' if transposed else '[N, 4 + C, A]'
        self.layout = f'YOLO {shape}{" of corners" if corners else ""}'
        self._corners = corners
        self._transposed = transposed
        self._values = 4 + num_classes
        self._output = output
        self.candidate_rule = CandidateRule(
            output, values_last=transposed, values=self._values, first=4, last=self._values
        )

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        axes = (0, 2, 1) if self._transposed else (0, 1, 2)
        batch = outputs[self._output].transpose(axes)[:, : self._values]
        return [self._decode_one(columns, options) for columns in batch]

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return decode_images(candidates, self._read_rows, options)

    def _decode_one(self, columns: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Decode one image.

        :param columns: (4 + C, A).
        """
        return self._read(columns, options).select(options)

    def _read_rows(
        self, rows: npt.NDArray[Any], _numbers: npt.NDArray[Any], options: DecodeOptions
    ) -> Rows:
        """Read candidates, (n, 4 + C)."""
        return self._read(rows.T, options)

    def _read(self, columns: npt.NDArray[Any], options: DecodeOptions) -> Rows:
        """
        Read the predictions that reach the minimum score.

        :param columns: (4 + C, A).
        """
        # Most anchors are background: one pass over the scores leaves a few candidates.
        found, scores = best_of_classes(columns[4:], options.minimum_value)
        # A device has selected the candidates with the same minimum.
        chosen = columns if len(found) == columns.shape[1] else columns[:, found]
        candidates = chosen.astype(np.float32, copy=False)
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(candidates, axis=0)
            boxes = candidates[:4].T if self._corners else centers_to_corners(candidates[:4].T)
        return Rows(found, boxes, scores, candidates[4:].argmax(axis=0), finite)


class YoloLayout:
    """
    Recognizer of YOLOv8's output by its number of anchors, or as the longer dimension.

    :param transposed: look for [N, A, 4 + C].
    """

    preset = 'yolo'
    single_image = False
    normalized = False

    def __init__(self, *, transposed: bool = False) -> None:
        self._transposed = transposed
        self.name = 'yolo_transposed' if transposed else 'yolo'
        shape = '[N, A, 4 + C]' if transposed else '[N, 4 + C, A]'
        self.description = f'{shape}: center x, y, width, height in input pixels, C class scores'

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        last, warnings = _read_auxiliary(info)
        dense = read_dense(replace(info, outputs=last), 4, values_last=self._transposed)
        if dense is None:
            return None
        evidence = dense.evidence
        if evidence is Evidence.THREE_ANCHORS or (warnings and evidence < Evidence.ANCHORS):
            evidence = Evidence.ON_REQUEST
        index = len(info.outputs) - len(last) + dense.output
        output = info.outputs[index]
        few = not self._transposed and evidence <= Evidence.FEW_ROWS
        if (
            # Boxes that the graph selects are rows of another form, written as columns.
            (few and info.selects(output))
            or output.name in info.objectness
            or info.rotates(output)
            or (not self._transposed and info.may_be_objectness(dense.num_classes))
        ):
            # The number of classes may be one less.
            evidence = Evidence.ON_REQUEST
        # Exporters put the values first.
        preference = (not self._transposed) + dense.common
        count = dense.num_classes
        corners = info.box_forms.get(output.name) == 'corners'
        head = partial(YoloHead, count, transposed=self._transposed, output=index, corners=corners)
        reading = f'boxes and {count} class scores'
        # A plan does not tell whether it selects them.
        doubtful = few and dense.evidence is Evidence.POSSIBLE and info.selects(output) is None
        doubt = _COLUMNS if doubtful else ''
        return LayoutMatch(count, reading, head, evidence, preference, warnings, doubt)


def _read_auxiliary(info: GraphInfo) -> tuple[tuple[TensorSpec, ...], tuple[str, ...]]:
    """
    Leave out auxiliary heads: of equal outputs of rank 3 the last is the main one.

    Contract: DualDDetect and TripleDDetect of YOLOv9, whose own val_dual.py reads the last output.

    :return: the outputs without them, and what to tell the user.
    """
    outputs = info.outputs
    shapes = {output.shape for output in outputs}
    if len(outputs) not in (2, 3) or len(shapes) != 1 or len(outputs[0].shape) != 3:
        return outputs, ()
    names = ', '.join(printable(output.name) for output in outputs[:-1])
    text = (
        f'several outputs have the same shape: {printable(outputs[-1].name)} is taken for the '
        f'main head, and {names} for auxiliary heads, as in YOLOv9; the parameter outputs names '
        'another one'
    )
    return outputs[-1:], (text,)
