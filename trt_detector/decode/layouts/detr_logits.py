# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""DETR in two outputs: normalized center boxes and class logits per query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ...values.tensor_spec import TensorSpec
from ..graph_info import agree, GraphInfo, MAX_QUERIES
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress, finite_rows
from .detr import normalized_corners, require_size

__all__ = ['DetrLogitsLayout', 'DetrLogitsHead']

# Names of RF-DETR's boxes and class values.
_RF_DETR = ('dets', 'labels')


class DetrLogitsHead:
    """
    Decoder for boxes [N, Q, 4] and class values [N, Q, C].

    :param num_classes: number of classes to decode, from the first.
    :param input_size: (height, width) of the network's input in pixels.
    :param boxes: index of the output with the boxes.
    :param values: index of the output with the class values.
    :param activation: function from values to scores: 'sigmoid', 'softmax' (over all values,
        the one after the classes is the background) or 'none'.
    """

    def __init__(
        self,
        num_classes: int,
        input_size: tuple[int, int],
        *,
        boxes: int = 0,
        values: int = 1,
        activation: str = 'sigmoid',
    ) -> None:
        self.num_classes: int | None = num_classes
        self.layout = f'DETR boxes [N, Q, 4], logits [N, Q, C], {activation}'
        self._input_size = input_size
        self._boxes = boxes
        self._values = values
        self._activation = activation

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        pairs = zip(outputs[self._boxes], outputs[self._values], strict=True)
        return [
            self._decode_one(
                boxes.astype(np.float32, copy=False),
                values.astype(np.float32, copy=False),
                options,
            )
            for boxes, values in pairs
        ]

    def _decode_one(
        self, boxes: npt.NDArray[Any], values: npt.NDArray[Any], options: DecodeOptions
    ) -> Detections:
        """
        Decode one image.

        :param boxes: (Q, 4).
        :param values: (Q, C).
        """
        values = values.astype(np.float32, copy=False)
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(values, axis=1)
            corners = normalized_corners(boxes, self._input_size)
            classes = values[:, : self.num_classes]
            best = classes.max(axis=1)
            scores = self._scores(best, values, options)
        class_ids = classes.argmax(axis=1)
        return filter_and_suppress(
            corners, scores, class_ids, options, suppress=False, finite=finite, are_scores=True
        )

    def _scores(
        self,
        best: npt.NDArray[np.float32],
        values: npt.NDArray[np.float32],
        options: DecodeOptions,
    ) -> npt.NDArray[np.float32]:
        """Compute the scores of the best class values."""
        activation = self._activation
        if options.raw.scores == 'probabilities':
            activation = 'none'
        elif options.raw.scores == 'logits' and activation == 'none':
            activation = 'sigmoid'
        if activation == 'sigmoid':
            return np.asarray(1 / (1 + np.exp(-best)), np.float32)
        if activation == 'softmax':
            largest = values.max(axis=1)
            total = np.exp(values - largest[:, None]).sum(axis=1)
            return np.asarray(np.exp(best - largest) / total, np.float32)
        return best


class DetrLogitsLayout:
    """
    Recognizer of two outputs of few queries.

    :param activation: 'sigmoid' (RT-DETR, D-FINE, Deformable DETR) or 'softmax' (the
        original DETR, whose last value is the background).
    """

    def __init__(self, activation: str) -> None:
        self._activation = activation
        self.name = f'detr_{activation}'
        values = 'C + 1' if activation == 'softmax' else 'C'
        self.description = (
            f'boxes [N, Q, 4], normalized, and logits [N, Q, {values}] ({activation})'
        )
        # The original DETR was trained with ImageNet mean and std, RT-DETR was not.
        self.single_image = False
        self.normalized = True
        self.preset = 'detr_imagenet' if activation == 'softmax' else 'detr'

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        pair = _pair(info)
        if pair is None:
            return None
        queries, values = info.outputs[pair[1]].shape[1:]
        if not values or (self._activation == 'softmax' and values < 2):
            return None
        softmax = self._activation == 'softmax'
        detr = info.has_attention or info.family == 'detr'
        spare = softmax or (info.has_attention and info.num_names == values - 1)
        count = values - 1 if spare else values
        anchors = bool(info.anchors_per_cell(queries)) or (queries or 0) > MAX_QUERIES
        if any(word in info.outputs[pair[1]].name.lower() for word in ('logit', _RF_DETR[1])):
            anchors = False
        if info.has_attention and not softmax:
            # Deformable attention and sigmoid were introduced together.
            evidence = Evidence.OPERATORS
        elif anchors and not detr:
            evidence = Evidence.ON_REQUEST
        else:
            evidence = Evidence.FEW_ROWS
        return LayoutMatch(
            count,
            f'normalized boxes and {count} classes by {self._activation}',
            lambda: self._build(info, count, pair),
            evidence,
            boxes=(pair[0], 'centers'),
        )

    def _build(self, info: GraphInfo, count: int, pair: tuple[int, int]) -> DetrLogitsHead:
        """Build the head; raise ModelError if the input size is not known."""
        boxes, values = pair
        # With a Sigmoid or Softmax in the graph the values are scores already.
        inside = (info.tail(info.outputs[values]) or frozenset()) & {'Sigmoid', 'Softmax'}
        return DetrLogitsHead(
            count,
            require_size(info),
            boxes=boxes,
            values=values,
            activation='none' if inside else self._activation,
        )


def _pair(info: GraphInfo) -> tuple[int, int] | None:
    """Find the indices of the outputs with boxes and with class values."""
    planes = [(n, out) for n, out in enumerate(info.outputs) if len(out.shape) == 3]
    named_boxes = [n for n, out in planes if 'box' in out.name.lower() and out.shape[2] == 4]
    named_values = [n for n, out in planes if _names_values(out)]
    if not named_boxes and not named_values:
        # RF-DETR; its segmentation has masks beside them.
        boxes, labels = _RF_DETR
        named_boxes = [n for n, out in planes if out.name == boxes and out.shape[2] == 4]
        named_values = [n for n, out in planes if out.name == labels]
    if len(named_boxes) == len(named_values) == 1:
        pair = named_boxes[0], named_values[0]
        return pair if agree(*(info.outputs[n].shape[1] for n in pair)) else None
    if len(info.outputs) != 2 or len(planes) != 2:
        return None
    (first, a), (second, b) = planes
    if a.shape[1] != b.shape[1] or (a.shape[2] == 4) == (b.shape[2] == 4):
        return None
    return (first, second) if a.shape[2] == 4 else (second, first)


def _names_values(output: TensorSpec) -> bool:
    """Tell whether an output's name says that it has class values."""
    return any(word in output.name.lower() for word in ('logit', 'score', 'class'))
