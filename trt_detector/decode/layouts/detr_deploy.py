# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""RT-DETR, D-FINE and DEIM in their deployed form: labels, boxes in pixels, scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy.typing as npt

from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress

__all__ = ['DetrDeployLayout', 'DetrDeployHead']


_EVERY_ANCHOR = (
    'labels, boxes and scores have a row per anchor, which no DETR has: duplicates are '
    'suppressed, and the preprocessing of YOLO is assumed; set preprocess_preset if it is another'
)


class DetrDeployHead:
    """
    Decoder for labels [N, Q], boxes [N, Q, 4] as x1, y1, x2, y2 in pixels, scores [N, Q].

    :param order: indices of the outputs labels, boxes, scores.
    :param suppress: there is a row per anchor, with duplicates.
    """

    num_classes: int | None = None

    def __init__(self, order: tuple[int, int, int], *, suppress: bool) -> None:
        self._order = order
        self._suppress = suppress
        self.layout = f'labels, boxes, scores{" of every anchor" if suppress else " of a DETR"}'

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        labels, boxes, scores = (outputs[number] for number in self._order)
        return [
            filter_and_suppress(boxes[n], scores[n], labels[n], options, suppress=self._suppress)
            for n in range(len(labels))
        ]


class DetrDeployLayout:
    """Recognizer of the three outputs by their names and ranks."""

    name = 'detr_deploy'
    description = 'labels [N, Q], boxes [N, Q, 4] x1, y1, x2, y2 in input pixels, scores [N, Q]'
    preset = 'detr'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        ranks = {output.name.lower(): len(output.shape) for output in info.outputs}
        if ranks != {'labels': 2, 'boxes': 3, 'scores': 2}:
            return None
        names = list(ranks)
        order = (names.index('labels'), names.index('boxes'), names.index('scores'))
        every = info.has_every_anchor(info.outputs[order[2]])
        head = partial(DetrDeployHead, order, suppress=every)
        return LayoutMatch(
            None,
            'labels, boxes in pixels, scores',
            head,
            Evidence.OUTPUTS,
            preset='yolo' if every else '',
            assumption=_EVERY_ANCHOR if every else '',
            boxes=(order[1], 'corners'),
        )
