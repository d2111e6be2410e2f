# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Warnings about outputs that are decoded, but tell less than their model was trained for."""

from __future__ import annotations

import numpy as np

from ..errors import printable
from .graph_info import GraphInfo

__all__ = ['describe_exports']

# Layouts with the class as a real number, and the last number up to which half precision has all.
_CLASS_COLUMN = frozenset({
    'end_to_end', 'detr_rows', 'deepstream', 'obb_rows', 'rows_box_class_score',
    'rows_box_score_class', 'rows_class_score_box', 'rows_score_class_box',
})  # fmt: skip
_LARGEST_HALF = 2048
# Of scores: more would decide what is found.
_LARGEST_STEP = 0.05


def describe_exports(info: GraphInfo, layout: str) -> list[str]:
    """
    Describe what an export does not report, or rounds.

    :param layout: name of the layout that decodes it.
    :return: sentences for the user.
    """
    return [*_describe_task(info), *_describe_rounding(info), *_describe_half(info, layout)]


def _describe_task(info: GraphInfo) -> list[str]:
    """Describe what is not reported: masks, keypoints, or a map beside the predictions."""
    plane = info.plane()
    if info.task not in ('detect', 'obb') or (plane is not None and info.extra_values()):
        task = info.task if info.task != 'detect' else 'segment'
        rest = {'segment': ', not its masks', 'pose': ', not its keypoints'}.get(task, '')
        text = f"the model's task is {task!r}: only its boxes are reported{rest}"
        if info.task != task and info.num_names is None:
            text += (
                f' (assumed, because of a map with {info.extra_values()} channels; if the model '
                'has no masks, give class_names)'
            )
        return [text]
    if plane is None:
        return []
    return [
        f'{printable(output.name)} is no mask prototype of {printable(plane[1].name)} and ignored'
        for index, output in enumerate(info.outputs)
        if index != plane[0]
    ]


def _describe_rounding(info: GraphInfo) -> list[str]:
    """Describe outputs of boxes and scores that one INT8 scale rounds too coarsely for scores."""
    return [
        f'{printable(output.name)} is quantized to INT8 with one scale for boxes and scores: its '
        f'scores are multiples of {step:.3g}, so objects are missed; quantize the model again '
        'without its last Concat (nodes_to_exclude of ONNX Runtime), or only its Conv nodes '
        '(op_types_to_quantize)'
        for output in info.outputs
        if len(output.shape) == 3 and 4 not in output.shape[1:]
        if (step := info.output_steps.get(output.name, 0.0)) > _LARGEST_STEP
    ]


def _describe_half(info: GraphInfo, layout: str) -> list[str]:
    """Describe class numbers that half precision confuses."""
    if layout not in _CLASS_COLUMN or (info.num_names or 0) <= _LARGEST_HALF:
        return []
    return [
        f'{printable(output.name)} is float16, which has no odd numbers above {_LARGEST_HALF}: '
        'classes beyond are confused; export this output as float32'
        for output in info.outputs
        if output.dtype == np.float16
    ]
