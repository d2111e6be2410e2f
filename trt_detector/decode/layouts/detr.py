# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""RT-DETR in one output: normalized center boxes with one score per class, or the best class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from ...values.detections import Detections
from ..graph_info import GraphInfo, MAX_QUERIES
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import centers_to_corners, filter_and_suppress, finite_rows

__all__ = [
    'DetrLayout',
    'DetrHead',
    'DetrRowsLayout',
    'DetrRowsHead',
    'normalized_corners',
    'require_size',
]


def require_size(info: GraphInfo) -> tuple[int, int]:
    """
    Get (height, width) of the input.

    :raises ModelError: if it is not known.
    """
    if info.input_size is None:
        raise ModelError(
            'the boxes of a DETR are relative to the input size, which is not known; set '
            'input_shape, e.g. 640x640'
        )
    return info.input_size


def normalized_corners(
    boxes: npt.NDArray[Any], input_size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """
    Convert normalized center boxes to corners in pixels.

    :param boxes: (n, 4), center x, y, width, height relative to the input size.
    :param input_size: (height, width) in pixels.
    """
    height, width = input_size
    pixels = boxes * np.array((width, height, width, height), np.float32)
    return centers_to_corners(pixels)


class DetrHead:
    """
    Decoder for [N, Q, 4 + C]: normalized center x, y, width, height, C class scores after sigmoid.

    There are no duplicates to suppress. A query has its best class only.

    :param num_classes: C.
    :param input_size: (height, width) of the network's input in pixels.
    """

    layout = 'DETR [N, Q, 4 + C], normalized'

    def __init__(self, num_classes: int, input_size: tuple[int, int]) -> None:
        self.num_classes: int | None = num_classes
        self._input_size = input_size

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        return [
            self._decode_one(rows, options) for rows in outputs[0].astype(np.float32, copy=False)
        ]

    def _decode_one(self, rows: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Decode one image.

        :param rows: (Q, 4 + C).
        """
        with np.errstate(invalid='ignore', over='ignore'):
            boxes = normalized_corners(rows[:, :4], self._input_size)
            finite = finite_rows(rows, axis=1)
        scores = rows[:, 4:].max(axis=1)
        class_ids = rows[:, 4:].argmax(axis=1)
        return filter_and_suppress(
            boxes, scores, class_ids, options, suppress=False, finite=finite
        )


class DetrRowsHead:
    """
    Decoder for [N, M, 6]: normalized center x, y, width, height, score, class.

    :param input_size: (height, width) of the network's input in pixels.
    """

    layout = 'DETR [N, M, 6], normalized'
    num_classes: int | None = None

    def __init__(self, input_size: tuple[int, int]) -> None:
        self._input_size = input_size

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        found = []
        for rows in outputs[0].astype(np.float32, copy=False):
            with np.errstate(invalid='ignore', over='ignore'):
                boxes = normalized_corners(rows[:, :4], self._input_size)
            found.append(
                filter_and_suppress(boxes, rows[:, 4], rows[:, 5], options, suppress=False)
            )
        return found


class DetrLayout:
    """Recognizer of few queries by metadata or deformable attention."""

    name = 'detr'
    description = '[N, Q, 4 + C]: normalized center x, y, width, height, C class scores'
    preset = 'detr'
    single_image = False
    normalized = True

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        if len(info.outputs) != 1 or len(info.outputs[0].shape) != 3:
            return None
        _, queries, values = info.outputs[0].shape
        if values is None or values < 5:
            return None
        # Six values that the graph itself has selected are rows of the other layout.
        rows = values == 6 and info.selects(info.outputs[0]) is not False
        few = queries is not None and queries <= MAX_QUERIES and queries > values
        evidence = Evidence.ON_REQUEST
        if info.family == 'detr' and not rows:
            evidence = Evidence.METADATA
        elif few and not info.anchors_per_cell(queries) and info.family is None:
            # A few rows alone are no proof: grids and rows of other layouts are few, too.
            proof = info.has_attention and not rows
            evidence = Evidence.OPERATORS if proof else Evidence.POSSIBLE
        return LayoutMatch(
            values - 4,
            f'normalized boxes and {values - 4} class scores of {queries} queries',
            lambda: DetrHead(values - 4, require_size(info)),
            evidence,
            boxes=(0, 'centers'),
        )


class DetrRowsLayout:
    """Recognizer of rows of six values of a model that metadata or operators show to be a DETR."""

    name = 'detr_rows'
    description = '[N, M, 6]: normalized center x, y, width, height, score, class'
    preset = 'detr'
    single_image = False
    normalized = True

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        if len(info.outputs) != 1 or len(info.outputs[0].shape) != 3:
            return None
        if info.outputs[0].shape[2] != 6:
            return None
        evidence = Evidence.ON_REQUEST
        if info.selects(info.outputs[0]) is not False:
            if info.family == 'detr':
                evidence = Evidence.METADATA
            elif info.has_attention and info.family is None:
                evidence = Evidence.OPERATORS
        return LayoutMatch(
            None,
            'normalized boxes, score, class',
            lambda: DetrRowsHead(require_size(info)),
            evidence,
            boxes=(0, 'centers'),
        )
