# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Small ONNX detectors whose answers follow from the picture in a way a test can work out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

_NAMES = {0: 'lamp', 1: 'box'}

Dim = int | str


def tensor(name: str, value: np.ndarray) -> onnx.TensorProto:
    """Return an initializer."""
    return numpy_helper.from_array(np.asarray(value), name)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    inputs: Mapping[str, tuple[Dim, ...]],
    outputs: Mapping[str, tuple[Dim, ...]],
    initializers: list[onnx.TensorProto],
    metadata: Mapping[str, str] | None = None,
    opset: int = 17,
    input_type: int = TensorProto.FLOAT,
) -> Path:
    """Write a graph with float32 outputs as an ONNX file and return its path."""
    values = [
        [helper.make_tensor_value_info(n, kind, s) for n, s in side.items()]
        for kind, side in ((input_type, inputs), (TensorProto.FLOAT, outputs))
    ]
    graph = helper.make_graph(nodes, 'detector', *values, initializer=initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', opset)], producer_name='test'
    )
    model.ir_version = 8
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def metadata(
    *, end2end: bool, names: Mapping[int, str] = _NAMES, size: int = 64
) -> dict[str, str]:
    """Return metadata as exporters write it."""
    return {
        'names': str(dict(names)),
        'imgsz': f'[{size}, {size}]',
        'stride': '32',
        'task': 'detect',
        'end2end': str(end2end),
    }


def lamp_detector(path: Path, *, size: int = 64, batch: Dim = 'batch', rows: int = 3) -> Path:
    """
    Write an end-to-end detector that boxes the brightest spot of the picture.

    Row 0 of its output is a box of 8x8 input pixels around the brightest cell of a grid of 8x8
    cells, its score the cell's mean brightness, its class 0 ('lamp'); the other rows are zeros.
    """
    grid = size // 8
    columns = np.arange(grid * grid) % grid * 8.0
    lines = np.arange(grid * grid) // grid * 8.0
    corners = np.stack([columns, lines, columns + 8, lines + 8], 1).astype(np.float32)
    nodes = [
        helper.make_node('ReduceMean', ['images'], ['gray'], axes=[1], keepdims=1),
        helper.make_node('AveragePool', ['gray'], ['pooled'], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node('Flatten', ['pooled'], ['flat'], axis=1),
        helper.make_node('TopK', ['flat', 'one'], ['best', 'where'], axis=1),
        helper.make_node('Gather', ['corners', 'where'], ['box'], axis=0),
        helper.make_node('Unsqueeze', ['best', 'two'], ['score']),
        helper.make_node('Mul', ['score', 'zero'], ['class']),
        helper.make_node('Concat', ['box', 'score', 'class'], ['row'], axis=2),
        helper.make_node('Pad', ['row', 'pads'], ['output0']),
    ]
    initializers = [
        tensor('one', np.array([1], np.int64)),
        tensor('two', np.array([2], np.int64)),
        tensor('zero', np.array(0, np.float32)),
        tensor('corners', corners),
        tensor('pads', np.array([0, 0, 0, 0, rows - 1, 0], np.int64)),
    ]
    return save(
        path,
        nodes,
        inputs={'images': (batch, 3, size, size)},
        outputs={'output0': (batch, rows, 6)},
        initializers=initializers,
        metadata=metadata(end2end=True, size=size),
    )


def constant_detector(
    path: Path,
    output: np.ndarray,
    *,
    name: str = 'output0',
    props: Mapping[str, str] | None = None,
    size: tuple[Dim, Dim] = (64, 64),
    inputs: tuple[str, ...] = ('images',),
) -> Path:
    """
    Write a detector that answers every picture alike.

    :param output: the answer for one picture, without the batch dimension.
    """
    nodes = [
        helper.make_node('ReduceMean', [inputs[0]], ['mean'], axes=[1, 2, 3], keepdims=1),
        helper.make_node('Squeeze', ['mean', 'last'], ['flat']),
        helper.make_node('Mul', ['flat', 'zero'], ['nothing']),
        helper.make_node('Add', ['nothing', 'answer'], [name]),
    ]
    rank = output.ndim + 1
    initializers = [
        tensor('last', np.arange(rank, 4)),
        tensor('zero', np.array(0, np.float32)),
        tensor('answer', output[None].astype(np.float32)),
    ]
    return save(
        path,
        nodes,
        inputs=dict.fromkeys(inputs, ('batch', 3, *size)),
        outputs={name: ('batch', *output.shape)},
        initializers=initializers,
        metadata=props,
    )


def slow_detector(path: Path, *, layers: int = 40, channels: int = 256, size: int = 320) -> Path:
    """
    Write an end-to-end detector that opens at once and needs minutes per picture.

    Its layers share one small weight. It finds nothing.
    """
    weight = np.zeros((channels, channels, 3, 3), np.float32)
    nodes = [helper.make_node('Conv', ['images', 'first'], ['x0'])]
    for layer in range(layers):
        pads = [1, 1, 1, 1]
        convolved = helper.make_node('Conv', [f'x{layer}', 'weight'], [f'c{layer}'], pads=pads)
        nodes += [convolved, helper.make_node('Relu', [f'c{layer}'], [f'x{layer + 1}'])]
    nodes += [
        helper.make_node('ReduceMean', [f'x{layers}'], ['mean'], axes=[1, 2, 3], keepdims=1),
        helper.make_node('Squeeze', ['mean', 'last'], ['flat']),
        helper.make_node('Mul', ['flat', 'zero'], ['nothing']),
        helper.make_node('Add', ['nothing', 'answer'], ['output0']),
    ]
    initializers = [
        tensor('first', np.zeros((channels, 3, 1, 1), np.float32)),
        tensor('weight', weight),
        tensor('last', np.array([3])),
        tensor('zero', np.array(0, np.float32)),
        tensor('answer', np.zeros((1, 3, 6), np.float32)),
    ]
    return save(
        path,
        nodes,
        inputs={'images': ('batch', 3, size, size)},
        outputs={'output0': ('batch', 3, 6)},
        initializers=initializers,
        metadata=metadata(end2end=True, size=size),
    )
