# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""DETR in two outputs: normalized center boxes and class values per query."""

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
# So many logits never lie between 0 and 1 all together; a probability may be rounded.
_MANY_VALUES = 50
_TOLERANCE = 0.002
# Part of the queries that are background in any image.
_LEAST_BACKGROUND = 0.1
_MANY_QUERIES = 50


class DetrLogitsHead:
    """
    Decoder for boxes [N, Q, 4] and class values [N, Q, C].

    Values that all lie between 0 and 1 are taken for scores: the graph may hide its activation.

    :param num_classes: number of classes to decode.
    :param input_size: (height, width) of the network's input in pixels.
    :param boxes: index of the output with the boxes.
    :param values: index of the output with the class values.
    :param activation: function from values to scores: 'sigmoid', 'softmax' (over all values, one
        of which is the background) or 'none'.
    :param first: index of the value of the first class; 1 after the background.
    """

    def __init__(
        self,
        num_classes: int,
        input_size: tuple[int, int],
        *,
        boxes: int,
        values: int,
        activation: str,
        first: int,
    ) -> None:
        self.num_classes: int | None = num_classes
        self.layout = f'DETR boxes [N, Q, 4], logits [N, Q, C], {activation}'
        self._input_size = input_size
        self._boxes = boxes
        self._values = values
        self._activation = activation
        self._classes = slice(first, first + num_classes)
        self._background = 0 if first else num_classes

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        activation = self._choose_activation(outputs[self._values], options.raw.scores)
        pairs = zip(outputs[self._boxes], outputs[self._values], strict=True)
        return [
            self._decode_one(
                boxes.astype(np.float32, copy=False),
                values.astype(np.float32, copy=False),
                activation,
                options,
            )
            for boxes, values in pairs
        ]

    def find_doubt(self, outputs: Sequence[npt.NDArray[Any]]) -> str:
        """Find what contradicts a background in the values, see :class:`.head.DoubtingHead`."""
        values = outputs[self._values]
        activation = self._choose_activation(values, 'auto')
        queries = values.reshape(-1, values.shape[-1]).astype(np.float32, copy=False)
        if activation == 'sigmoid' and values.shape[-1] > self._background:
            return _doubt_unused(queries)
        if activation != 'softmax':
            return ''
        with np.errstate(invalid='ignore', over='ignore'):
            rest = np.exp(queries - queries[:, [self._background]]).sum(axis=1)
        # Half of the sum of all exponentials, its own among them.
        count = int(np.count_nonzero(rest <= 2))
        if len(queries) < _MANY_QUERIES or count >= _LEAST_BACKGROUND * len(queries):
            return ''
        total = queries.shape[1]
        other = 'detr_softmax' if self._background == 0 else 'detr_softmax_first'
        return (
            f'value {self._background} of {total} is read as the background, but is the largest '
            f'by far in only {count} of {len(queries)} queries: set head to detr_sigmoid, with '
            f'{total} class_names, if the model was trained with a Sigmoid, or to {other} if its '
            'background has another place'
        )

    def _choose_activation(self, values: npt.NDArray[Any], given: str) -> str:
        """Choose the activation by the parameter scores, else by the range of the values."""
        if given == 'logits':
            return 'sigmoid' if self._activation == 'none' else self._activation
        if given == 'probabilities' or self._activation == 'none':
            return 'none'
        if values.size >= _MANY_VALUES and (
            values.min() >= -_TOLERANCE and values.max() <= 1 + _TOLERANCE
        ):
            return 'none'
        return self._activation

    def _decode_one(
        self,
        boxes: npt.NDArray[Any],
        values: npt.NDArray[np.float32],
        activation: str,
        options: DecodeOptions,
    ) -> Detections:
        """
        Decode one image.

        :param boxes: (Q, 4).
        :param values: (Q, C).
        """
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(values, axis=1)
            corners = normalized_corners(boxes, self._input_size)
            classes = values[:, self._classes]
            scores = _to_scores(classes.max(axis=1), values, activation)
        class_ids = classes.argmax(axis=1)
        return filter_and_suppress(
            corners, scores, class_ids, options, suppress=False, finite=finite, are_scores=True
        )


