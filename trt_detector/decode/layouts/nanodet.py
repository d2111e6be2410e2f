# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""NanoDet: [N, A, C + 4 B] of class scores and distributions of the distances to the edges."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from ...values.candidates import CandidateRule, Candidates
from ...values.detections import Detections
from ..graph_info import anchor_count, GraphInfo
from ..head import DecodeOptions, Evidence, Head, LayoutMatch
from ..joined import decode_images, Rows
from ..postprocess import finite_rows

__all__ = ['NanoDetHead', 'NanoDetLayout']

_STRIDES = (8, 16, 32)
_STRIDES_PLUS = (8, 16, 32, 64)
# reg_max + 1 of the published models: 7, and 10 for NanoDet-g and the RepVGG models.
_BINS = (8, 11)
_ARITHMETIC = frozenset({'Add', 'Sub', 'Mul', 'Div', 'Exp', 'Pow', 'Softmax'})


class NanoDetHead:
    """
    Decoder for [N, A, C + 4 B]: class scores, then B logits for each distance of an edge.

    A distance to the left, top, right or bottom edge is the mean of 0 to B - 1 under the softmax
    of its logits, in strides. It is measured from the corner of a cell for NanoDet-Plus and from
    its center for NanoDet.

    :param num_classes: C.
    :param bins: B.
    :param input_size: (height, width) of the network's input in pixels.
    :param plus: NanoDet-Plus, with a fourth feature map of stride 64.
    """

    def __init__(
        self, num_classes: int, bins: int, input_size: tuple[int, int], *, plus: bool
    ) -> None:
        self.num_classes: int | None = num_classes
        self.layout = f'NanoDet{"-Plus" if plus else ""} [N, A, C + 4 * {bins}]'
        self._bins = np.arange(bins, dtype=np.float32)
        strides = _STRIDES_PLUS if plus else _STRIDES
        self._centers, self._strides = _grid(input_size, strides, 0.0 if plus else 0.5)
        self.candidate_rule = CandidateRule(
            0, values_last=True, values=num_classes + 4 * bins, first=0, last=num_classes
        )

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        found = []
        for rows in outputs[0]:
            best = rows[:, : self.num_classes].max(axis=1)
            # Not 'best >= minimum': NaN has to be counted, every comparison with it is false.
            kept = np.flatnonzero(~(best < options.minimum_value))
            found.append(self._read(rows[kept], kept, options).select(options))
        return found

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """Decode the candidates of a batch, see :class:`.head.CandidateHead`."""
        return decode_images(candidates, self._read, options)

    def _read(
        self, rows: npt.NDArray[Any], numbers: npt.NDArray[Any], _options: DecodeOptions
    ) -> Rows:
        """
        Read the predictions of some cells.

        :param rows: (n, C + 4 B).
        :param numbers: (n,) indices of the cells.
        """
        rows = rows.astype(np.float32, copy=False)
        scores = rows[:, : self.num_classes]
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(rows, axis=1)
            logits = rows[:, self.num_classes :].reshape(len(rows), 4, len(self._bins))
            weights = np.exp(logits - logits.max(axis=2, keepdims=True))
            means = (weights @ self._bins) / weights.sum(axis=2)
            distances = means * self._strides[numbers, None]
            centers = self._centers[numbers]
            boxes = np.concatenate(
                (centers - distances[:, :2], centers + distances[:, 2:]), axis=1
            )
        number = np.arange(len(rows))
        return Rows(number, boxes, scores.max(axis=1), scores.argmax(axis=1), finite)


class NanoDetLayout:
    """
    Recognizer of NanoDet by a tail of Sigmoid without arithmetic and by its cells.

    :param plus: match NanoDet-Plus, with a fourth feature map of stride 64.
    """

    single_image = False
    normalized = False

    def __init__(self, *, plus: bool) -> None:
        self._plus = plus
        self.name = self.preset = 'nanodet_plus' if plus else 'nanodet'
        self.description = (
            '[N, A, C + 4 B]: C class scores, then B logits per edge of the box; strides 8 to '
            f'{64 if plus else 32}'
        )

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        if len(info.outputs) != 1 or len(info.outputs[0].shape) != 3:
            return None
        _, anchors, values = info.outputs[0].shape
        if values is None or values <= 4 * _BINS[0]:
            return None
        bins = _choose_bins(values, info)
        count = values - 4 * bins
        return LayoutMatch(
            count,
            f'{count} class scores and 4 times {bins} logits of distances',
            lambda: self._build(info, count, bins),
            self._rate(info, anchors, count),
            info.is_common(count),
        )

    def _rate(self, info: GraphInfo, anchors: int | None, count: int) -> Evidence:
        """Rate the evidence; three feature maps are YOLOX's, too, unless the classes tell."""
        tail = info.tail(info.outputs[0])
        if info.family is not None or tail is None or info.input_size is None:
            return Evidence.ON_REQUEST
        strides = _STRIDES_PLUS if self._plus else _STRIDES
        raw = 'Sigmoid' in tail and not tail & _ARITHMETIC
        if not raw or anchors != anchor_count(info.input_size, strides):
            return Evidence.ON_REQUEST
        told = info.num_names == count or info.is_common(count)
        return Evidence.OPERATORS if self._plus or told else Evidence.ON_REQUEST

    def _build(self, info: GraphInfo, count: int, bins: int) -> Head:
        """Build the head; raise ModelError if the input size is unknown or does not match."""
        strides = _STRIDES_PLUS if self._plus else _STRIDES
        if info.input_size is None:
            raise ModelError(
                'the grid cells of a NanoDet model follow from its input size, which is not '
                'known; set input_shape, e.g. 320x320'
            )
        cells, anchors = anchor_count(info.input_size, strides), info.outputs[0].shape[1]
        if anchors not in (None, cells):
            height, width = info.input_size
            raise ModelError(
                f'head is {self.name!r}, which has {cells} cells on {width}x{height} pixels, but '
                f'the output has {anchors} rows; set input_shape to the size of the export, or '
                'head to auto'
            )
        return NanoDetHead(count, bins, info.input_size, plus=self._plus)


def _choose_bins(values: int, info: GraphInfo) -> int:
    """Choose the number of bins that gives the number of class names, or a common number."""
    for bins in _BINS:
        count = values - 4 * bins
        if count > 0 and (count == info.num_names or info.is_common(count)):
            return bins
    return _BINS[0]


def _grid(
    input_size: tuple[int, int], strides: tuple[int, ...], offset: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Compute (A, 2) x, y of every cell's reference point and (A,) its stride, in pixels."""
    height, width = input_size
    points, sizes = [], []
    for stride in strides:
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        y, x = np.divmod(np.arange(rows * columns), columns)
        points.append((np.stack((x, y), axis=1) + offset) * stride)
        sizes.append(np.full(rows * columns, stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(sizes).astype(np.float32)
