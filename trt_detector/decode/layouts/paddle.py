# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
PaddleDetection through Paddle2ONNX: rows of class, score, box, and their number per image.

Contract: deploy/third_engine/onnx of PaddleDetection (PP-YOLOE, PicoDet, RT-DETR): boxes are
divided by the input scale_factor, a class of -1 is no detection. Checked with multiclass_nms3 of
Paddle 3.2 through Paddle2ONNX 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress, read_counts

__all__ = ['PADDLE_PREPROCESSING', 'PaddleHead', 'PaddleLayout']

# Parts of the tensor names that Paddle gives.
_WORDS = ('multiclass_nms', '.tmp_', 'save_infer_model', 'fetch_name', 'bbox_num')

PADDLE_PREPROCESSING = (
    'the model does not tell its preprocessing: that of PP-YOLOE+ and RT-DETR is assumed (detr); '
    'PP-YOLOE of 2022 and PicoDet need preprocess_preset: detr_imagenet, or the infer_cfg.yml of '
    'the export beside the model'
)


class PaddleHead:
    """
    Decoder for rows [n, 6] of class, score, x1, y1, x2, y2 in input pixels, and counts [N].

    :param rows: index of the output with the rows, one image after the other.
    :param counts: index of the output with the number of rows per image.
    """

    layout = 'Paddle rows [n, 6] of class, score, box'
    num_classes: int | None = None

    def __init__(self, rows: int, counts: int) -> None:
        self._rows = rows
        self._counts = counts

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        rows = outputs[self._rows].astype(np.float32, copy=False)
        counts = outputs[self._counts]
        ends = np.cumsum(read_counts(counts, counts.size))
        return [
            filter_and_suppress(part[:, 2:6], part[:, 1], part[:, 0], options, suppress=False)
            for part in np.split(rows, ends)[:-1]
        ]


class PaddleLayout:
    """Recognizes rows and counts by ranks, types and the names that Paddle gives."""

    name = 'paddle'
    description = 'rows [n, 6] of class, score, x1, y1, x2, y2 in input pixels; counts [N]'
    preset = 'detr'
    single_image = True
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        outputs = list(enumerate(info.outputs))
        rows = [n for n, out in outputs if len(out.shape) == 2 and out.shape[1] == 6]
        counts = [
            n for n, out in outputs if len(out.shape) == 1 and np.issubdtype(out.dtype, np.integer)
        ]
        if len(outputs) != 2 or len(rows) != 1 or len(counts) != 1:
            return None
        named = any(word in out.name for _, out in outputs for word in _WORDS)
        return LayoutMatch(
            None,
            'class, score, corners, and the number of rows',
            partial(PaddleHead, rows[0], counts[0]),
            evidence=Evidence.OUTPUTS if named else Evidence.ON_REQUEST,
            assumption=PADDLE_PREPROCESSING,
        )
