# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The outputs of TensorRT's suppression plugins: count, boxes, scores, classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Fit
from ..postprocess import report

__all__ = ['EfficientNmsLayout', 'EfficientNmsHead']

_NAMES = (
    ('num_dets', 'det_boxes', 'det_scores', 'det_classes'),
    ('num_detections', 'nmsed_boxes', 'nmsed_scores', 'nmsed_classes'),
)


class EfficientNmsHead:
    """
    Decodes num_dets [N, 1], det_boxes [N, M, 4], det_scores [N, M], det_classes [N, M].

    Boxes are x1, y1, x2, y2 in input pixels; what stands behind the count is not looked at.

    :param order: numbers of the outputs in that order.
    """

    layout = 'EfficientNMS num_dets, det_boxes, det_scores, det_classes'
    num_classes: int | None = None

    def __init__(self, order: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        self._order = order

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        counts, boxes, scores, classes = (outputs[number] for number in self._order)
        found = []
        for n, count in enumerate(counts.reshape(len(boxes)).astype(np.intp)):
            rows = slice(0, max(0, count))
            found.append(
                report(boxes[n, rows], scores[n, rows], classes[n, rows], options, suppress=False)
            )
        return found


class EfficientNmsLayout:
    """Recognizes the four outputs by their names."""

    name = 'efficient_nms'
    description = (
        'num_dets [N, 1], det_boxes [N, M, 4] x1, y1, x2, y2 in input pixels, det_scores [N, M], '
        'det_classes [N, M]'
    )
    preset = 'yolo'

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        order = _order(facts)
        if not order:
            return None
        head = partial(EfficientNmsHead, order)
        return Fit(None, 'count, boxes, scores, classes', head, certain=True)


def _order(facts: GraphInfo) -> tuple[int, ...]:
    """Return the numbers of the outputs count, boxes, scores, classes; none if they are others."""
    found = [output.name for output in facts.outputs]
    for names in _NAMES:
        if sorted(names) == sorted(found):
            return tuple(found.index(name) for name in names)
    return ()
