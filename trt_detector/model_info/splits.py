# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Replacement of unequal splits in an ONNX graph by slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError

__all__ = ['slice_unequal_splits']

# Slice takes its bounds as inputs since then.
_MINIMUM_OPSET = 10


def slice_unequal_splits(model_bytes: bytes) -> bytes:
    """
    Replace the splits into unequal parts in an ONNX file; without any, return the same bytes.

    For such a Split, ONNX Runtime's CUDA provider copies the sizes from host memory in every run
    (seen with 1.31), which a CUDA graph cannot repeat; a Slice for each part needs no copy.

    :raises ModelError: if a constant of the file is damaged.
    """
    if b'Split' not in model_bytes:
        return model_bytes
    import onnx

    model = onnx.load_model_from_string(model_bytes)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get('', 0) < _MINIMUM_OPSET:
        return model_bytes
    constants = _read_constants(model.graph)
    nodes, changed = [], False
    for node in model.graph.node:
        sizes = _find_sizes(node, constants)
        if len(set(sizes)) < 2:
            nodes.append(node)
            continue
        changed = True
        nodes += _make_slices(model.graph, node, sizes)
    if not changed:
        return model_bytes
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _read_constants(graph: Any) -> dict[str, list[int]]:
    """Return the integer vectors among the constants of a graph, by name."""
    from onnx import numpy_helper, TensorProto

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Constant':
            for attribute in node.attribute:
                if attribute.name == 'value':
                    tensors[node.output[0]] = attribute.t
    vectors = {
        name: tensor
        for name, tensor in tensors.items()
        if tensor.data_type == TensorProto.INT64
        and len(tensor.dims) == 1
        and tensor.data_location != TensorProto.EXTERNAL
    }
    try:
        return {name: numpy_helper.to_array(tensor).tolist() for name, tensor in vectors.items()}
    except (ValueError, TypeError) as error:
        raise ModelError(
            f'a constant of the model is damaged: {error}; export the model again'
        ) from error


def _find_sizes(node: Any, constants: dict[str, list[int]]) -> list[int]:
    """Return the sizes of the parts; [] for another operator or unknown sizes."""
    if node.op_type != 'Split' or node.domain not in ('', 'ai.onnx'):
        return []
    for attribute in node.attribute:
        if attribute.name == 'split':
            return list(attribute.ints)
    return constants.get(node.input[1], []) if len(node.input) > 1 else []


def _make_slices(graph: Any, node: Any, sizes: list[int]) -> list[Any]:
    """Make a Slice for each part and add its bounds to the initializers."""
    from onnx import helper, numpy_helper

    axis = next((entry.i for entry in node.attribute if entry.name == 'axis'), 0)
    name = f'{node.output[0]}/slice'
    graph.initializer.append(numpy_helper.from_array(np.array([axis]), f'{name}/axis'))
    edges = np.cumsum([0, *sizes])
    for number, edge in enumerate(edges):
        graph.initializer.append(numpy_helper.from_array(edge.reshape(1), f'{name}/{number}'))
    return [
        helper.make_node(
            'Slice',
            [node.input[0], f'{name}/{number}', f'{name}/{number + 1}', f'{name}/axis'],
            [output],
            name=f'{node.name}/slice/{number}',
        )
        for number, output in enumerate(node.output)
        if output
    ]
