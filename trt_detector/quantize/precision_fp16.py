# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert a network to FP16, its decode arithmetic left in FP32."""

from __future__ import annotations

import onnx

from ..errors import ModelError
from .casts import remove_redundant_casts, sort_nodes
from .graph import analyse_head
from .graph_index import node_name
from .opset import get_opset, raise_opset

__all__ = ['convert_to_fp16']

# The first in which Q/DQ nodes take FP16.
_QDQ_OPSET = 19


def convert_to_fp16(model: onnx.ModelProto, *, keep_io: bool = True) -> onnx.ModelProto:
    """
    Convert a copy of a network to FP16.

    The arithmetic that follows the last layer with weights stays FP32: between 512 and 1024 FP16
    counts in steps of half a pixel.

    :param keep_io: keep inputs and outputs FP32.
    :raises ModelError: if it cannot be converted.
    """
    # Imported here: it takes a second, and a start from a stored plan does not need it.
    from onnxruntime.transformers.float16 import convert_float_to_float16

    quantized = any(node.op_type == 'QuantizeLinear' for node in model.graph.node)
    model = raise_opset(model, _QDQ_OPSET if quantized else get_opset(model))
    for node in model.graph.node:
        node.name = node_name(node)
    blocked = sorted(analyse_head(model).decode_nodes)
    try:
        converted: onnx.ModelProto = convert_float_to_float16(
            model, keep_io_types=keep_io, node_block_list=blocked
        )
        remove_redundant_casts(converted)
        sort_nodes(converted.graph)
        # Types that were inferred before the conversion would contradict the nodes.
        del converted.graph.value_info[:]
        onnx.checker.check_model(converted, full_check=True)
    except Exception as error:  # the converter and the checker raise whatever fits
        raise ModelError(
            f'the network cannot be converted to FP16: {error}; use precision fp32, or give an '
            'ONNX file that holds FP16'
        ) from error
    return converted
