# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Small networks that show how OpenVINO computes on this CPU.

ONNX Runtime does not report it: OpenVINO chooses by the instructions of the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError
from ..model_info.onnx_session import open_session, SessionOptions
from .provider import Provider

__all__ = ['check_int8', 'find_precision']

_CHANNELS = 16
_SIDE = 4
_LARGEST = 127


def find_precision(provider: Provider) -> str:
    """
    Find the precision of convolutions: 'fp32', 'fp16' or 'bf16'.

    Two numbers pass a convolution that multiplies by one. bfloat16 drops the part of both above
    1, FP16 that of the smaller one.
    """
    numbers = np.array([1 + 2**-9, 1 + 2**-12], np.float32)
    weights = np.zeros((_CHANNELS, _CHANNELS, 3, 3), np.float32)
    weights[range(_CHANNELS), range(_CHANNELS), 1, 1] = 1
    large, small = _run(provider, numbers, weights, quantized=False) > 1
    if not large:
        return 'bf16'
    return 'fp32' if small else 'fp16'


def check_int8(provider: Provider) -> None:
    """
    Check that INT8 convolutions are exact.

    :raises EngineError: if they are not, as on CPUs without VNNI.
    """
    numbers = np.array([-128, -100, -1, 7, 100, _LARGEST], np.float32)
    weights = np.full((_CHANNELS, _CHANNELS, 3, 3), _LARGEST, np.int8)
    expected = numbers * (weights[0].size * _LARGEST)
    found = _run(provider, numbers, weights, quantized=True)
    if not np.allclose(found, expected, rtol=1e-3):
        raise EngineError(
            'OpenVINO computes INT8 convolutions wrongly on this CPU, as on those without VNNI: '
            f'{found.tolist()} instead of {expected.tolist()}; set precision to fp32, or '
            'onnxruntime_provider to cpu'
        )


def _run(
    provider: Provider, numbers: npt.NDArray[Any], weights: npt.NDArray[Any], *, quantized: bool
) -> npt.NDArray[Any]:
    """
    Run a convolution on one image per number, and return one result per image.

    :param weights: 3x3, float32, or int8 with the scale 1 if it is quantized.
    """
    session = open_session(
        _make_convolution(len(numbers), weights, quantized=quantized),
        SessionOptions(threads=1, providers=(provider,), required=True),
    )
    images = np.broadcast_to(
        numbers[:, None, None, None], (len(numbers), _CHANNELS, _SIDE, _SIDE)
    ).copy()
    (result,) = session.run(None, {'x': images})
    return np.asarray(result[:, 0, 1, 1])


def _make_convolution(count: int, weights: npt.NDArray[Any], *, quantized: bool) -> bytes:
    """Make the ONNX file of one convolution, with Q/DQ nodes if wanted."""
    # Imported here: onnx takes long, and the other providers do without.
    from onnx import helper, numpy_helper, TensorProto

    inputs, nodes, tensors = ['x', 'w'], [], {'w': weights}
    if quantized:
        ones = np.ones(_CHANNELS, np.float32)
        tensors |= {'one': np.ones((), np.float32), 'zero': np.zeros((), np.int8)}
        tensors |= {'ones': ones, 'zeros': ones.astype(np.int8) * 0}
        nodes = [
            helper.make_node('QuantizeLinear', ['x', 'one', 'zero'], ['q']),
            helper.make_node('DequantizeLinear', ['q', 'one', 'zero'], ['d']),
            helper.make_node('DequantizeLinear', ['w', 'ones', 'zeros'], ['v'], axis=0),
        ]
        inputs = ['d', 'v']
    nodes.append(helper.make_node('Conv', inputs, ['y'], pads=[1, 1, 1, 1]))
    shape = [count, _CHANNELS, _SIDE, _SIDE]
    graph = helper.make_graph(
        nodes,
        'probe',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    return bytes(model.SerializeToString())
