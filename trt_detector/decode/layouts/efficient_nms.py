# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of TensorRT's NMS plugins: count, boxes, scores, classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress

__all__ = ['EfficientNmsLayout', 'EfficientNmsHead']

_NAMES = (
    ('num_dets', 'det_boxes', 'det_scores', 'det_classes'),
    ('num_detections', 'nmsed_boxes', 'nmsed_scores', 'nmsed_classes'),
)


class EfficientNmsHead:
    """
    Decoder for num_dets [N, 1], det_boxes [N, M, 4], det_scores [N, M], det_classes [N, M].

    Boxes are x1, y1, x2, y2 in input pixels; rows beyond the count are ignored.

    :param order: indices of the outputs in that order.
    """

    layout = 'EfficientNMS num_dets, det_boxes, det_scores, det_classes'
    num_classes: int | None = None

    def __init__(self, order: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        self._order = order

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        counts, boxes, scores, classes = (outputs[number] for number in self._order)
        found = []
        for n, count in enumerate(counts.reshape(len(boxes)).astype(np.intp)):
            rows = slice(0, max(0, count))
            found.append(
                filter_and_suppress(
                    boxes[n, rows], scores[n, rows], classes[n, rows], options, suppress=False
                )
            )
        return found


class EfficientNmsLayout:
    """Recognizer of the four outputs by their names."""

    name = 'efficient_nms'
    description = (
        'num_dets [N, 1], det_boxes [N, M, 4] x1, y1, x2, y2 in input pixels, det_scores [N, M], '
        'det_classes [N, M]'
    )
    preset = 'yolo'
    single_image = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        order = _order(info)
        if not order:
            return None
        head = partial(EfficientNmsHead, order)
        return LayoutMatch(None, 'count, boxes, scores, classes', head, Evidence.CERTAIN)


def _order(info: GraphInfo) -> tuple[int, ...]:
    """Find the indices of the outputs count, boxes, scores, classes; () if there are others."""
    found = [output.name for output in info.outputs]
    for names in _NAMES:
        if sorted(names) == sorted(found):
            return tuple(found.index(name) for name in names)
    return ()
