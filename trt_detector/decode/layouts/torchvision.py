# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TorchVision's detectors: boxes, labels and scores of one image, as many as were found."""

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

__all__ = ['TorchvisionLayout', 'TorchvisionHead']


class TorchvisionHead:
    """
    Decodes boxes [n, 4] as x1, y1, x2, y2 in input pixels, labels [n], scores [n] of one image.

    The number of a class is the label: 0 is the background in TorchVision's models.

    :param order: numbers of the outputs boxes, labels, scores.
    """

    layout = 'TorchVision boxes [n, 4], labels [n], scores [n]'
    num_classes: int | None = None

    def __init__(self, order: tuple[int, int, int] = (0, 1, 2)) -> None:
        self._order = order

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch of one, as :class:`.head.Head` says."""
        boxes, labels, scores = (outputs[number] for number in self._order)
        return [report(boxes, scores, labels, options, suppress=False)]


class TorchvisionLayout:
    """Recognizes the three outputs by ranks and dtypes: exporters give them any names."""

    name = 'torchvision'
    description = 'boxes [n, 4] x1, y1, x2, y2 in input pixels, labels [n], scores [n]: one image'
    preset = 'torchvision'

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        order = _order(facts)
        if order is None:
            return None
        return Fit(None, 'boxes, labels, scores', partial(TorchvisionHead, order), certain=True)


def _order(facts: GraphInfo) -> tuple[int, int, int] | None:
    """Return the numbers of the outputs boxes, labels, scores, None if they are others."""
    outputs = list(enumerate(facts.outputs))
    boxes = [n for n, out in outputs if len(out.shape) == 2 and out.shape[1] == 4]
    rows = [(n, out) for n, out in outputs if len(out.shape) == 1]
    labels = [n for n, out in rows if np.issubdtype(out.dtype, np.integer)]
    scores = [n for n, out in rows if np.issubdtype(out.dtype, np.floating)]
    if len(outputs) == 3 and len(boxes) == len(labels) == len(scores) == 1:
        return boxes[0], labels[0], scores[0]
    return None
