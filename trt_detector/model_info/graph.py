# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Walks over the nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..values.output_part import OutputPart

__all__ = ['all_nodes', 'has_broken_text', 'output_parts', 'tail_operators']

# The last of these on the way to an output belong to the network; the rest is its decoding. The
# second and third row are written by ONNX Runtime's optimizer and quantizer.
_WEIGHTED = frozenset({
    'Conv', 'ConvTranspose', 'Gemm', 'MatMul',
    'FusedConv', 'FusedGemm', 'FusedMatMul', 'MatMulNBits', 'NhwcConv', 'NhwcFusedConv', 'QGemm',
    'ConvInteger', 'DynamicQuantizeMatMul', 'MatMulInteger', 'MatMulIntegerToFloat',
    'QLinearConv', 'QLinearConvTranspose', 'QLinearMatMul',
})  # fmt: skip
# Their integers become numbers by Cast, Mul with the scales and Add with the bias.
_INTEGER = frozenset({'ConvInteger', 'MatMulInteger'})
_DEQUANTIZING = ('Cast', 'Mul', 'Add')
# Quantized operators have the prefix; their meaning is the same.
_QUANTIZED_PREFIX = 'QLinear'
# Operators that change neither values nor the order along the last axis.
_TRANSPARENT = frozenset({
    'Cast', 'DequantizeLinear', 'Identity', 'QuantizeLinear', 'Reshape', 'Squeeze', 'Unsqueeze',
})  # fmt: skip

# Rows of a detector have fewer values.
_MOST_PARTS = 16


def all_nodes(graph: Any) -> Iterable[Any]:
    """Yield the nodes of a graph and of its subgraphs."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField('g'):
                yield from all_nodes(attribute.g)
            for inner in attribute.graphs:
                yield from all_nodes(inner)


def has_broken_text(model: Any) -> bool:
    """Tell whether a name or text of a ModelProto is not UTF-8: protobuf gives it as bytes."""
    graph = model.graph
    texts = [model.producer_name, model.producer_version]
    texts += [text for entry in model.metadata_props for text in (entry.key, entry.value)]
    texts += [value.name for value in (*graph.input, *graph.output, *graph.initializer)]
    for node in all_nodes(graph):
        texts += (node.op_type, *node.input, *node.output)
        texts += (attribute.name for attribute in node.attribute)
    return not all(isinstance(text, str) for text in texts)


def tail_operators(graph: Any, output: str) -> frozenset[str]:
    """
    Collect the operator types between a tensor and the last convolutions or matrix products.

    Operators of ONNX Runtime's optimizer and quantizer count as what they stand for: an
    activation that is fused into a convolution is in the result, and so is QLinearSigmoid as
    Sigmoid; the arithmetic that turns ConvInteger's integers into numbers is not.
    """
    makers = _makers(graph)
    operators: set[str] = set()
    seen: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        node = makers.get(name)
        if node is None or name in seen:
            continue
        # A node can have several outputs; each is a name of its own.
        seen.update(node.output)
        if node.op_type in _WEIGHTED:
            operators.update(_fused_activations(node))
        elif not _dequantizes(node, makers):
            operators.add(node.op_type.removeprefix(_QUANTIZED_PREFIX))
            waiting.extend(node.input)
    return frozenset(operators)


def output_parts(model: Any, output: str) -> tuple[OutputPart, ...]:
    """
    Find the tensors that are concatenated along the last axis of an output, in their order.

    :param model: ModelProto.
    :return: () if the output is not such a concatenation.
    """
    makers = _makers(model.graph)
    node = makers.get(output)
    seen: set[str] = set()
    while node is not None and node.op_type in _TRANSPARENT:
        node = _maker_of_data(node, makers, seen)
    if node is None or node.op_type.removeprefix(_QUANTIZED_PREFIX) != 'Concat':
        return ()
    if len(node.input) > _MOST_PARTS:
        return ()
    shapes = _infer_shapes(model)
    axis = next((entry.i for entry in node.attribute if entry.name == 'axis'), 0)
    rank = len(shapes.get(node.output[0], ()))
    if axis != -1 and axis != rank - 1:
        return ()
    names = [name for name in node.input if name in makers or name in shapes]
    widths = [shapes[name][-1] if shapes.get(name) else None for name in names]
    return tuple(
        OutputPart(width, _data_operators(makers, name))
        for width, name in zip(widths, names, strict=True)
    )


def _data_operators(makers: Mapping[str, Any], name: str) -> frozenset[str]:
    """Collect the operator types along the first inputs of the nodes before a tensor."""
    operators: set[str] = set()
    node = makers.get(name)
    seen: set[str] = set()
    while node is not None and node.op_type not in _WEIGHTED:
        operators.add(node.op_type.removeprefix(_QUANTIZED_PREFIX))
        node = _maker_of_data(node, makers, seen)
    return frozenset(operators)


def _maker_of_data(node: Any, makers: Mapping[str, Any], seen: set[str]) -> Any:
    """Get the node that makes the first input of a node; None for none, or in a circle."""
    if not node.input or node.input[0] in seen:
        return None
    seen.add(node.input[0])
    return makers.get(node.input[0])


def _makers(graph: Any) -> dict[str, Any]:
    """Map every tensor to the node that makes it."""
    return {name: node for node in graph.node for name in node.output}


def _fused_activations(node: Any) -> set[str]:
    """Get the activations that ONNX Runtime's optimizer fused into a node."""
    return {
        entry.s.decode(errors='replace')
        for entry in node.attribute
        if entry.name in ('activation', 'activation_type') and entry.s
    }


def _dequantizes(node: Any, makers: Mapping[str, Any]) -> bool:
    """Tell whether a node turns the integers of ConvInteger or MatMulInteger into numbers."""
    if node.op_type not in _DEQUANTIZING:
        return False
    step = _DEQUANTIZING.index(node.op_type)
    # These have two inputs at most; a damaged graph can have any number.
    for name in node.input[:2]:
        maker = makers.get(name)
        if maker is None:
            continue
        if step == 0 and maker.op_type in _INTEGER:
            return True
        if step > 0 and maker.op_type == _DEQUANTIZING[step - 1] and _dequantizes(maker, makers):
            return True
    return False


def _infer_shapes(model: Any) -> dict[str, tuple[int | None, ...]]:
    """Infer the shapes of a graph's tensors; dynamic dimensions are None."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # noqa: BLE001 - onnx raises its own and C++ errors for damaged graphs
        # Only the runtime can say what is wrong with the graph, and does.
        inferred = model.graph
    return {
        value.name: tuple(
            dim.dim_value if dim.HasField('dim_value') else None
            for dim in value.type.tensor_type.shape.dim
        )
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.HasField('tensor_type')
    }
