# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Decoded boxes and class scores of every anchor in two outputs, not suppressed yet.

Contract: YOLO-NAS and PP-YOLOE of super-gradients exported without suppression, PP-YOLOE of
PaddleDetection with exclude_nms; and YOLOv4 of Tianxiaomo/pytorch-YOLOv4, whose boxes have a
fourth dimension and are normalized. Checked with YOLO-NAS of super-gradients 3.7 and with YOLOv4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from ...values.detections import Detections
from ..feature_maps import has_logits
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import best_of_classes, centers_to_corners, filter_and_suppress, finite_rows
from .paddle import PADDLE_PREPROCESSING

__all__ = ['BoxesScoresHead', 'BoxesScoresLayout']


_DAMO = (
    'the scores come before the boxes, as DAMO-YOLO writes them, but the preprocessing of '
    'YOLO-NAS is assumed (yolo): DAMO-YOLO needs preprocess_preset: efficientdet'
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Outputs of boxes and scores, and how the scores lie: [N, A, C] or [N, C, A]."""

    boxes: int
    scores: int
    classes_last: bool
    num_classes: int
    anchors: int | None


class BoxesScoresHead:
    """
    Decoder for boxes [N, A, 4] (or [N, A, 1, 4], or [N, 4, A]) and scores [N, A, C] or [N, C, A].

    :param boxes: index of the output with the boxes.
    :param scores: index of the output with the scores.
    :param num_classes: C.
    :param classes_last: the scores are [N, A, C].
    :param boxes_last: the boxes are [N, A, 4].
    :param centers: the boxes are center x, y, width, height instead of x1, y1, x2, y2.
    :param input_size: (height, width) in pixels if the boxes are shares of it, else None.
    """

    def __init__(
        self,
        boxes: int,
        scores: int,
        num_classes: int,
        *,
        classes_last: bool,
        boxes_last: bool = True,
        centers: bool,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        self.num_classes: int | None = num_classes
        shape = '[N, A, C]' if classes_last else '[N, C, A]'
        unit = 'pixels' if input_size is None else 'shares of the input'
        box_shape = '[N, A, 4]' if boxes_last else '[N, 4, A]'
        form = 'center boxes' if centers else 'boxes'
        self.layout = f'{form} {box_shape} in {unit}, scores {shape}'
        self._boxes = boxes
        self._scores = scores
        self._classes_last = classes_last
        self._boxes_last = boxes_last
        self._centers = centers
        self._size: npt.NDArray[np.float32] | None = None
        if input_size is not None:
            self._size = np.array((input_size[1], input_size[0]) * 2, np.float32)

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        boxes = outputs[self._boxes]
        shape = (len(boxes), -1, 4)
        boxes = boxes.reshape(shape) if self._boxes_last else boxes.transpose(0, 2, 1)
        scores = outputs[self._scores]
        if self._classes_last:
            scores = scores.transpose(0, 2, 1)
        return [self._decode_one(*pair, options) for pair in zip(boxes, scores, strict=True)]

    def _decode_one(
        self, boxes: npt.NDArray[Any], scores: npt.NDArray[Any], options: DecodeOptions
    ) -> Detections:
        """
        Decode one image.

        :param boxes: (A, 4).
        :param scores: (C, A).
        """
        found, best = best_of_classes(scores, options.minimum_value)
        corners = boxes[found].astype(np.float32, copy=False)
        classes = scores[:, found].astype(np.float32, copy=False)
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(classes, axis=0)
            if self._centers:
                corners = centers_to_corners(corners)
            if self._size is not None:
                corners = corners * self._size
        class_ids = classes.argmax(axis=0)
        return filter_and_suppress(corners, best, class_ids, options, suppress=True, finite=finite)


class BoxesScoresLayout:
    """
    Recognizes the two outputs by the number of anchors of the input size.

    :param normalized: look for YOLOv4's [N, A, 1, 4] and [N, A, C].
    """

    single_image = False

    def __init__(self, *, normalized: bool = False) -> None:
        self.normalized = normalized
        self.name = 'yolov4' if normalized else 'boxes_scores'
        self.preset = 'detr' if normalized else 'yolo'
        self.description = (
            'boxes [N, A, 1, 4] x1, y1, x2, y2 of 0 to 1, class scores [N, A, C] (YOLOv4)'
            if normalized
            else 'boxes [N, A, 4] x1, y1, x2, y2 in input pixels, class scores [N, A, C] or '
            '[N, C, A] of every anchor (YOLO-NAS, PP-YOLOE)'
        )

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        pair = _read_pair(info, 4 if self.normalized else 3)
        if pair is None:
            return None
        unit = 'normalized boxes' if self.normalized else 'boxes in pixels'
        assumption = '' if pair.classes_last else PADDLE_PREPROCESSING
        if pair.classes_last and not self.normalized and pair.scores < pair.boxes:
            assumption = _DAMO
        return LayoutMatch(
            pair.num_classes,
            f'{unit} and {pair.num_classes} class scores of {pair.anchors} anchors',
            partial(self._build, info, pair),
            evidence=self._rate(info, pair),
            preset='' if pair.classes_last else 'detr',
            assumption=assumption,
        )

    def _rate(self, info: GraphInfo, pair: _Pair) -> Evidence:
        """Rate the evidence."""
        names = {info.outputs[index].name.lower() for index in (pair.boxes, pair.scores)}
        if self.normalized:
            # Other graphs that were made for a plugin have the same dimensions, in pixels.
            return Evidence.OUTPUTS if names == {'boxes', 'confs'} else Evidence.ON_REQUEST
        logits = has_logits(info, [pair.scores]) or any('logit' in name for name in names)
        detr = info.family == 'detr' or info.refines_boxes(info.outputs[pair.boxes])
        if logits or detr or info.anchors_per_cell(pair.anchors) != 1:
            return Evidence.ON_REQUEST
        return Evidence.ANCHORS

    def _build(self, info: GraphInfo, pair: _Pair) -> BoxesScoresHead:
        """Build the head, or raise ModelError if the input size is needed and unknown."""
        if self.normalized and info.input_size is None:
            raise ModelError(
                'boxes of YOLOv4 are shares of the input size, which is unknown; set input_shape'
            )
        return BoxesScoresHead(
            pair.boxes,
            pair.scores,
            pair.num_classes,
            classes_last=pair.classes_last,
            centers=info.box_forms.get(info.outputs[pair.boxes].name) == 'centers',
            input_size=info.input_size if self.normalized else None,
        )


def _read_pair(info: GraphInfo, rank: int) -> _Pair | None:
    """Read two outputs as boxes of a rank and scores; None if they are others."""
    if len(info.outputs) != 2:
        return None
    found = []
    for boxes, scores in ((0, 1), (1, 0)):
        box_shape, score_shape = info.outputs[boxes].shape, info.outputs[scores].shape
        if len(box_shape) != rank or box_shape[-1] != 4 or len(score_shape) != 3:
            continue
        if rank == 4 and box_shape[2] != 1:
            continue
        anchors = box_shape[1]
        for axis in (1, 2):
            classes = score_shape[3 - axis]
            if score_shape[axis] == anchors and classes and anchors:
                found.append(_Pair(boxes, scores, axis == 1, classes, anchors))
    # Four classes: only a name tells.
    named = [pair for pair in found if 'box' in info.outputs[pair.boxes].name.lower()]
    found = named if len(found) > 1 else found
    return found[0] if len(found) == 1 else None
