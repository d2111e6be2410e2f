# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""YOLOX head: [N, A, 5 + C], offsets in grid cells or already decoded."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from ...values.candidates import Candidates
from ...values.detections import Detections
from ..graph_info import anchor_count, GraphInfo
from ..head import DecodeOptions, Evidence, Head, LayoutMatch
from ..joined import decode_images, Rows
from ..postprocess import finite_rows
from .yolo_objectness import objectness_rule, read_objectness

__all__ = ['YoloxLayout', 'YoloxDecodedHead', 'YoloxHead']

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_ARITHMETIC = frozenset({'Add', 'Sub', 'Mul', 'Div', 'Exp', 'Pow'})


class YoloxHead:
    """
    Decoder for raw [N, A, 5 + C]: dx, dy, log w, log h in cells, objectness, class scores.

    :param num_classes: C.
    :param input_size: (height, width) of the network's input in pixels.
    :raises ModelError: if the number of anchors is not that of the input size.
    """

    layout = 'YOLOX [N, A, 5 + C], offsets in cells'

    def __init__(
        self, num_classes: int, input_size: tuple[int, int], anchors: int | None = None
    ) -> None:
        self.num_classes: int | None = num_classes
        self._cells, self._strides = _grid(input_size, anchors)
        self.candidate_rule = objectness_rule(num_classes, 0)

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        return [self._decode_one(rows, options) for rows in outputs[0]]

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return decode_images(candidates, self._read, options)

    def _decode_one(self, rows: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Decode one image.

        :param rows: (A, 5 + C).
        """
        objectness = rows[:, 4].astype(np.float32, copy=False)
        found = np.flatnonzero(~(objectness < options.minimum_value))
        return self._read(rows[found], found, options).select(options)

    def _read(
        self, rows: npt.NDArray[Any], numbers: npt.NDArray[Any], options: DecodeOptions
    ) -> Rows:
        """
        Read the predictions of some cells.

        :param rows: (n, 5 + C).
        :param numbers: (n,) indices of the cells.
        """
        candidates = rows.astype(np.float32, copy=False)
        strides = self._strides[numbers, None]
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(candidates, axis=1)
            centers = (candidates[:, :2] + self._cells[numbers]) * strides
            half = np.exp(candidates[:, 2:4]) * (strides / 2)
            boxes = np.concatenate((centers - half, centers + half), axis=1, dtype=np.float32)
            best = candidates[:, 5:].max(axis=1)
            scores = options.to_scores(candidates[:, 4]) * options.to_scores(best)
        class_ids = candidates[:, 5:].argmax(axis=1)
        return Rows(np.arange(len(rows)), boxes, scores, class_ids, finite, are_scores=True)


class YoloxDecodedHead:
    """
    Decoder for [N, A, 5 + C] of YOLOX with boxes decoded to input pixels in the graph.

    :param num_classes: C.
    """

    layout = 'YOLOX [N, A, 5 + C], decoded'

    def __init__(self, num_classes: int) -> None:
        self.num_classes: int | None = num_classes
        self.candidate_rule = objectness_rule(num_classes, 0)

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        return [read_objectness(rows, None, options).select(options) for rows in outputs[0]]

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return decode_images(candidates, read_objectness, options)


class YoloxLayout:
    """
    Recognizer of YOLOX by the tail of the graph: no arithmetic means raw, Exp means decoded.

    :param decoded: match boxes in input pixels.
    """

    preset = 'yolox'
    single_image = False
    normalized = False

    def __init__(self, *, decoded: bool) -> None:
        self._decoded = decoded
        self.name = 'yolox_decoded' if decoded else 'yolox'
        box = 'center x, y, width, height in input pixels' if decoded else 'dx, dy, log w, log h'
        unit = '' if decoded else ' in cells'
        self.description = f'[N, A, 5 + C]: {box}{unit}, objectness, C class scores'

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        if len(info.outputs) != 1 or len(info.outputs[0].shape) != 3:
            return None
        _, anchors, values = info.outputs[0].shape
        if values is None or values < 6:
            return None
        count = values - 5
        tail = info.tail(info.outputs[0])
        sign = tail is not None and (
            'Exp' in tail if self._decoded else 'Sigmoid' in tail and not tail & _ARITHMETIC
        )
        if anchors is None or info.input_size is None:
            evidence = Evidence.OPEN_SHAPE
        elif anchors == anchor_count(info.input_size, _STRIDES[0]):
            evidence = Evidence.ANCHORS
        else:
            # Four feature maps are known from NanoDet-Plus, not from YOLOX.
            evidence = Evidence.ON_REQUEST
        swapped = info.input_size is None and anchors is not None and anchors <= values
        if swapped or (tail is not None and not sign) or info.end2end or info.family == 'detr':
            evidence = Evidence.ON_REQUEST
        if sign and evidence > Evidence.ON_REQUEST:
            evidence = Evidence.OPERATORS
        box = 'decoded boxes' if self._decoded else 'offsets in cells'
        return LayoutMatch(
            count,
            f'{box}, objectness and {count} class scores',
            lambda: _build(info, count, self._decoded),
            evidence,
            info.is_common(count),
            boxes=(0, 'centers') if self._decoded else None,
        )


def _build(info: GraphInfo, count: int, decoded: bool) -> Head:
    """Build the head; raise ModelError if the input size is not known."""
    if decoded:
        return YoloxDecodedHead(count)
    if info.input_size is None:
        raise ModelError(
            'the grid cells of a YOLOX model follow from its input size, which is not known; set '
            'input_shape, e.g. 640x640'
        )
    return YoloxHead(count, info.input_size, info.outputs[0].shape[1])


def _grid(
    input_size: tuple[int, int], anchors: int | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Compute (A, 2) x, y of every cell and (A,) its stride in pixels."""
    fitting = [s for s in _STRIDES if anchors in (None, anchor_count(input_size, s))]
    if not fitting:
        raise ModelError(
            f'YOLOX on {input_size[1]}x{input_size[0]} pixels has '
            f'{anchor_count(input_size, _STRIDES[0])} cells, but the output has {anchors} '
            'rows; set input_shape to the size of the export, or head to auto'
        )
    height, width = input_size
    cells, strides = [], []
    for stride in fitting[0]:
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        y, x = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.stack((x, y), axis=1))
        strides.append(np.full(rows * columns, stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
