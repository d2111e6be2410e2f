# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Scales per channel of INT8 weights, moved from the weights to the output of a convolution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from .graph_index import GraphIndex, node_name

__all__ = ['move_channel_scales']


def move_channel_scales(model: onnx.ModelProto) -> int:
    """
    Give the INT8 weights of each convolution one scale, and multiply its output by the rest.

    The values stay the same: the scales of the channels are common * factor, and the convolution
    is linear. TensorRT for RTX needs it: it writes the output of a convolution with scales per
    channel as FP32.

    :param model: a network with Q/DQ nodes, changed in place.
    :return: number of convolutions that were changed.
    """
    graph = model.graph
    index = GraphIndex(graph)
    writer = _Writer(index)
    for node in index.nodes:
        weights = index.producer(node.input[1]) if node.op_type == 'Conv' else None
        scales = None if weights is None else _channel_scales(index, weights)
        if weights is None or scales is None:
            writer.nodes.append(node)
        else:
            writer.change(node, weights, scales)
    read = {name for node in writer.nodes for name in node.input}
    copies = []
    for node in writer.nodes:
        if node.op_type != 'DequantizeLinear' or node.output[0] in read:
            copies.append(onnx.NodeProto())
            copies[-1].CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)
    graph.initializer.extend(writer.constants)
    return writer.changed


def _channel_scales(index: GraphIndex, weights: onnx.NodeProto) -> npt.NDArray[np.generic] | None:
    """Return the scales per channel of INT8 weights, None for anything else."""
    if weights.op_type != 'DequantizeLinear':
        return None
    values, scales = (index.constant(name) for name in weights.input[:2])
    if values is None or scales is None or values.dtype != np.int8 or values.ndim != 4:
        return None
    axis = next((int(a.i) for a in weights.attribute if a.name == 'axis'), 1)
    return scales if scales.shape == values.shape[:1] and axis == 0 else None


class _Writer:
    """Writer of the changed graph."""

    def __init__(self, index: GraphIndex) -> None:
        self._taken = {name for node in index.nodes for name in (*node.input, *node.output)}
        self._weights: dict[str, tuple[str, npt.NDArray[np.generic]]] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.changed = 0

    def change(
        self,
        node: onnx.NodeProto,
        weights: onnx.NodeProto,
        scales: npt.NDArray[np.generic],
    ) -> None:
        """Add a convolution whose weights have one scale, and the nodes behind it."""
        weights_name, factors = self._rescale(weights, scales)
        shape = (1, -1, 1, 1)
        result = node.output[0]
        bias = node.input[2] if len(node.input) > 2 else ''
        convolution = onnx.NodeProto()
        convolution.CopyFrom(node)
        convolution.input[1] = weights_name
        del convolution.input[2:]
        convolution.output[0] = self._unique(f'{result}_unscaled')
        self.nodes.append(convolution)
        scaled = self._unique(f'{result}_without_bias') if bias else result
        values = self._constant(f'{result}_factors', factors.reshape(shape))
        self._add('Mul', [convolution.output[0], values], scaled, node_name(node))
        if bias:
            column = self._constant(f'{result}_bias_shape', np.array(shape, np.int64))
            reshaped = self._unique(f'{result}_bias')
            self._add('Reshape', [bias, column], reshaped, node_name(node))
            self._add('Add', [scaled, reshaped], result, node_name(node))
        self.changed += 1

    def _rescale(
        self, weights: onnx.NodeProto, scales: npt.NDArray[np.generic]
    ) -> tuple[str, npt.NDArray[np.generic]]:
        """Return the weights with one scale, and the factors of the channels."""
        name = weights.output[0]
        if name not in self._weights:
            exact = scales.astype(np.float64)
            common = np.exp(np.log(exact).mean())
            inputs = [
                weights.input[0],
                self._constant(f'{name}_common_scale', np.array(common, scales.dtype)),
                self._constant(f'{name}_common_zero_point', np.array(0, np.int8)),
            ]
            rescaled = self._unique(f'{name}_rescaled')
            self._add('DequantizeLinear', inputs, rescaled, name)
            self._weights[name] = (rescaled, (exact / common).astype(scales.dtype))
        return self._weights[name]

    def _add(self, kind: str, inputs: list[str], output: str, owner: str) -> None:
        self.nodes.append(
            helper.make_node(kind, inputs, [output], name=f'{owner}/{output}/{kind}')
        )

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        name = self._unique(name)
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def _unique(self, name: str) -> str:
        """Return a name that the graph does not use yet."""
        result, number = name, 1
        while result in self._taken:
            number += 1
            result = f'{name}_{number}'
        self._taken.add(result)
        return result
