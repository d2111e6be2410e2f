# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Producers and consumers of the tensors of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import fnmatch

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from ..errors import ConfigError

__all__ = ['GraphIndex', 'node_name', 'read_names', 'tensor_names', 'match_nodes']


def node_name(node: onnx.NodeProto) -> str:
    """Return a node's name; one without is named after its output, as TensorRT's parser does."""
    if node.name:
        return node.name
    return f'node_of_{next((name for name in node.output if name), "nothing")}'


class GraphIndex:
    """
    Index of a graph, which must not change while the index is used.

    :param graph: the main graph of a model.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes = list(graph.node)
        self.outputs = [value.name for value in graph.output]
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._producer = {
            name: number for number, node in enumerate(self.nodes) for name in node.output if name
        }

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the producer of a tensor, None for an input or an initializer."""
        number = self.producer_number(tensor)
        return None if number is None else self.nodes[number]

    def producer_number(self, tensor: str) -> int | None:
        """Return the number of the producer of a tensor, None for an input or an initializer."""
        return self._producer.get(tensor)

    def constant(self, tensor: str) -> npt.NDArray[np.generic] | None:
        """Return the value of an initializer or a Constant node, None for anything else."""
        if tensor in self._initializers:
            return numpy_helper.to_array(self._initializers[tensor])
        node = self.producer(tensor)
        if node is not None and node.op_type == 'Constant':
            for attribute in node.attribute:
                if attribute.name == 'value':
                    return numpy_helper.to_array(attribute.t)
        if node is not None and node.op_type == 'Identity':
            return self.constant(node.input[0])
        return None

    def upstream(self, numbers: Iterable[int]) -> set[int]:
        """Return the numbers of these nodes and of all nodes that they depend on."""
        found: set[int] = set()
        waiting = list(numbers)
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            read = read_names(self.nodes[number])
            waiting += [self._producer[name] for name in read if name in self._producer]
        return found


def read_names(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the tensors that a node and its subgraphs read."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from read_names(inner)


def tensor_names(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names of the inputs and of all tensors that nodes produce."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name for value in graph.input if value.name not in constants}
    return frozenset(inputs | {name for node in graph.node for name in node.output if name})


_EXAMPLES = 3


def match_nodes(model: onnx.ModelProto, patterns: Sequence[str]) -> frozenset[str]:
    """
    Return the names of the nodes that one of the patterns matches.

    :param patterns: shell patterns of whole names, e.g. '/model.22/*'.
    :raises ConfigError: if a pattern matches no node, with some names.
    """
    names = [node_name(node) for node in model.graph.node]
    matched: set[str] = set()
    for pattern in patterns:
        found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            layers = [node_name(n) for n in model.graph.node if n.op_type == 'Conv'] or names
            raise ConfigError(
                f'quantize_exclude holds {pattern!r}, which matches none of the {len(names)} '
                f'nodes; their names look like {", ".join(layers[:_EXAMPLES])}'
            )
        matched.update(found)
    return frozenset(matched)
