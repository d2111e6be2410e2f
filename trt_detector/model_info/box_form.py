# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Form of the boxes in an output [N, 4, A], from the arithmetic that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ['find_box_form']

# They change neither the order nor the meaning of the four values.
_TRANSPARENT = frozenset({
    'Cast', 'DequantizeLinear', 'Identity', 'QuantizeLinear', 'Reshape', 'Squeeze', 'Unsqueeze',
})  # fmt: skip
_LONGEST_PATH = 8


def find_box_form(graph: Any, output: str) -> str:
    """
    Tell whether boxes are made as centers and sizes, or as corners.

    Ultralytics computes both from the distances to the sides: [(a + b) / 2, b - a] or
    [center - distances, center + distances], concatenated along axis 1 and multiplied by strides.

    :param output: name of an output [N, 4, A].
    :return: 'centers' or 'corners'; '' if the graph does not tell.
    """
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    concat = _find_concat(makers, output)
    if concat is None:
        return ''
    first, second = (_skip(makers, name) for name in concat.input)
    kinds = tuple('' if node is None else node.op_type for node in (first, second))
    if kinds == ('Sub', 'Add'):
        return 'corners'
    if kinds[1] == 'Sub' and first is not None and _halves(first, makers, constants):
        return 'centers'
    return ''


def _find_concat(makers: Mapping[str, Any], output: str) -> Any:
    """Find the concatenation of two halves before an output, behind at most one Mul."""
    node = _skip(makers, output)
    if node is not None and node.op_type == 'Mul':
        found = (_skip(makers, name) for name in node.input)
        node = next((n for n in found if n is not None and n.op_type == 'Concat'), None)
    if node is None or node.op_type != 'Concat' or len(node.input) != 2:
        return None
    axis = next((entry.i for entry in node.attribute if entry.name == 'axis'), 0)
    return node if axis in (1, -2) else None


def _skip(makers: Mapping[str, Any], name: str) -> Any:
    """Find the node that makes a tensor, before those that only move its values."""
    node = makers.get(name)
    for _ in range(_LONGEST_PATH):
        if node is None or node.op_type not in _TRANSPARENT or not node.input:
            break
        node = makers.get(node.input[0])
    return node


def _halves(node: Any, makers: Mapping[str, Any], constants: Mapping[str, Any]) -> bool:
    """Tell whether a node divides by 2."""
    if node.op_type not in ('Div', 'Mul') or len(node.input) != 2:
        return False
    values = [_read_number(name, makers, constants) for name in node.input]
    return values[1] == 2 if node.op_type == 'Div' else 0.5 in values


def _read_number(
    name: str, makers: Mapping[str, Any], constants: Mapping[str, Any]
) -> float | None:
    """Read a constant of one value; None for anything else."""
    import onnx

    tensor = constants.get(name)
    maker = makers.get(name)
    if maker is not None and maker.op_type == 'Constant':
        tensor = next((entry.t for entry in maker.attribute if entry.name == 'value'), None)
    if tensor is None or tensor.external_data:
        return None
    try:
        values = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):
        # Damaged: only the runtime can say what is wrong with the graph, and does.
        return None
    return (
        float(values.reshape(-1)[0]) if values.size == 1 and values.dtype.kind in 'iuf' else None
    )
