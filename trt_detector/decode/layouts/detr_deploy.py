# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""RT-DETR, D-FINE and DEIM as they are deployed: labels, boxes in pixels, scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy.typing as npt

from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Fit
from ..postprocess import report

__all__ = ['DetrDeployLayout', 'DetrDeployHead']


class DetrDeployHead:
    """
    Decodes labels [N, Q], boxes [N, Q, 4] as x1, y1, x2, y2 in pixels, scores [N, Q].

    :param order: numbers of the outputs labels, boxes, scores.
    """

    layout = 'DETR labels, boxes, scores'
    num_classes: int | None = None

    def __init__(self, order: tuple[int, int, int] = (0, 1, 2)) -> None:
        self._order = order

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        labels, boxes, scores = (outputs[number] for number in self._order)
        return [
            report(boxes[n], scores[n], labels[n], options, suppress=False)
            for n in range(len(labels))
        ]


class DetrDeployLayout:
    """Recognizes the three outputs by their names and ranks."""

    name = 'detr_deploy'
    description = 'labels [N, Q], boxes [N, Q, 4] x1, y1, x2, y2 in input pixels, scores [N, Q]'
    preset = 'detr'

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        ranks = {output.name.lower(): len(output.shape) for output in facts.outputs}
        if ranks != {'labels': 2, 'boxes': 3, 'scores': 2}:
            return None
        names = list(ranks)
        order = (names.index('labels'), names.index('boxes'), names.index('scores'))
        head = partial(DetrDeployHead, order)
        return Fit(None, 'labels, boxes in pixels, scores', head, certain=True)
