# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Suggestions for outputs that no head layout fits."""

from __future__ import annotations

from ..values.tensor_spec import TensorSpec
from .graph_info import GraphInfo
from .layouts.yolo_boxes_scores import find_pair

__all__ = ['suggest']

_MAX_REMEDIES = 2
_BOXES_AND_SCORES = (
    'boxes [N, 4, A] and scores [N, C, A] are in two outputs, and the graph does not tell the '
    'form of the boxes: set head to yolo_boxes_scores if they are center x, y, width, height in '
    'input pixels, as YOLOv8 computes them (and scores to logits if the graph has no Sigmoid); '
    'else export the model with its last Concat'
)
_OBJECTNESS = (
    '85 values per prediction are 81 classes, or objectness and 80 classes: set head to yolo, or '
    'give 81 class_names, if they are classes; else export [N, A, 5 + C] (with a Transpose), '
    'which head yolo_objectness reads'
)
_COMPUTED_OBJECTNESS = (
    'the graph computes objectness before the class scores: export [N, A, 5 + C] (with a '
    'Transpose), which head yolo_objectness, yolox or yolox_decoded reads'
)
_ANGLE = 'the graph turns boxes by an angle: export [N, 4 + C + 1, A], which head yolo_obb reads'
_COLUMNS = (
    'the graph selects boxes and writes them as columns: export them as rows [N, M, 6] of x1, y1, '
    'x2, y2, score, class (without the last Transpose)'
)
_DOCUMENTATION = 'docs/models.md lists every layout; the parameter head chooses one of them'


def suggest(info: GraphInfo) -> tuple[str, ...]:
    """
    Suggest what to do if no head layout fits, most likely remedy first.

    :return: two or three sentences at most.
    """
    ranks = [len(output.shape) for output in info.outputs]
    planes = [output for output in info.outputs if len(output.shape) == 3]
    found = []
    if ranks == [2] and info.outputs[0].shape[0] not in (None, 1):
        found.append('the batch dimension is missing: export with [N, ...] outputs')
    elif info.outputs and max(ranks) <= 2:
        found.append('one vector per image is a classifier or a feature: export a detector')
    if ranks.count(4) + ranks.count(5) >= 2:
        found.append(
            'several maps [N, C, H, W] are raw grids: set head to yolo_split, yolo_grid or '
            'darknet_grid, or export the model with its decoding, so that one output has the boxes'
        )
    if ranks == [4] and 1 in (info.outputs[0].shape[1], info.outputs[0].shape[3]):
        found.append('an output has a dimension of 1 too many: export without it (Squeeze)')
    if any(info.rotates(output) for output in planes):
        return _ANGLE, _DOCUMENTATION
    if any(output.name in info.objectness for output in planes):
        return _COMPUTED_OBJECTNESS, _DOCUMENTATION
    if any(info.may_be_objectness((output.shape[1] or 4) - 4) for output in planes):
        return _OBJECTNESS, _DOCUMENTATION
    if any(_has_columns(info, output) for output in planes):
        return _COLUMNS, _DOCUMENTATION
    if find_pair(info) is not None:
        return _BOXES_AND_SCORES, _DOCUMENTATION
    if len(planes) >= 2:
        found.append(
            'several outputs have predictions: name the one with the boxes in the parameter '
            'outputs'
        )
    if any(None in output.shape[1:] for output in planes):
        found.append(
            'the number of values is open: export with a fixed input size, or set input_shape'
        )
    elif any(_smallest(output) < 5 for output in planes):
        found.append(
            'fewer than five values per prediction cannot hold a box and a score: export the '
            'whole model'
        )
    elif info.input_size is not None and planes and not any(_has_anchors(info, o) for o in planes):
        height, width = info.input_size
        found.append(
            f'the number of predictions is not that of {width}x{height} pixels: set input_shape '
            'to the size of the export'
        )
    return (*found[:_MAX_REMEDIES], _DOCUMENTATION)


def _has_anchors(info: GraphInfo, output: TensorSpec) -> bool:
    """Tell whether a dimension after the batch is the number of predictions of the input size."""
    return any(info.anchors_per_cell(dim) for dim in output.shape[1:])


def _has_columns(info: GraphInfo, output: TensorSpec) -> bool:
    """Tell whether selected boxes have their values in the first dimension after the batch."""
    _, values, boxes = output.shape
    return bool(info.selects(output)) and values is not None and (boxes is None or values < boxes)


def _smallest(output: TensorSpec) -> int:
    """Get the smallest known dimension after the batch."""
    return min((dim for dim in output.shape[1:] if dim is not None), default=0)
