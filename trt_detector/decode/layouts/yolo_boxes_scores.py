# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
YOLOv8's output before its last concatenation: boxes [N, 4, A] and class scores [N, C, A].

Contract: the two inputs of the last Concat of Ultralytics' head, named as outputs of the graph.
The graph's arithmetic tells whether the boxes are centers and sizes or corners; without it the
user has to.
"""

from __future__ import annotations

from functools import partial

from ..feature_maps import has_logits
from ..graph_info import agree, GraphInfo
from ..head import Evidence, LayoutMatch
from .boxes_scores import BoxesScoresHead

__all__ = ['YoloBoxesScoresLayout', 'find_pair']


class YoloBoxesScoresLayout:
    """Recognizes the two outputs by their common number of anchors."""

    name = 'yolo_boxes_scores'
    description = (
        'boxes [N, 4, A]: center x, y, width, height in input pixels (or corners, if the graph '
        'says so), class scores [N, C, A]'
    )
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        pair = find_pair(info)
        if pair is None:
            return None
        boxes, scores = pair
        count = info.outputs[scores].shape[1]
        if not count:
            return None
        form = info.box_forms.get(info.outputs[boxes].name, '')
        evidence = Evidence.OPERATORS
        if not form or has_logits(info, [scores]) is not False:
            evidence = Evidence.ON_REQUEST
        meaning = 'corners' if form == 'corners' else 'center boxes'
        head = partial(
            BoxesScoresHead,
            boxes,
            scores,
            count,
            classes_last=False,
            boxes_last=False,
            centers=form != 'corners',
        )
        return LayoutMatch(count, f'{meaning} and {count} class scores', head, evidence)


def find_pair(info: GraphInfo) -> tuple[int, int] | None:
    """
    Find the outputs of boxes [N, 4, A] and of scores [N, C, A].

    :return: their indices; None if there are other outputs, or both could be the boxes.
    """
    if len(info.outputs) != 2 or any(len(output.shape) != 3 for output in info.outputs):
        return None
    shapes = [output.shape for output in info.outputs]
    if not agree(shapes[0][2], shapes[1][2]):
        return None
    anchors = shapes[0][2] or shapes[1][2]
    if info.anchors_per_cell(anchors) == 0:
        return None
    candidates = [index for index in (0, 1) if shapes[index][1] == 4]
    if len(candidates) == 2:
        # Four classes: only the graph or a name tells.
        told = [n for n in candidates if info.box_forms.get(info.outputs[n].name)]
        named = [n for n in candidates if 'box' in info.outputs[n].name.lower()]
        candidates = told if len(told) == 1 else named
    if len(candidates) != 1:
        return None
    return candidates[0], 1 - candidates[0]
