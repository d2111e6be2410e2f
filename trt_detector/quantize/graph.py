# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Split of a detector's graph into layers to quantize and the head tail, by structure."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from .graph_index import GraphIndex, node_name

__all__ = ['HeadAnalysis', 'analyse_head']

_CONVOLUTIONS = ('Conv', 'ConvTranspose')
# They move values without changing them.
_SHAPE_ONLY = ('Flatten', 'Identity', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze')


@dataclass(frozen=True, slots=True)
class HeadAnalysis:
    """
    The head tail of a detector and the convolutions before it.

    :param convolutions: names of the convolution nodes that may be quantized, in graph order.
    :param output_convolutions: those of them that no other layer with trained weights follows:
        the last ones of the box and class branches.
    :param tail_nodes: names of the nodes after the last convolutions (DFL, sigmoid, decode
        arithmetic, TopK): sensitive to INT8.
    :param tail_tensors: names of the tensors that tail_nodes produce.
    :param decode_nodes: the nodes after the last layer with trained weights of any kind:
        they stay FP32 in an FP16 network. A subset of tail_nodes.
    :param decode_tensors: names of the tensors that decode_nodes produce.
    """

    convolutions: tuple[str, ...]
    output_convolutions: frozenset[str]
    tail_nodes: frozenset[str]
    tail_tensors: frozenset[str]
    decode_nodes: frozenset[str]
    decode_tensors: frozenset[str]


def analyse_head(model: onnx.ModelProto) -> HeadAnalysis:
    """
    Find the head tail of a detector.

    A node is in the tail if no convolution depends on it.
    The convolution of a distribution focal loss (DFL), which takes the expectation of a softmax
    with the constants 0, 1, 2 ..., counts as arithmetic. A node without a name is named
    'node_of_<its first output>', the name that TensorRT's parser gives it.
    """
    index = GraphIndex(model.graph)
    convolutions = [
        number
        for number, node in enumerate(index.nodes)
        if node.op_type in _CONVOLUTIONS and not _is_expectation(index, node)
    ]
    weighted = convolutions + [
        number for number, node in enumerate(index.nodes) if _is_dense_layer(index, node)
    ]
    inputs = (index.producer_number(index.nodes[number].input[0]) for number in weighted)
    followed = index.upstream(number for number in inputs if number is not None)
    tail_nodes, tail_tensors = _after(index, convolutions)
    decode_nodes, decode_tensors = _after(index, weighted)
    return HeadAnalysis(
        convolutions=tuple(node_name(index.nodes[number]) for number in convolutions),
        output_convolutions=frozenset(
            node_name(index.nodes[number]) for number in convolutions if number not in followed
        ),
        tail_nodes=tail_nodes,
        tail_tensors=tail_tensors,
        decode_nodes=decode_nodes,
        decode_tensors=decode_tensors,
    )


def _after(index: GraphIndex, layers: list[int]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the nodes that no layer depends on, and their output tensors."""
    before = index.upstream(layers)
    after = [node for number, node in enumerate(index.nodes) if number not in before]
    tensors = frozenset(name for node in after for name in node.output if name)
    return frozenset(node_name(node) for node in after), tensors


def _is_expectation(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Return whether a node is DFL's convolution: one output channel, straight after a softmax."""
    weights = index.constant(node.input[1])
    if weights is None or weights.shape[0] != 1:
        return False
    source = index.producer(node.input[0])
    while source is not None and source.op_type in _SHAPE_ONLY:
        source = index.producer(source.input[0])
    return source is not None and source.op_type == 'Softmax'


def _is_dense_layer(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Return whether a node is a fully connected layer with constant weights of rank 2 or more."""
    if node.op_type not in ('Gemm', 'MatMul'):
        return False
    return any(
        value is not None and value.ndim >= 2
        for value in (index.constant(name) for name in node.input[:2])
    )
