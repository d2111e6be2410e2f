# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Form of boxes and objectness, told from graphs of a few nodes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest
from trt_detector.model_info.box_form import find_box_form, has_objectness

# An operator with its inputs, by the name of its output.
Nodes = dict[str, tuple[str, ...]]
TWO, HALF, THREE = np.float32(2), np.float32(0.5), np.float32(3)


def _graph(nodes: Nodes, **constants: np.float32) -> onnx.GraphProto:
    """Make a graph; its types and shapes do not matter."""
    return helper.make_graph(
        [helper.make_node(kind, inputs, [name]) for name, (kind, *inputs) in nodes.items()],
        'boxes', [], [],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip


# Distances to the sides, as Ultralytics has them.
SIDES: Nodes = {'a': ('Sub', 'anchors', 'left'), 'b': ('Add', 'anchors', 'right')}
CENTERS: Nodes = {
    **SIDES,
    'sum': ('Add', 'a', 'b'),
    'center': ('Div', 'sum', 'two'),
    'size': ('Sub', 'b', 'a'),
    'boxes': ('Concat', 'center', 'size'),
}
CORNERS: Nodes = {**SIDES, 'boxes': ('Concat', 'a', 'b')}
MOVED = ('Cast', 'Gather', 'Reshape', 'Slice', 'Split', 'Squeeze', 'Transpose', 'Unsqueeze')


@pytest.mark.parametrize('nodes', [CENTERS, CORNERS])
@pytest.mark.parametrize('mover', ['', *MOVED])
@pytest.mark.parametrize('is_scaled', [False, True])
def test_boxes_are_followed_to_what_makes_them(
    nodes: Nodes, mover: str, *, is_scaled: bool
) -> None:
    name = 'boxes'
    more: Nodes = {}
    if is_scaled:
        more['pixels'], name = ('Mul', name, 'strides'), 'pixels'
    if mover:
        more['moved'], name = (mover, name), 'moved'
    more['output'] = ('Concat', name, 'scores')
    graph = _graph({**nodes, **more}, two=TWO)
    assert find_box_form(graph, 'output') == ('centers' if nodes is CENTERS else 'corners')


@pytest.mark.parametrize(
    ('nodes', 'form'),
    [
        # Each coordinate by itself.
        ({'l': ('Sub', 'x', 'd'), 't': ('Sub', 'y', 'd'), 'r': ('Add', 'x', 'd'),
          'b': ('Add', 'y', 'd'), 'boxes': ('Concat', 'l', 't', 'r', 'b')}, 'corners'),
        # Multiplied by a half instead of divided by two.
        ({**CENTERS, 'center': ('Mul', 'half', 'sum')}, 'centers'),
        # Not the middle.
        ({**CENTERS, 'center': ('Div', 'sum', 'three')}, ''),
        ({**CENTERS, 'center': ('Div', 'two', 'sum')}, ''),
        # YOLOX and YOLOv5.
        ({'xy': ('Mul', 'cells', 'strides'), 'e': ('Exp', 'wh'), 'size': ('Mul', 'e', 'strides'),
          'boxes': ('Concat', 'xy', 'size')}, 'centers'),
        ({'xy': ('Mul', 'cells', 'strides'), 'e': ('Pow', 'wh', 'two'),
          'size': ('Mul', 'e', 'anchors'), 'boxes': ('Concat', 'xy', 'size')}, 'centers'),
        ({'xy': ('Mul', 'cells', 'strides'), 'size': ('Mul', 'wh', 'strides'),
          'boxes': ('Concat', 'xy', 'size')}, ''),
        ({'boxes': ('Conv', 'x')}, ''),
    ],
)  # fmt: skip
def test_the_arithmetic_tells_the_form(nodes: Nodes, form: str) -> None:
    graph = _graph(nodes, two=TWO, half=HALF, three=THREE)
    assert find_box_form(graph, 'boxes') == form


@pytest.mark.parametrize(
    ('nodes', 'told'),
    [
        ({'o': ('Sigmoid', 'x'), 'c': ('Sigmoid', 'y'),
          'rows': ('Concat', 'box', 'o', 'c')}, True),
        # One Sigmoid of all scores, which are split and joined again.
        ({'s': ('Sigmoid', 'x'), 'o': ('Slice', 's'), 'c': ('Slice', 's'),
          'rows': ('Concat', 'box', 'o', 'c')}, False),
        # That of YOLOv6 is 1 for all.
        ({'one': ('ConstantOfShape', 'n'), 'c': ('Sigmoid', 'y'),
          'rows': ('Concat', 'box', 'one', 'c')}, True),
        ({'c': ('Sigmoid', 'y'), 'rows': ('Concat', 'box', 'c')}, False),
        ({'o': ('Conv', 'x'), 'c': ('Sigmoid', 'y'), 'rows': ('Concat', 'box', 'o', 'c')}, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize('maps', [1, 3])
def test_objectness_has_a_sigmoid_of_its_own(nodes: Nodes, maps: int, *, told: bool) -> None:
    more: Nodes = {
        'maps': ('Concat', *('rows',) * maps),
        'output': ('Transpose', 'maps' if maps > 1 else 'rows'),
    }
    nodes = {'box': ('Conv', 'z'), **nodes, **more}
    assert has_objectness(_graph(nodes), 'output') == told
