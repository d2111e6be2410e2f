# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Count kernels, FP32 tensors and moved bytes of YOLO-like engines by TensorRT for RTX.

    python3 docs/benchmarks/int8_fusion.py --json docs/benchmarks/int8_fusion.json

It builds for compute capability 8.6 and needs no GPU. The graphs have the blocks of YOLOv8n,
YOLO11n and YOLO26n and random weights (test/support/yolo_graphs.py); the scales are minimum and
maximum over one image. The chains show which fusions the builder knows at all: three 3x3
convolutions with 64 channels, an activation behind each, Q/DQ as NVIDIA's guide places them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import json
from pathlib import Path
import sys
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

sys.path.insert(0, str(Path(__file__).parents[2] / 'test'))

from support.quantized import min_max_cache, random_images
from support.rtx import build_rtx, BuiltEngine
from support.yolo_graphs import YOLO_GRAPHS
from trt_detector.quantize.channel_scales import move_channel_scales
from trt_detector.quantize.precision_fp16 import convert_to_fp16
from trt_detector.quantize.qdq import insert_qdq

ACTIVATIONS = ('none', 'relu', 'silu')


def describe(engine: BuiltEngine) -> dict[str, Any]:
    """Return the figures of an engine."""
    return {
        'plan_bytes': len(engine.plan),
        'kernels': len(engine.layers),
        'outputs': dict(engine.count_outputs()),
        'convolutions': dict(engine.count_convolutions()),
        'moved_bytes': engine.moved_bytes(),
    }


def yolo_variants(name: str) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield the precisions of a graph."""
    model = YOLO_GRAPHS[name]()
    cache = min_max_cache(model, random_images(1, 640))
    yield 'fp32', model
    yield 'fp16', convert_to_fp16(model)
    quantized = insert_qdq(model, cache).model
    yield 'int8, scales per channel', convert_to_fp16(quantized)
    move_channel_scales(quantized)
    yield 'int8, scaled outputs', convert_to_fp16(quantized)


def chain(activation: str, *, int8: bool, per_channel: bool = True) -> onnx.ModelProto:
    """Return three FP16 convolutions with an activation each, in INT8 if wanted."""
    random = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []

    def constant(name: str, value: Any) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    x = 'x'
    for number in range(3):
        weights = constant(f'w{number}', random.integers(-127, 128, (64, 64, 3, 3), np.int8))
        shape = (64,) if per_channel else ()
        scale = constant(f'ws{number}', np.full(shape, 0.001, np.float16))
        if int8:
            pair = [constant(f's{number}', np.float16(0.02)), constant(f'z{number}', np.int8(0))]
            x = add('DequantizeLinear', [add('QuantizeLinear', [x, *pair], f'q{number}'), *pair],
                    f'dq{number}')  # fmt: skip
        zero = constant(f'wz{number}', np.zeros(shape, np.int8))
        axis = {'axis': 0} if per_channel else {}
        if int8:
            weights = add('DequantizeLinear', [weights, scale, zero], f'wdq{number}', **axis)
        else:
            weights = constant(f'wf{number}', random.normal(0, 0.02, (64, 64, 3, 3)).astype('f2'))
        bias = constant(f'b{number}', random.normal(0, 0.1, 64).astype(np.float16))
        x = add('Conv', [x, weights, bias], f'conv{number}', pads=[1, 1, 1, 1])
        if activation == 'relu':
            x = add('Relu', [x], f'act{number}')
        elif activation == 'silu':
            x = add('Mul', [x, add('Sigmoid', [x], f'sigmoid{number}')], f'act{number}')
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes, 'chain', [helper.make_tensor_value_info('x', TensorProto.FLOAT16, [1, 64, 80, 80])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT16, None)],
        [tensor for tensor in tensors if tensor.name in used],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 19)], ir_version=9)


def chain_kernels(model: onnx.ModelProto, capability: str) -> list[str]:
    """Return the kernels of a chain with the data types that they read and write."""
    return [
        f'{layer.name}: {"+".join(kind for kind, _ in layer.inputs)} -> '
        f'{"+".join(kind for kind, _ in layer.outputs)}'
        for layer in build_rtx(model.SerializeToString(), capability).layers
    ]


def main() -> int:
    """Build all variants and print their figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[1])
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    import tensorrt_rtx

    graphs: dict[str, Any] = {}
    for name in YOLO_GRAPHS:
        graphs[name] = {}
        for variant, model in yolo_variants(name):
            figures = describe(build_rtx(model.SerializeToString()))
            graphs[name][variant] = figures
            print(f'{name}, {variant}: {figures}', flush=True)
    chains = {
        f'{activation}, {label}, {capability}': chain_kernels(
            chain(activation, int8='int8' in label, per_channel='channel' in label), capability
        )
        for activation in ACTIVATIONS
        for label in ('fp16', 'int8 per channel', 'int8 per tensor')
        for capability in ('SM80', 'SM86', 'SM89', 'SM120')
    }
    if options.json:
        report = {'tensorrt_rtx': tensorrt_rtx.__version__, 'graphs': graphs, 'chains': chains}
        options.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
