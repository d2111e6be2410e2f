# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TorchVision detectors: boxes, labels and scores of one image, in any number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import printable
from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress

__all__ = ['TorchvisionLayout', 'TorchvisionHead']


class TorchvisionHead:
    """
    Decoder for boxes [n, 4], x1, y1, x2, y2 in input pixels, labels [n], scores [n] of one image.

    The class ID is the label: 0 is the background in TorchVision's models.

    :param order: indices of the outputs boxes, labels, scores.
    """

    layout = 'TorchVision boxes [n, 4], labels [n], scores [n]'
    num_classes: int | None = None

    def __init__(self, order: tuple[int, int, int]) -> None:
        self._order = order

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch of one, see :class:`.head.Head`."""
        boxes, labels, scores = (outputs[number] for number in self._order)
        return [filter_and_suppress(boxes, scores, labels, options, suppress=False)]


class TorchvisionLayout:
    """Recognizer of the three outputs by ranks and dtypes, whatever their names."""

    name = 'torchvision'
    description = 'boxes [n, 4] x1, y1, x2, y2 in input pixels, labels [n], scores [n]: one image'
    preset = 'torchvision'
    single_image = True
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        order = _order(info)
        if order is None:
            return None
        rest = [printable(o.name) for n, o in enumerate(info.outputs) if n not in order]
        return LayoutMatch(
            None,
            'boxes, labels, scores',
            partial(TorchvisionHead, order),
            Evidence.OUTPUTS,
            warnings=(f'only boxes are reported: {", ".join(rest)} ignored',) if rest else (),
            boxes=(order[0], 'corners'),
        )


def _order(info: GraphInfo) -> tuple[int, int, int] | None:
    """
    Find the indices of the outputs boxes, labels, scores; None if there are others.

    Masks [n, 1, H, W] of Mask R-CNN, and keypoints [n, K, 3] of Keypoint R-CNN with their scores
    [n, K], may stand beside them.
    """
    outputs = list(enumerate(info.outputs))
    boxes = [n for n, out in outputs if len(out.shape) == 2 and out.shape[1] == 4]
    rows = [(n, out) for n, out in outputs if len(out.shape) == 1]
    labels = [n for n, out in rows if np.issubdtype(out.dtype, np.integer)]
    scores = [n for n, out in rows if np.issubdtype(out.dtype, np.floating)]
    if len(rows) != 2 or not len(boxes) == len(labels) == len(scores) == 1:
        return None
    order = boxes[0], labels[0], scores[0]
    rest = sorted((out.shape[1:] for n, out in outputs if n not in order), key=len)
    if rest and not (_are_masks(rest) or _are_keypoints(rest)):
        return None
    return order


def _are_masks(shapes: list[tuple[int | None, ...]]) -> bool:
    """Tell whether shapes without their first dimension are those of masks."""
    return len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][0] == 1


def _are_keypoints(shapes: list[tuple[int | None, ...]]) -> bool:
    """Tell whether shapes without their first dimension are those of scores and keypoints."""
    return [len(shape) for shape in shapes] == [1, 2] and shapes[1][1] == 3
