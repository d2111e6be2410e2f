# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows with a batch index, [n, 7]: image, box, class, score in one of several orders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ...values.output_part import OutputPart
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress

__all__ = ['BatchedRowsHead', 'BatchedRowsLayout']

_VALUES = 7
# Columns of box, score and class, by the order of the parts after the batch index.
_ORDERS = {
    ('box', 'class', 'score'): (1, 6, 5),
    ('box', 'score', 'class'): (1, 5, 6),
    ('class', 'score', 'box'): (3, 2, 1),
    ('score', 'class', 'box'): (3, 1, 2),
}
# What output names call the parts, e.g. batchno_classid_score_x1y1x2y2.
_WORDS = {'class': ('class', 'label', 'cat'), 'score': ('score', 'conf'), 'box': ('x1', 'box')}


class BatchedRowsHead:
    """
    Decoder for [n, 7]: batch index, then corners in input pixels, class and score in some order.

    :param columns: first column of the box, column of the score, column of the class.
    """

    layout = 'rows [n, 7] with a batch index'
    num_classes: int | None = None

    def __init__(self, columns: tuple[int, int, int]) -> None:
        self._columns = columns

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch of one, see :class:`.head.Head`."""
        box, score, label = self._columns
        rows = outputs[0].reshape(-1, _VALUES).astype(np.float32, copy=False)
        return [
            filter_and_suppress(
                rows[:, box : box + 4], rows[:, score], rows[:, label], options, suppress=False
            )
        ]


class BatchedRowsLayout:
    """
    Recognizer of rows of seven values whose order the output's name or its parts tell.

    :param order: order to match; the box is first in YOLOv7's export for ONNX Runtime.
    """

    preset = 'yolo'
    single_image = True
    normalized = False

    def __init__(self, order: tuple[str, str, str]) -> None:
        self._order = order
        self.name = f'rows_{"_".join(order)}'
        text = ', '.join('x1, y1, x2, y2 in input pixels' if p == 'box' else p for p in order)
        self.description = f'[n, 7]: batch index, {text}: one image'

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        if len(info.outputs) != 1:
            return None
        output = info.outputs[0]
        if len(output.shape) not in (2, 3) or output.shape[-1] != _VALUES:
            return None
        if len(output.shape) == 3 and output.shape[0] not in (1, None):
            return None
        told = _order_of_name(output.name) or _order_of_parts(info.parts.get(output.name, ()))
        evidence = Evidence.ON_REQUEST
        if told == self._order:
            evidence = Evidence.OUTPUTS
        elif told is None and info.family is None:
            evidence = Evidence.POSSIBLE
        reading = f'batch index, {", ".join(self._order)}'
        head = partial(BatchedRowsHead, _ORDERS[self._order])
        return LayoutMatch(None, reading, head, evidence)


def _order_of_name(name: str) -> tuple[str, ...] | None:
    """Read the order of the parts from an output's name, None if it does not tell all."""
    if 'flat_predictions' in name.lower():
        # YOLO-NAS of super-gradients in flat format.
        return ('box', 'score', 'class')
    found = {
        part: min((at for word in words if (at := name.lower().find(word)) >= 0), default=-1)
        for part, words in _WORDS.items()
    }
    return None if -1 in found.values() else tuple(sorted(found, key=found.__getitem__))


def _order_of_parts(parts: Sequence[OutputPart]) -> tuple[str, ...] | None:
    """Read the order from the concatenated tensors: ArgMax is the class, its maximum the score."""
    if len(parts) != 4 or parts[0].width not in (1, None):
        return None
    order = tuple(_name_part(part) for part in parts[1:])
    return order if sorted(order) == ['box', 'class', 'score'] else None


def _name_part(part: OutputPart) -> str:
    """Name one of the concatenated tensors by the operators on the way of its data."""
    if 'ArgMax' in part.operators:
        return 'class'
    if 'ReduceMax' in part.operators or part.width == 1:
        return 'score'
    return 'box'
