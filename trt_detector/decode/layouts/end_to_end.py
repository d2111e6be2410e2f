# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""End-to-end networks: [N, M, 6] of x1, y1, x2, y2, score, class without duplicates."""

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

__all__ = ['EndToEndLayout', 'EndToEndHead']

# Networks that select boxes keep fewer; without an input size only this tells rows from anchors.
_MAX_ROWS = 1000


class EndToEndHead:
    """
    Decoder for [N, M, 6]: corners in input pixels, score, class; zero rows pad the list.

    YOLOv10, YOLO26 and exports with embedded NMS have this output. Further values of a row
    (mask coefficients, keypoints) are ignored.

    :param output: index of the output.
    """

    layout = 'end-to-end [N, M, 6]'
    num_classes: int | None = None

    def __init__(self, output: int) -> None:
        self._output = output

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        return [
            # Padding rows are zero and therefore have no area.
            filter_and_suppress(rows[:, :4], rows[:, 4], rows[:, 5], options, suppress=False)
            for rows in outputs[self._output].astype(np.float32, copy=False)
        ]


class EndToEndLayout:
    """Recognizer of rows of six values: by metadata, by operators, or by their small number."""

    name = 'end_to_end'
    description = '[N, M, 6]: x1, y1, x2, y2 in input pixels, score, class'
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        plane = info.plane()
        if plane is None:
            return None
        _, count, values = plane[1].shape
        if values is None or values != 6 + info.extra_values():
            return None
        selects = info.selects(plane[1])
        anchors = bool(info.anchors_per_cell(count))
        if info.family == 'detr':
            evidence = Evidence.ON_REQUEST
        elif info.end2end:
            evidence = Evidence.METADATA
        elif info.refines_boxes(plane[1]) or (anchors and not info.suppresses(plane[1])):
            evidence = Evidence.ON_REQUEST
        elif selects:
            evidence = Evidence.OPERATORS
        elif count is None and selects is False:
            # An open number of rows that no operator has selected: raw predictions.
            evidence = Evidence.POSSIBLE
        elif count is None or count <= _MAX_ROWS:
            evidence = Evidence.FEW_ROWS
        else:
            # Many rows that no operator has selected are raw predictions; a plan has no operators.
            evidence = Evidence.ON_REQUEST if selects is False else Evidence.OPEN_SHAPE
        head = partial(EndToEndHead, plane[0])
        return LayoutMatch(
            None, 'corners, score, class', head, evidence, boxes=(plane[0], 'corners')
        )
