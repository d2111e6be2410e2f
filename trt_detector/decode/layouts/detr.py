# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""RT-DETR in one output: normalized center boxes with a score a class, or with the best class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Fit
from ..postprocess import centers_to_corners, finite_rows, report

__all__ = [
    'DetrLayout',
    'DetrHead',
    'DetrRowsLayout',
    'DetrRowsHead',
    'normalized_corners',
    'require_size',
]

# Queries are fewer than the anchors of any usual input.
MOST_QUERIES = 1000


def require_size(facts: GraphInfo) -> tuple[int, int]:
    """
    Return (height, width) of the input.

    :raises ModelError: if it is not known.
    """
    if facts.input_size is None:
        raise ModelError(
            'boxes of a DETR are shares of the input size, which is not known; set opt_shape'
        )
    return facts.input_size


def normalized_corners(
    boxes: npt.NDArray[Any], input_size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """
    Return corners in pixels.

    :param boxes: (n, 4), center x, y, width, height as shares of the input.
    :param input_size: (height, width) in pixels.
    """
    height, width = input_size
    pixels = boxes * np.array((width, height, width, height), np.float32)
    return centers_to_corners(pixels)


class DetrHead:
    """
    Decodes [N, Q, 4 + C]: normalized center x, y, width, height, C class scores after sigmoid.

    Nothing is suppressed. A query is of its best class alone.

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
        """Decode a batch, as :class:`.head.Head` says."""
        return [
            self._decode_one(rows, options) for rows in outputs[0].astype(np.float32, copy=False)
        ]

    def _decode_one(self, rows: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Return the queries to report.

        :param rows: (Q, 4 + C).
        """
        with np.errstate(invalid='ignore', over='ignore'):
            boxes = normalized_corners(rows[:, :4], self._input_size)
            finite = finite_rows(rows, axis=1)
        scores = rows[:, 4:].max(axis=1)
        class_ids = rows[:, 4:].argmax(axis=1)
        return report(boxes, scores, class_ids, options, suppress=False, finite=finite)


class DetrRowsHead:
    """
    Decodes [N, M, 6]: normalized center x, y, width, height, score, class.

    :param input_size: (height, width) of the network's input in pixels.
    """

    layout = 'DETR [N, M, 6], normalized'
    num_classes: int | None = None

    def __init__(self, input_size: tuple[int, int]) -> None:
        self._input_size = input_size

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        found = []
        for rows in outputs[0].astype(np.float32, copy=False):
            with np.errstate(invalid='ignore', over='ignore'):
                boxes = normalized_corners(rows[:, :4], self._input_size)
            found.append(report(boxes, rows[:, 4], rows[:, 5], options, suppress=False))
        return found


class DetrLayout:
    """Recognizes few queries by metadata or deformable attention, else by their number."""

    name = 'detr'
    description = '[N, Q, 4 + C]: normalized center x, y, width, height, C class scores'
    preset = 'detr'

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        if len(facts.outputs) != 1 or len(facts.outputs[0].shape) != 3:
            return None
        _, queries, values = facts.outputs[0].shape
        if values is None or values < 5:
            return None
        # Six values that the graph has chosen itself are rows of the other layout.
        rows = values == 6 and facts.selects(facts.outputs[0]) is not False
        few = queries is not None and queries <= MOST_QUERIES and queries > values
        # The number of anchors is known only with the input size; six columns are more likely
        # chosen rows.
        grade = -1
        if few and not facts.anchors(queries) and not facts.end2end:
            grade = 1 if values == 6 else 2 if facts.input_size is None else 3
        return Fit(
            values - 4,
            f'normalized boxes and {values - 4} class scores of {queries} queries',
            lambda: DetrHead(values - 4, require_size(facts)),
            certain=facts.detr and not rows,
            grade=grade,
        )


class DetrRowsLayout:
    """Recognizes rows of six values of a model that metadata or operators show to be a DETR."""

    name = 'detr_rows'
    description = '[N, M, 6]: normalized center x, y, width, height, score, class'
    preset = 'detr'

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        if len(facts.outputs) != 1 or len(facts.outputs[0].shape) != 3:
            return None
        if facts.outputs[0].shape[2] != 6:
            return None
        certain = facts.detr and facts.selects(facts.outputs[0]) is not False
        return Fit(
            None,
            'normalized boxes, score, class',
            lambda: DetrRowsHead(require_size(facts)),
            certain=certain,
            grade=3 if certain else -1,
        )
