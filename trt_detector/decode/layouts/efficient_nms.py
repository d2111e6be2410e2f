# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Outputs of suppression plugins and their like: count, boxes, scores, classes.

Contract: the README files of TensorRT's EfficientNMS and BatchedNMS plugins, and of exporters that
take their form under other names (YOLO-NAS in batch format, MMYOLO, YOLOv8-TensorRT). Models of
NVIDIA TAO have the names BatchedNMS, BatchedNMS_1 and so on, and boxes of 0 to 1. Checked with
YOLO-NAS of super-gradients 3.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ...values.tensor_spec import TensorSpec
from ..graph_info import agree, GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress, read_counts

__all__ = ['EfficientNmsHead', 'EfficientNmsLayout']

_NAMES = (
    ('num_dets', 'det_boxes', 'det_scores', 'det_classes'),
    ('num_detections', 'nmsed_boxes', 'nmsed_scores', 'nmsed_classes'),
)
_TAO_NAMES = ('BatchedNMS', 'BatchedNMS_1', 'BatchedNMS_2', 'BatchedNMS_3')
# The count of TensorFlow's combined_non_max_suppression, which keeps boxes as they are.
_VALID_DETECTIONS = 'valid_detections'
_ORDER_UNKNOWN = (
    "the outputs may be those of TensorFlow's suppression, which keeps the order of the "
    'coordinates: assumed is x1, y1, x2, y2; if boxes are mirrored along the '
    "diagonal, name the outputs as TensorFlow's Object Detection API does (detection_boxes, which "
    'begins with y), or export them as x1, y1, x2, y2'
)
_MMYOLO = frozenset({'num_dets', 'boxes', 'scores', 'labels'})
_PREPROCESSING = (
    'the outputs are those of MMYOLO, which do not tell the preprocessing: that of YOLO is '
    'assumed (yolo); RTMDet needs preprocess_preset: mmdet, color_order: bgr, letterbox_anchor: '
    'center and pad_value: 114'
)
# TensorFlow's boxes begin with y.
_TENSORFLOW = 'detection_boxes'
# Boxes of 0 to 1 may reach a little beyond the picture; no object of pixels is so small.
_MAX_NORMALIZED = 2.0


class EfficientNmsHead:
    """
    Decoder for count [N, 1], boxes [N, M, 4], scores [N, M], classes [N, M].

    Boxes are x1, y1, x2, y2 in input pixels, or shares of the input until half of the boxes of a
    batch have a coordinate above 2. Rows after the count are ignored.

    :param order: indices of the outputs in that order.
    :param input_size: (height, width) of the network's input in pixels, None if unknown.
    """

    layout = 'EfficientNMS num_dets, det_boxes, det_scores, det_classes'
    num_classes: int | None = None

    def __init__(
        self,
        order: tuple[int, ...],
        input_size: tuple[int, int] | None,
    ) -> None:
        self._order = order
        self._size: npt.NDArray[np.float32] | None = None
        if input_size is not None:
            self._size = np.array((input_size[1], input_size[0]) * 2, np.float32)

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        counts, boxes, scores, classes = (outputs[index] for index in self._order)
        if classes.dtype.kind == 'f':
            classes = classes.astype(np.float32, copy=False)
        rows = [slice(count) for count in read_counts(counts, len(boxes))]
        scaled = self._to_pixels(
            [boxes[n, kept] for n, kept in enumerate(rows)],
            boxes_given=options.raw.boxes != 'auto',
        )
        return [
            filter_and_suppress(
                scaled[n], scores[n, kept], classes[n, kept], options, suppress=False
            )
            for n, kept in enumerate(rows)
        ]

    def _to_pixels(
        self, boxes: list[npt.NDArray[Any]], *, boxes_given: bool
    ) -> list[npt.NDArray[Any]]:
        """Scale normalized boxes (n, 4) to the input, and remember a model with pixels."""
        if self._size is not None and _are_pixels(np.concatenate(boxes)):
            self._size = None
        if self._size is None or boxes_given:
            return boxes
        with np.errstate(invalid='ignore', over='ignore'):
            return [one.astype(np.float32, copy=False) * self._size for one in boxes]


