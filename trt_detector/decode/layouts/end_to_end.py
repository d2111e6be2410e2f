# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that suppress duplicates themselves: [N, M, 6] of x1, y1, x2, y2, score, class."""

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

__all__ = ['EndToEndLayout', 'EndToEndHead']


# Who chooses the best boxes keeps fewer; without an input size that alone tells them from anchors.
_MOST_ROWS = 1000


class EndToEndHead:
    """
    Decodes [N, M, 6]: corners in input pixels, score, class; zero rows pad the list.

    YOLOv10, YOLO26 and exports with the suppression inside write it. Further values of a row
    (mask coefficients, keypoints) are not looked at.

    :param output: number of the output.
    """

    layout = 'end-to-end [N, M, 6]'
    num_classes: int | None = None

    def __init__(self, output: int = 0) -> None:
        self._output = output

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        return [
            # A padding row is all zeros: it has no area.
            report(rows[:, :4], rows[:, 4], rows[:, 5], options, suppress=False)
            for rows in outputs[self._output].astype(np.float32, copy=False)
        ]


class EndToEndLayout:
    """Recognizes rows of six values: by metadata, by operators, or because they are few."""

    name = 'end_to_end'
    description = '[N, M, 6]: x1, y1, x2, y2 in input pixels, score, class'
    preset = 'yolo'

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well it fits, as :class:`.head.HeadLayout` says."""
        plane = facts.plane()
        if plane is None:
            return None
        _, count, values = plane[1].shape
        if values is None or values != 6 + facts.extra_values():
            return None
        selects = facts.selects(plane[1])
        certain = not facts.detr and (facts.end2end or selects is True)
        grade = 3 if count is None or count <= _MOST_ROWS else 2
        if facts.detr or facts.anchors(count):
            grade = -1
        elif count is None and facts.anchors(count) is None and selects is False:
            # Rows without end that nothing has chosen are raw predictions.
            grade = 0
        head = partial(EndToEndHead, plane[0])
        return Fit(None, 'corners, score, class', head, certain=certain, grade=grade)