def _doubt_unused(queries: npt.NDArray[np.float32]) -> str:
    """
    Find queries whose best value is that which no class uses, the last one.

    :param queries: (n, C + 1) logits.
    :return: sentence for the user, '' if there are none.
    """
    last = queries[:, -1]
    count = int(np.count_nonzero((last > 0) & (last >= queries.max(axis=1))))
    if not count:
        return ''
    total = queries.shape[1]
    return (
        f'value {total - 1} of {total} is read as unused, but is the best one of {count} queries: '
        f'the first value may be the unused one: give {total} class_names, a first name for it'
    )


def _to_scores(
    best: npt.NDArray[np.float32], values: npt.NDArray[np.float32], activation: str
) -> npt.NDArray[np.float32]:
    """
    Compute the scores of the best class values.

    :param best: (Q,).
    :param values: (Q, C).
    """
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
    :param background_first: the first value is the background instead.
    """

    def __init__(self, activation: str, *, background_first: bool = False) -> None:
        self._activation = activation
        self._background_first = background_first
        self.name = f'detr_{activation}{"_first" if background_first else ""}'
        values = 'C + 1' if activation == 'softmax' else 'C'
        place = ', background first' if background_first else ''
        self.description = (
            f'boxes [N, Q, 4], normalized, and logits [N, Q, {values}] ({activation}{place})'
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
        values = info.outputs[pair[1]].shape[2]
        softmax = self._activation == 'softmax'
        if not values or (softmax and values < 2):
            return None
        named = _is_rf_detr(info, pair)
        spare = softmax or ((info.has_attention or named) and info.num_names == values - 1)
        count = values - 1 if spare else values
        unused = (_describe_unused(values),) if spare and not softmax else ()
        return LayoutMatch(
            count,
            f'normalized boxes and {count} classes by {self._activation}',
            lambda: self._build(info, count, pair),
            self._rate(info, pair),
            warnings=unused,
            boxes=(pair[0], 'centers'),
        )

    def _rate(self, info: GraphInfo, pair: tuple[int, int]) -> Evidence:
        """Rate the evidence."""
        output = info.outputs[pair[1]]
        queries = output.shape[1]
        softmax = self._activation == 'softmax'
        inside = info.tail(output) or frozenset()
        other = 'Sigmoid' if softmax else 'Softmax'
        if self._background_first or (
            other in inside and self._activation.capitalize() not in inside
        ):
            return Evidence.ON_REQUEST
        if not softmax and _is_rf_detr(info, pair):
            return Evidence.OUTPUTS
        if not softmax and info.has_attention:
            # Deformable attention and sigmoid were introduced together.
            return Evidence.OPERATORS
        # A few queries may have the number of anchors by chance: the name tells.
        anchors = bool(info.anchors_per_cell(queries)) and 'logit' not in output.name.lower()
        if (queries or 0) > MAX_QUERIES or anchors:
            detr = info.has_attention or info.family == 'detr'
            return Evidence.FEW_ROWS if detr else Evidence.ON_REQUEST
        return Evidence.FEW_ROWS

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
            first=1 if self._background_first else 0,
        )


def _describe_unused(values: int) -> str:
    """Describe that a model has a value more than classes."""
    return (
        f'{values} values for {values - 1} class names: the last value is taken for the unused '
        'one; models of COCO and NVIDIA TAO, which number their classes from 1, leave the first '
        f'one unused: give {values} class_names, the first or the last one for the unused value'
    )


def _is_rf_detr(info: GraphInfo, pair: tuple[int, int]) -> bool:
    """Tell whether the outputs have the names of RF-DETR, which was trained with a Sigmoid."""
    return tuple(info.outputs[index].name for index in pair) == _RF_DETR


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
