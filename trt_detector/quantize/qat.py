# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Models that arrive with Q/DQ nodes, from quantization-aware training or another quantizer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from .graph_index import GraphIndex

__all__ = ['fold_quantized_biases']


def fold_quantized_biases(model: onnx.ModelProto) -> int:
    """
    Replace INT32 constants behind DequantizeLinear, which hold biases, by their float values.

    TensorRT dequantizes INT8 only, and keeps biases in float.

    :param model: changed in place.
    :return: number of constants that were replaced.
    """
    graph = model.graph
    index = GraphIndex(graph)
    folded: list[int] = []
    for number, node in enumerate(index.nodes):
        if node.op_type != 'DequantizeLinear':
            continue
        quantized, scale = (index.constant(name) for name in node.input[:2])
        if quantized is None or scale is None or quantized.dtype != np.int32:
            continue
        zero = index.constant(node.input[2]) if len(node.input) > 2 else None
        axis = next((int(a.i) for a in node.attribute if a.name == 'axis'), 1)
        value = _dequantize(quantized, scale, zero, axis)
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        folded.append(number)
    for number in reversed(folded):
        del graph.node[number]
    return len(folded)


def _dequantize(
    quantized: npt.NDArray[np.generic],
    scale: npt.NDArray[np.generic],
    zero: npt.NDArray[np.generic] | None,
    axis: int,
) -> npt.NDArray[np.generic]:
    """Return (quantized - zero) * scale in the type of the scale."""
    shape = [1] * quantized.ndim
    if scale.size > 1:
        shape[axis if quantized.ndim > 1 else 0] = scale.size
    offset = np.zeros((), np.float64) if zero is None else zero.astype(np.float64)
    if offset.size > 1:
        offset = offset.reshape(shape)
    factors = scale.astype(np.float64).reshape(shape if scale.size > 1 else ())
    return np.asarray((quantized.astype(np.float64) - offset) * factors, scale.dtype)