def _are_pixels(boxes: npt.NDArray[Any]) -> bool:
    """Tell whether boxes (n, 4) are in pixels; a few normalized ones may be too large."""
    finite = boxes[np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    large = (finite > _MAX_NORMALIZED).any(axis=1)
    return bool(len(large) and 2 * np.count_nonzero(large) >= len(large))


class EfficientNmsLayout:
    """Recognizes the four outputs by names, else by ranks and types."""

    name = 'efficient_nms'
    description = (
        'num_dets [N, 1], det_boxes [N, M, 4] x1, y1, x2, y2 in input pixels or 0 to 1, '
        'det_scores [N, M], det_classes [N, M], under any names'
    )
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        order = _find_names(info) or _find_types(info)
        if not order or not _agree(info, order):
            return None
        names = {output.name for output in info.outputs}
        unordered = info.from_tensorflow or _VALID_DETECTIONS in info.outputs[order[0]].name
        return LayoutMatch(
            None,
            'count, boxes, scores, classes',
            partial(EfficientNmsHead, order, info.input_size),
            warnings=(_ORDER_UNKNOWN,) if unordered else (),
            evidence=Evidence.OUTPUTS,
            assumption=_PREPROCESSING if names == _MMYOLO else '',
            boxes=(order[1], 'corners'),
            preset='tao' if info.outputs[order[0]].name == _TAO_NAMES[0] else '',
        )


def _find_names(info: GraphInfo) -> tuple[int, ...]:
    """Find the indices of count, boxes, scores, classes by name; empty if they are others."""
    found = [output.name for output in info.outputs]
    for names in (*_NAMES, _TAO_NAMES):
        if sorted(names) == sorted(found):
            return tuple(found.index(name) for name in names)
    return ()


def _agree(info: GraphInfo, order: tuple[int, ...]) -> bool:
    """Tell whether ranks and dimensions of count, boxes, scores and classes go together."""
    count, *rest = (info.outputs[index].shape for index in order)
    if [len(shape) for shape in rest] != [3, 2, 2] or len(count) not in (1, 2):
        return False
    images, rows = zip(*(shape[:2] for shape in rest), strict=True)
    per_image = agree(1, *count[1:]) and agree(4, rest[0][2])
    return per_image and agree(count[0], *images) and agree(*rows)


def _find_types(info: GraphInfo) -> tuple[int, ...]:
    """Find them by rank, size and type; empty if they are others or cannot be told apart."""
    outputs = list(enumerate(info.outputs))
    if len(outputs) != 4 or any(_TENSORFLOW in output.name for _, output in outputs):
        return ()
    boxes = [n for n, out in outputs if len(out.shape) == 3 and out.shape[2] == 4]
    counts = [n for n, out in outputs if len(out.shape) == 1 or out.shape[1:] == (1,)]
    if len(boxes) != 1 or len(counts) != 1:
        return ()
    rest = [n for n, _ in outputs if n not in (boxes[0], counts[0])]
    scores = [n for n in rest if _is_score(info.outputs[n])]
    classes = [n for n in rest if _is_class(info.outputs[n])]
    if len(scores) != 1 or len(classes) != 1 or scores == classes:
        return ()
    return counts[0], boxes[0], scores[0], classes[0]


def _is_score(output: TensorSpec) -> bool:
    """Tell whether an output holds scores: real numbers that are not called classes."""
    return bool(np.issubdtype(output.dtype, np.floating)) and not _is_class(output)


def _is_class(output: TensorSpec) -> bool:
    """Tell whether an output holds classes: whole numbers, or numbers that are called so."""
    named = any(word in output.name.lower() for word in ('class', 'label', 'cls'))
    return bool(np.issubdtype(output.dtype, np.integer)) or named
