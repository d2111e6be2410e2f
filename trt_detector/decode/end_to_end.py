# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that suppress duplicates themselves: [N, M, 6] of x1, y1, x2, y2, score, class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..detections import Detections
from ..tensor_spec import TensorSpec
from .head import DecodeOptions, Head, select_classes

__all__ = ['EndToEnd', 'EndToEndHead']


class EndToEndHead:
    """
    Decodes [N, M, 6]: corners in input pixels, score, class; zero rows pad the list.

    YOLOv10, YOLO26 and exports with the suppression inside write it.
    """

    layout = 'end-to-end [N, M, 6]'
    num_classes: int | None = None

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, as :class:`.head.Head` says."""
        return [self._decode_one(rows, options) for rows in outputs[0]]

    @staticmethod
    def _decode_one(rows: npt.NDArray[Any], options: DecodeOptions) -> Detections:
        """
        Return the rows to report.

        :param rows: (m, 6).
        """
        scores = rows[:, 4]
        keep = (scores >= options.score_threshold) & np.isfinite(rows).all(axis=1)
        # A padding row is all zeros, and a threshold of 0 would let it through.
        keep &= (rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])
        keep &= select_classes(rows[:, 5], options.classes)
        kept = rows[keep]
        order = np.argsort(-kept[:, 4], kind='stable')[: options.max_detections]
        best = kept[order].astype(np.float32)
        return Detections(
            boxes_xyxy=np.ascontiguousarray(best[:, :4]),
            scores=np.ascontiguousarray(best[:, 4]),
            class_ids=best[:, 5].astype(np.int32),
        )


class EndToEnd:
    """Recognizes one rank-3 output whose rows have six values."""

    name = 'end_to_end'
    description = '[N, M, 6]: x1, y1, x2, y2 in input pixels, score, class'

    def match(self, outputs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> Head | None:
        """Return a decoder, as :class:`.head.HeadLayout` says."""
        if len(outputs) != 1 or len(outputs[0].shape) != 3 or outputs[0].shape[2] != 6:
            return None
        # RT-DETR has the same shape with normalized centre boxes; its metadata alone tells.
        if 'RTDETR' in metadata.get('head', ''):
            return None
        return EndToEndHead()
