# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The raw head of YOLOv8 and its kin: [N, 4 + C, A] of centre boxes and class scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..detections import Detections
from ..tensor_spec import TensorSpec
from .head import DecodeOptions, Head, select_classes
from .nms import batched_nms

__all__ = ['Yolo', 'YoloHead']


class YoloHead:
    """
    Decodes [N, 4 + C, A]: centre x, y, width, height in input pixels, then C class scores.

    YOLOv8, YOLOv9, YOLO11 and YOLO12 write it, YOLOv5u too. A box is of its best class alone.

    :param num_classes: C.
    """

    layout = 'YOLO [N, 4 + C, A]'

    def __init__(self, num_classes: int) -> None:
        self.num_classes: int | None = num_classes

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        return [self._decode_one(columns, options) for columns in outputs[0]]

    @staticmethod
    def _decode_one(columns: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Return the anchors to report.

        :param columns: (4 + C, A).
        """
        # Most anchors are background: one pass over the scores leaves a few to look at.
        # A comparison with NaN is false, so an anchor with a NaN score drops out here.
        found = np.flatnonzero(columns[4:].max(axis=0) >= options.score_threshold)
        candidates = columns[:, found].astype(np.float32)
        class_ids = candidates[4:].argmax(axis=0)
        scores = candidates[4:].max(axis=0)
        keep = np.isfinite(candidates).all(axis=0) & select_classes(class_ids, options.classes)
        keep &= (candidates[2] > 0) & (candidates[3] > 0)
        centres, sizes = candidates[:2, keep].T, candidates[2:4, keep].T
        boxes = np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1)
        scores, class_ids = scores[keep], class_ids[keep].astype(np.int32)
        rows = batched_nms(boxes, scores, class_ids, options.iou_threshold, options.max_detections)
        return Detections(boxes[rows], scores[rows], class_ids[rows])


class Yolo:
    """Recognizes one rank-3 output with more columns (anchors) than rows (values)."""

    name = 'yolo'
    description = '[N, 4 + C, A]: centre x, y, width, height in input pixels, C class scores'

    def match(self, outputs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> Head | None:
        """Return a decoder, as :class:`.head.HeadLayout` says."""
        if len(outputs) != 1 or len(outputs[0].shape) != 3 or metadata.get('end2end') == 'True':
            return None
        _, values, anchors = outputs[0].shape
        if values is None or values < 5 or (anchors is not None and anchors <= values):
            return None
        return YoloHead(values - 4)
