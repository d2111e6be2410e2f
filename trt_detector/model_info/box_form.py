# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Form of the boxes in an output, and objectness beside them, from what makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .graph_constants import GraphConstants

__all__ = ['find_box_form', 'has_objectness']

# They move or select boxes, and change neither the order nor the meaning of the four values.
_TRANSPARENT = frozenset({
    'Cast', 'DequantizeLinear', 'Gather', 'GatherElements', 'GatherND', 'Identity',
    'QuantizeLinear', 'Reshape', 'Slice', 'Split', 'Squeeze', 'Transpose', 'Unsqueeze',
})  # fmt: skip
_LONGEST_PATH = 32
# Sizes of YOLOX and of YOLOv5 before the factor that makes pixels of them.
_SIZES = frozenset({'Exp', 'Pow'})
# They fill a tensor with a constant.
_FILLED = frozenset({'Constant', 'ConstantOfShape', 'Expand', 'Tile'})


def find_box_form(graph: Any, output: str) -> str:
    """
    Tell whether boxes are made as centers and sizes, or as corners.

    Ultralytics computes both from the distances to the sides: [(a + b) / 2, b - a] or
    [center - distances, center + distances], concatenated and multiplied by strides. YOLOX and
    YOLOv5 multiply an exponential or a square for the size. The first input of any other
    concatenation are the boxes, or those of one feature map.

    :param output: name of an output that has boxes.
    :return: 'centers' or 'corners'; '' if the graph does not tell.
    """
    makers = {name: node for node in graph.node for name in node.output}
    constants = GraphConstants(graph)
    name = output
    for _ in range(_LONGEST_PATH):
        node = _skip(makers, name)
        if node is not None and node.op_type == 'Mul':
            node = _find_scaled(makers, node)
        if node is None or node.op_type != 'Concat' or not node.input:
            return ''
        form = _read_form(node, makers, constants)
        if form:
            return form
        name = node.input[0]
    return ''


def has_objectness(graph: Any, output: str) -> bool:
    """
    Tell whether predictions are concatenated of boxes, objectness and class scores.

    YOLOX and its like pass objectness and classes through a Sigmoid each, before they are
    concatenated; the concatenation of feature maps follows. The objectness of YOLOv6 is 1.

    :param output: name of an output that has boxes and scores.
    """
    makers = {name: node for node in graph.node for name in node.output}
    name = output
    for _ in range(_LONGEST_PATH):
        node = _skip(makers, name)
        if node is None or node.op_type != 'Concat' or not node.input:
            return False
        parts = [_skip(makers, part) for part in node.input]
        scores = [part is not None and part.op_type == 'Sigmoid' for part in parts]
        if scores == [False, True, True] and parts[1] is not parts[2]:
            return True
        if len(parts) == 3 and _is_filled(parts[1]):
            return True
        name = node.input[0]
    return False


def _read_form(node: Any, makers: Mapping[str, Any], constants: GraphConstants) -> str:
    """Read the form from the parts of a concatenation; '' if they do not tell."""
    parts = [_skip(makers, name) for name in node.input[:4]]
    kinds = tuple('' if part is None else part.op_type for part in parts)
    if kinds in (('Sub', 'Add'), ('Sub', 'Sub', 'Add', 'Add')):
        return 'corners'
    if len(parts) < 2 or parts[0] is None or parts[1] is None:
        return ''
    if kinds[1] == 'Sub' and _halves(parts[0], constants):
        return 'centers'
    if kinds[1] == 'Mul' and _has_factor(makers, parts[1], _SIZES):
        return 'centers'
    return ''


def _find_scaled(makers: Mapping[str, Any], node: Any) -> Any:
    """Find the concatenation that a node multiplies by strides."""
    found = (_skip(makers, name) for name in node.input)
    return next((one for one in found if one is not None and one.op_type == 'Concat'), None)


def _has_factor(makers: Mapping[str, Any], node: Any, kinds: frozenset[str]) -> bool:
    """Tell whether a factor of a product is made by an operator of these kinds."""
    factors = (_skip(makers, name) for name in node.input)
    return any(one is not None and one.op_type in kinds for one in factors)


def _skip(makers: Mapping[str, Any], name: str) -> Any:
    """Find the node that makes a tensor, before those that only move its values."""
    node = makers.get(name)
    for _ in range(_LONGEST_PATH):
        if node is None or node.op_type not in _TRANSPARENT or not node.input:
            break
        node = makers.get(node.input[0])
    return node


def _is_filled(node: Any) -> bool:
    """Tell whether a tensor is constant; initializers have no node."""
    return node is None or node.op_type in _FILLED


def _halves(node: Any, constants: GraphConstants) -> bool:
    """Tell whether a node divides by 2."""
    if node.op_type not in ('Div', 'Mul') or len(node.input) != 2:
        return False
    numbers = [constants.read(name) for name in node.input]
    values = [number.tolist() if number is not None else [] for number in numbers]
    return values[1] == [2] if node.op_type == 'Div' else [0.5] in values
