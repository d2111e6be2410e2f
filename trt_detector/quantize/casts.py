# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Clean up the Cast nodes and the order of a graph after a conversion of types."""

from __future__ import annotations

import graphlib

import onnx
from onnx import TensorProto

from .graph_index import read_names

__all__ = ['remove_redundant_casts', 'sort_nodes']


def remove_redundant_casts(model: onnx.ModelProto) -> None:
    """
    Remove Cast nodes that are duplicates, unused, or a round trip from FP32 through FP16.

    A round trip would round to FP16 between two nodes that both compute in FP32.
    """
    _drop_doubled(model.graph)
    _skip_round_trips(model.graph)
    _drop_unread(model.graph)


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Sort the nodes of a graph topologically."""
    nodes = list(graph.node)
    producer = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    sorter = graphlib.TopologicalSorter(
        {
            number: sorted({producer[name] for name in read_names(node) if name in producer})
            for number, node in enumerate(nodes)
        }
    )
    _replace_nodes(graph, [nodes[number] for number in sorter.static_order()])


def _drop_doubled(graph: onnx.GraphProto) -> None:
    """Keep one of several Cast nodes that give the same name to their output."""
    seen: set[str] = set()
    kept = []
    for node in graph.node:
        if node.op_type == 'Cast' and node.output[0] in seen:
            continue
        seen.update(node.output)
        kept.append(node)
    _replace_nodes(graph, kept)


def _skip_round_trips(graph: onnx.GraphProto) -> None:
    """Connect the consumers of a round trip to the tensor at its start."""
    sources = _round_trips(graph)
    outputs = {value.name for value in graph.output}
    fixed = outputs | _names_from_outside(graph)
    # The name of a graph's output stays: the tensor at the start of the trip takes it over.
    moved = {
        source: name
        for name, source in sources.items()
        if name in outputs and source not in fixed and source not in sources
    }
    ends = set(moved.values())
    kept = [n for n in graph.node if n.op_type != 'Cast' or n.output[0] not in ends]
    for node in kept:
        for position, name in enumerate(node.input):
            while name in sources and name not in ends:
                name = sources[name]
            node.input[position] = moved.get(name, name)
        for position, name in enumerate(node.output):
            node.output[position] = moved.get(name, name)
    _replace_nodes(graph, kept)


def _round_trips(graph: onnx.GraphProto) -> dict[str, str]:
    """Return the FP32 tensors that come from an FP32 tensor through FP16, with that tensor."""
    types = _element_types(graph)
    casts = [node for node in graph.node if node.op_type == 'Cast']
    narrowed = {n.output[0]: n.input[0] for n in casts if _target(n) == TensorProto.FLOAT16}
    return {
        node.output[0]: narrowed[node.input[0]]
        for node in casts
        if _target(node) == TensorProto.FLOAT
        and types.get(narrowed.get(node.input[0], '')) == TensorProto.FLOAT
    }


def _names_from_outside(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors that cannot be renamed: inputs, initializers, names of subgraphs."""
    names = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        names |= set(read_names(node)) - set(node.input)
    return names


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Remove Cast nodes whose output is unused, repeatedly."""
    while True:
        read = {name for node in graph.node for name in read_names(node)}
        read |= {value.name for value in graph.output}
        kept = [n for n in graph.node if n.op_type != 'Cast' or n.output[0] in read]
        if len(kept) == len(graph.node):
            return
        _replace_nodes(graph, kept)


def _element_types(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the element types of the tensors that the graph declares."""
    values = [*graph.input, *graph.output, *graph.value_info]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _target(node: onnx.NodeProto) -> int:
    """Return the type that a Cast converts to."""
    return next((int(a.i) for a in node.attribute if a.name == 'to'), 0)


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Set the nodes of a graph."""
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)
