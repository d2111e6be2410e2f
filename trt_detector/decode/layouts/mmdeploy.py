# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
MMDetection as MMDeploy exports it: boxes with their scores, and labels.

Contract: configs/mmdet/_base_ of MMDeploy (output_names dets and labels, and masks of instance
segmentation) and its multiclass_nms.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ..graph_info import agree, GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress

__all__ = ['MmdeployHead', 'MmdeployLayout']

_PREPROCESSING = (
    'the config of MMDetection decides the preprocessing, which the model does not tell: '
    "ImageNet's mean and std, RGB and a letterbox at the top left are assumed; RTMDet needs "
    'color_order: bgr and pad_value: 114, YOLOX needs preprocess_preset: yolox'
)


class MmdeployHead:
    """
    Decoder for dets [N, M, 5] x1, y1, x2, y2 in input pixels, score, and labels [N, M].

    Rows of padding have label -1 or no area.

    :param dets: index of the output with the boxes.
    :param labels: index of the output with the labels.
    :param suppress: there is a row per anchor, with duplicates.
    """

    layout = 'MMDeploy dets [N, M, 5], labels [N, M]'
    num_classes: int | None = None

    def __init__(self, dets: int, labels: int, *, suppress: bool) -> None:
        self._dets = dets
        self._labels = labels
        self._suppress = suppress

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        pairs = zip(outputs[self._dets], outputs[self._labels], strict=True)
        return [
            filter_and_suppress(rows[:, :4], rows[:, 4], labels, options, suppress=self._suppress)
            for rows, labels in pairs
        ]


class MmdeployLayout:
    """Recognizes the two outputs by their names and ranks; masks may stand beside them."""

    name = 'mmdeploy'
    description = 'dets [N, M, 5] x1, y1, x2, y2 in input pixels, score; labels [N, M], integers'
    preset = 'mmdet'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        rest = [n for n, output in enumerate(info.outputs) if output.name.lower() != 'masks']
        dets = [n for n in rest if info.outputs[n].shape[2:] == (5,)]
        labels = [
            n
            for n in rest
            if len(info.outputs[n].shape) == 2 and np.issubdtype(info.outputs[n].dtype, np.integer)
        ]
        if len(rest) != 2 or len(dets) != 1 or len(labels) != 1:
            return None
        pair = info.outputs[dets[0]], info.outputs[labels[0]]
        if not agree(pair[0].shape[1], pair[1].shape[1]):
            return None
        names = (pair[0].name.lower(), pair[1].name.lower())
        return LayoutMatch(
            None,
            'boxes with score, labels',
            partial(MmdeployHead, dets[0], labels[0], suppress=info.has_every_anchor(pair[0])),
            evidence=Evidence.OUTPUTS if names == ('dets', 'labels') else Evidence.ON_REQUEST,
            assumption=_PREPROCESSING,
            boxes=(dets[0], 'corners'),
        )
