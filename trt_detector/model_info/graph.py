# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Walks over the nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ['all_nodes', 'tail_operators']

# The last of these on the way to an output are the network; what follows is its decoding.
_WEIGHTED = frozenset({'Conv', 'ConvTranspose', 'Gemm', 'MatMul'})


def all_nodes(graph: Any) -> Iterable[Any]:
    """Yield the nodes of a graph and of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField('g'):
                yield from all_nodes(attribute.g)
            for inner in attribute.graphs:
                yield from all_nodes(inner)


def tail_operators(graph: Any, output: str) -> frozenset[str]:
    """Return the operator types between an output and the convolutions it is made from."""
    maker = {name: node for node in graph.node for name in node.output}
    operators: set[str] = set()
    seen: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        node = maker.get(name)
        if node is None or name in seen:
            continue
        # A node has several outputs at times; each is a name of its own.
        seen.update(node.output)
        if node.op_type not in _WEIGHTED:
            operators.add(node.op_type)
            waiting.extend(node.input)
    return frozenset(operators)
