# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rounding of an output that a quantized graph writes."""

from __future__ import annotations

from typing import Any

from .graph_constants import GraphConstants

__all__ = ['find_output_step']

# They do not change values.
_TRANSPARENT = frozenset({
    'Cast', 'Identity', 'Reshape', 'Slice', 'Split', 'Squeeze', 'Transpose', 'Unsqueeze',
})  # fmt: skip
_LONGEST_PATH = 8


def find_output_step(graph: Any, output: str) -> float | None:
    """
    Find the distance between neighboring values of an output with one INT8 scale.

    :param graph: GraphProto.
    :return: None if the output is not rounded, or has a scale per channel.
    """
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(output)
    for _ in range(_LONGEST_PATH):
        if node is None or node.op_type not in _TRANSPARENT or not node.input:
            break
        node = makers.get(node.input[0])
    if node is None or node.op_type != 'DequantizeLinear' or len(node.input) < 2:
        return None
    scale = GraphConstants(graph).read(node.input[1])
    return None if scale is None or scale.size != 1 else float(scale[0])
