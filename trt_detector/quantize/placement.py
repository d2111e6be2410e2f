# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Placement of Q/DQ nodes, so that INT8 data moves between layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx

from .calibration_cache import CalibrationCache
from .graph_index import GraphIndex, node_name

__all__ = ['Placement', 'place_qdq']

# They move values without computing new ones: their inputs and outputs can share a scale.
_MOVES = frozenset({
    'Concat', 'Flatten', 'MaxPool', 'Reshape', 'Resize', 'Slice', 'Split', 'Squeeze', 'Transpose',
    'Unsqueeze',
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placement:
    """
    Tensors to quantize and their readers.

    :param scales: tensor to scale. Tensors that only data movement connects have one scale.
    :param readers: number of a node to the positions of the inputs that it reads quantized.
    """

    scales: Mapping[str, float]
    readers: Mapping[int, tuple[int, ...]]


def place_qdq(
    index: GraphIndex,
    convolutions: Collection[int],
    cache: CalibrationCache,
    float_nodes: Collection[str],
) -> Placement:
    """
    Choose the tensors to quantize for convolutions in INT8.

    The output of each computing node in front of such a convolution is quantized once, and the
    nodes that move data (concatenation, pooling, upsampling) read that form. The input of a
    convolution behind a moving node is quantized again with the same scale, which changes no value
    and lets TensorRT move INT8 data. Residual adds read float tensors: INT8 there saves less than
    2 % of the moved bytes and costs accuracy (docs/int8.md).

    :param convolutions: numbers of the nodes to run in INT8; the cache has their inputs.
    :param cache: scales of the tensors.
    :param float_nodes: names of the nodes that read float tensors.
    """
    search = _Search(index, float_nodes)
    for number in convolutions:
        search.follow(index.nodes[number].input[0])
    readers: dict[int, tuple[int, ...]] = dict.fromkeys(convolutions, (0,))
    for number in search.moving:
        inputs = index.nodes[number].input
        positions = range(len(inputs)) if index.nodes[number].op_type == 'Concat' else (0,)
        readers[number] = tuple(p for p in positions if inputs[p] in search.sources)
    read = {
        index.nodes[number].input[p] for number, positions in readers.items() for p in positions
    }
    largest: dict[str, float] = {}
    for tensor in search.tensors:
        group = search.group(tensor)
        largest[group] = max(largest.get(group, 0.0), cache.scales.get(tensor, 0.0))
    return Placement({tensor: largest[search.group(tensor)] for tensor in read}, readers)


class _Search:
    """
    Search from convolutions to the computing nodes in front of them.

    :ivar sources: outputs of computing nodes, and inputs of the graph.
    :ivar moving: numbers of the nodes between them and the convolutions.
    :ivar tensors: all tensors on the paths between them.
    """

    def __init__(self, index: GraphIndex, float_nodes: Collection[str]) -> None:
        self._index = index
        self._float_nodes = float_nodes
        self._parents: dict[str, str] = {}
        self.sources: set[str] = set()
        self.moving: set[int] = set()
        self.tensors: set[str] = set()

    def follow(self, tensor: str) -> None:
        """Find the sources of a tensor, and join the tensors on the path to one group."""
        waiting = [tensor]
        while waiting:
            name = waiting.pop()
            if name in self.tensors:
                continue
            self.tensors.add(name)
            number = self._index.producer_number(name)
            inputs = [] if number is None else self._moved_inputs(self._index.nodes[number])
            if number is None or not inputs:
                self.sources.add(name)
                continue
            self.moving.add(number)
            for moved in inputs:
                self._parents[self.group(moved)] = self.group(name)
                waiting.append(moved)

    def group(self, tensor: str) -> str:
        """Return the representative of the group of a tensor."""
        while (parent := self._parents.get(tensor, tensor)) != tensor:
            tensor = parent
        return tensor

    def _moved_inputs(self, node: onnx.NodeProto) -> list[str]:
        """Return the inputs whose values a node moves to its output; none if it computes."""
        if node.op_type not in _MOVES or node_name(node) in self._float_nodes:
            return []
        if node.op_type == 'Resize' and not _is_nearest(node):
            return []
        inputs = list(node.input) if node.op_type == 'Concat' else [node.input[0]]
        # TensorRT does not quantize constants other than weights.
        return [] if any(self._index.constant(name) is not None for name in inputs) else inputs


def _is_nearest(node: onnx.NodeProto) -> bool:
    """Return whether a Resize copies the nearest value."""
    return next((a.s == b'nearest' for a in node.attribute if a.name == 'mode'), True)
