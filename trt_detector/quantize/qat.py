# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Models that arrive with Q/DQ nodes, from quantization-aware training or another quantizer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from .graph_index import GraphIndex

__all__ = ['fold_constants']

_INT8 = np.iinfo(np.int8)


def fold_constants(model: onnx.ModelProto) -> int:
    """
    Compute the Q/DQ nodes of constants that TensorRT does not take or need.

    INT32 constants behind DequantizeLinear, which hold biases, become float: TensorRT dequantizes
    INT8 only. Float weights in front of QuantizeLinear become INT8.

    :param model: changed in place.
    :return: number of nodes that were replaced.
    """
    graph = model.graph
    index = GraphIndex(graph)
    folded: list[int] = []
    for number, node in enumerate(index.nodes):
        if node.op_type not in ('QuantizeLinear', 'DequantizeLinear'):
            continue
        value, scale = (index.constant(name) for name in node.input[:2])
        zero = index.constant(node.input[2]) if len(node.input) > 2 else None
        if value is None or scale is None:
            continue
        axis = next((int(a.i) for a in node.attribute if a.name == 'axis'), 1)
        if node.op_type == 'DequantizeLinear' and value.dtype == np.int32:
            result = _dequantize(value, scale, zero, axis)
        elif node.op_type == 'QuantizeLinear' and zero is not None and zero.dtype == np.int8:
            result = _quantize(value, scale, zero, axis)
        else:
            continue
        graph.initializer.append(numpy_helper.from_array(result, node.output[0]))
        folded.append(number)
    for number in reversed(folded):
        del graph.node[number]
    return len(folded)


def _dequantize(
    value: npt.NDArray[np.generic],
    scale: npt.NDArray[np.generic],
    zero: npt.NDArray[np.generic] | None,
    axis: int,
) -> npt.NDArray[np.generic]:
    """Return (value - zero) * scale in the type of the scale."""
    offset = 0.0 if zero is None else _spread(zero, value.ndim, axis)
    factors = _spread(scale, value.ndim, axis)
    return np.asarray((value.astype(np.float64) - offset) * factors, scale.dtype)


def _quantize(
    value: npt.NDArray[np.generic],
    scale: npt.NDArray[np.generic],
    zero: npt.NDArray[np.generic],
    axis: int,
) -> npt.NDArray[np.int8]:
    """Return round(value / scale) + zero as INT8."""
    steps = value.astype(np.float32) / _spread(scale, value.ndim, axis).astype(np.float32)
    integers = np.rint(steps) + _spread(zero, value.ndim, axis)
    return np.clip(integers, _INT8.min, _INT8.max).astype(np.int8)


def _spread(
    values: npt.NDArray[np.generic], dimensions: int, axis: int
) -> npt.NDArray[np.float64]:
    """Shape the values of an axis so that they apply to an array of so many dimensions."""
    shape = [1] * dimensions
    if values.size > 1:
        shape[axis if dimensions > 1 else 0] = values.size
    return values.astype(np.float64).reshape(shape if dimensions else ())
