# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorFlow's Object Detection API and EfficientDet: normalized boxes that begin with y.

Contract: exporter_lib_v2 of the Object Detection API (float outputs, classes from 1, through
tf2onnx), and TensorRT's sample efficientdet with NVIDIA TAO (EfficientNMS, whole classes from 0).
Checked with a model of that signature through tf2onnx 1.17.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DecodeError, ModelError
from ...values.detections import Detections
from ..graph_info import agree, GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import filter_and_suppress, read_counts

__all__ = ['TfDetectionHead', 'TfDetectionLayout']

_NAMES = ('detection_boxes', 'detection_scores', 'detection_classes')
_RANKS = (3, 2, 2)
_COUNT = 'num_detections'
_Y_FIRST = (1, 0, 3, 2)
# Score of rows that hold nothing.
_PADDING = 0.01


class TfDetectionHead:
    """
    Decoder for detection_boxes [N, M, 4], detection_scores [N, M], detection_classes [N, M].

    Boxes are y1, x1, y2, x2 as shares of the input.

    :param order: indices of the outputs in that order.
    :param count: index of num_detections, None if there is none.
    :param first_class: number of the first class.
    :param input_size: (height, width) of the network's input in pixels.
    """

    layout = 'TensorFlow detection_boxes, detection_scores, detection_classes'
    num_classes: int | None = None

    def __init__(
        self,
        order: tuple[int, ...],
        count: int | None,
        first_class: int,
        input_size: tuple[int, int],
    ) -> None:
        self._order = order
        self._count = count
        self._first_class = first_class
        self._size = np.array((input_size[1], input_size[0]) * 2, np.float32)

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        boxes, scores, classes = (outputs[index] for index in self._order)
        if boxes.shape[2:] != (4,):
            raise DecodeError(
                f'the output of boxes has the shape {list(boxes.shape)}; expected [N, M, 4]: '
                'export the model again'
            )
        counts = [boxes.shape[1]] * len(boxes)
        if self._count is not None:
            counts = read_counts(outputs[self._count], len(boxes))
        found = []
        for n, count in enumerate(counts):
            rows = slice(count)
            with np.errstate(invalid='ignore', over='ignore'):
                pixels = boxes[n, rows][:, _Y_FIRST].astype(np.float32) * self._size
                class_ids = classes[n, rows].astype(np.float32) - self._first_class
                before = (np.rint(class_ids) == -1) & (scores[n, rows] > _PADDING)
            if before.any() and self._first_class:
                raise DecodeError(
                    'detection_classes has class 0, but real numbers are counted from 1, as '
                    "TensorFlow's are: export detection_classes as integers (Cast), which are "
                    'counted from 0'
                )
            found.append(
                filter_and_suppress(pixels, scores[n, rows], class_ids, options, suppress=False)
            )
        return found


class TfDetectionLayout:
    """Recognizes the outputs by their names; others may stand beside them."""

    name = 'tf_detection'
    description = (
        'detection_boxes [N, M, 4] y1, x1, y2, x2 of 0 to 1, detection_scores [N, M], '
        'detection_classes [N, M] (numbers from 1, or integers from 0), num_detections [N]'
    )
    preset = 'tensorflow'
    single_image = False
    normalized = True

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        # TensorFlow's tensors end with the number of the output: 'detection_boxes:0'.
        names = [output.name.removesuffix(':0') for output in info.outputs]
        if any(name not in names for name in _NAMES):
            return None
        order = tuple(names.index(name) for name in _NAMES)
        outputs = [info.outputs[index] for index in order]
        if tuple(len(output.shape) for output in outputs) != _RANKS:
            return None
        count = names.index(_COUNT) if _COUNT in names else None
        shapes = [output.shape for output in outputs]
        counts = (None,) if count is None else info.outputs[count].shape
        if len(counts) not in (1, 2) or not (
            agree(shapes[0][2], 4)
            and agree(*(shape[1] for shape in shapes))
            and agree(counts[0], *(shape[0] for shape in shapes))
            and agree(1, *counts[1:])
        ):
            return None
        # The plugin counts classes from 0 and writes integers; its networks pad the picture.
        plugin = bool(np.issubdtype(outputs[2].dtype, np.integer))
        return LayoutMatch(
            None,
            f'normalized boxes from y, scores, classes from {0 if plugin else 1}',
            partial(_build, info, order, count, 0 if plugin else 1),
            evidence=Evidence.OUTPUTS,
            preset='efficientdet' if plugin else '',
        )


def _build(
    info: GraphInfo, order: tuple[int, ...], count: int | None, first_class: int
) -> TfDetectionHead:
    """Build the head, or raise ModelError if the input size is unknown."""
    if info.input_size is None:
        raise ModelError(
            'detection_boxes are shares of the input size, which is unknown; set input_shape'
        )
    return TfDetectionHead(order, count, first_class, info.input_size)
