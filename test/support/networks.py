# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Small detectors with the structure of real ones, and broken models."""

from __future__ import annotations

from pathlib import Path
import struct

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

Dim = int | str


class _Graph:
    """Collects the nodes and weights of a graph; names follow the nodes."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def node(self, op: str, inputs: list[str], name: str, **attributes: object) -> str:
        """Add a node with one output and return that."""
        output = f'{name}_out'
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def constant(self, name: str, value: object, dtype: type = np.float32) -> str:
        """Add a weight and return its name."""
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def conv(self, source: str, name: str, channels: tuple[int, int], stride: int = 1) -> str:
        """Add a 3x3 convolution and SiLU, as in YOLO."""
        plain = self.plain_conv(source, name, channels, size=3, stride=stride)
        gate = self.node('Sigmoid', [plain], f'{name}.sigmoid')
        return self.node('Mul', [plain, gate], f'{name}.mul')

    def plain_conv(
        self, source: str, name: str, channels: tuple[int, int], *, size: int, stride: int = 1,
        shift: float = 0.0,
    ) -> str:  # fmt: skip
        """
        Add a convolution with a bias.

        :param shift: mean of the bias.
        """
        fan_in = channels[0] * size * size
        weight = self._random.standard_normal((channels[1], channels[0], size, size))
        inputs = [
            source,
            self.constant(f'{name}.weight', weight / np.sqrt(fan_in)),
            self.constant(f'{name}.bias', shift + self._random.standard_normal(channels[1]) * 0.1),
        ]
        return self.node(
            'Conv', inputs, name,
            kernel_shape=[size, size], strides=[stride] * 2, pads=[size // 2] * 4,
        )  # fmt: skip


def yolo(
    path: Path, *, batch: Dim = 'batch', size: tuple[Dim, Dim] = (64, 64), classes: int = 3
) -> Path:
    """
    Write a detector like YOLOv8: a backbone with SiLU and a head with DFL at stride 8.

    Its output is [batch, 4 + classes, cells]: center x, center y, width, height, scores.
    """
    bins = 4
    graph = _Graph(seed=8)
    features = 'images'
    for number, channels in enumerate([(3, 8), (8, 16), (16, 16)]):
        features = graph.conv(features, f'model.{number}', channels, stride=2)
    boxes = graph.conv(features, 'model.3.box', (16, 16))
    boxes = graph.plain_conv(boxes, 'model.3.box.out', (16, 4 * bins), size=1)
    # Low scores: most predictions of a trained network are background.
    scores = graph.plain_conv(features, 'model.3.cls.out', (16, classes), size=1, shift=-3)
    graph.constant('bins_shape', [0, 4, bins, -1], np.int64)
    graph.constant('flat_shape', [0, classes, -1], np.int64)
    distances = graph.node('Reshape', [boxes, 'bins_shape'], 'model.3.dfl.reshape')
    distances = graph.node('Transpose', [distances], 'model.3.dfl.transpose', perm=[0, 2, 1, 3])
    distances = graph.node('Softmax', [distances], 'model.3.dfl.softmax', axis=1)
    graph.constant('model.3.dfl.weight', np.arange(bins).reshape(1, bins, 1, 1))
    distances = graph.node(
        'Conv', [distances, 'model.3.dfl.weight'], 'model.3.dfl.conv', kernel_shape=[1, 1]
    )
    graph.constant('first_axis', [1], np.int64)
    distances = graph.node('Squeeze', [distances, 'first_axis'], 'model.3.dfl.squeeze')
    boxes = graph.node('Add', [distances, _find_cells(graph, features)], 'model.3.box.shift')
    graph.constant('stride', 8.0)
    boxes = graph.node('Mul', [boxes, 'stride'], 'model.3.box.pixels')
    scores = graph.node('Reshape', [scores, 'flat_shape'], 'model.3.cls.reshape')
    scores = graph.node('Sigmoid', [scores], 'model.3.cls.sigmoid')
    graph.nodes.append(
        helper.make_node('Concat', [boxes, scores], ['output0'], name='model.3.concat', axis=1)
    )
    cells = size[0] * size[1] // 64 if isinstance(size[0], int) else 'cells'
    return _save(path, graph, (batch, 3, *size), {'output0': (batch, 4 + classes, cells)})


def _find_cells(graph: _Graph, features: str) -> str:
    """
    Add the position of each cell, at any input size.

    :return: [batch, 4, cells]: column, row, 0, 0.
    """
    one_plane = graph.node('ReduceMax', [features], 'model.3.grid.max', axes=[1])
    zeros = graph.node('Sub', [one_plane, one_plane], 'model.3.grid.zeros')
    graph.constant('one', 1.0)
    ones = graph.node('Add', [zeros, 'one'], 'model.3.grid.ones')
    planes = []
    for name, axis in (('columns', 3), ('rows', 2)):
        graph.constant(f'{name}_axis', axis, np.int64)
        planes.append(
            graph.node('CumSum', [ones, f'{name}_axis'], f'model.3.grid.{name}', exclusive=1)
        )
    grid = graph.node('Concat', [*planes, zeros, zeros], 'model.3.grid.concat', axis=1)
    graph.constant('cells_shape', [0, 4, -1], np.int64)
    return graph.node('Reshape', [grid, 'cells_shape'], 'model.3.grid.reshape')


def deployed_detr(path: Path) -> Path:
    """
    Write a network that asks for the size of the original image, as deployed DETRs do.

    Its one box is the same for each image, in shares of width and height.
    """
    graph = _Graph(seed=2)
    graph.constant('shares', [[[0.25, 0.5, 0.75, 1.0]]])
    graph.constant('first_axis', [1], np.int64)
    sizes = graph.node('Cast', ['orig_target_sizes'], 'sizes', to=TensorProto.FLOAT)
    sizes = graph.node('Concat', [sizes, sizes], 'twice', axis=1)
    sizes = graph.node('Unsqueeze', [sizes, 'first_axis'], 'rows')
    mean = graph.node('ReduceMean', ['images'], 'mean', axes=[2, 3], keepdims=0)
    mean = graph.node('ReduceSum', [mean, 'first_axis'], 'sum', keepdims=1)
    graph.nodes.append(helper.make_node('Identity', [mean], ['scores'], name='scores'))
    graph.constant('nothing', 0.0)
    mean = graph.node('Mul', [mean, 'nothing'], 'zeros')
    mean = graph.node('Unsqueeze', [mean, 'first_axis'], 'zero_rows')
    shares = graph.node('Add', ['shares', mean], 'shares_of_each')
    graph.nodes.append(helper.make_node('Mul', [shares, sizes], ['boxes'], name='boxes'))
    proto = helper.make_graph(
        graph.nodes,
        'detr',
        [
            helper.make_tensor_value_info('images', TensorProto.FLOAT, ('n', 3, 'h', 'w')),
            helper.make_tensor_value_info('orig_target_sizes', TensorProto.INT64, ('n', 2)),
        ],
        [
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, ('n', 1)),
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, ('n', 1, 4)),
        ],
        graph.weights,
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def counting(path: Path, *, size: int = 16) -> Path:
    """Write a network whose output has as many rows as bright pixels: the input does not tell."""
    graph = _Graph(seed=1)
    graph.constant('half', 0.5)
    bright = graph.node('Greater', ['images', 'half'], 'bright')
    where = graph.node('NonZero', [bright], 'nonzero')
    rows = graph.node('Transpose', [where], 'rows')
    graph.constant('new_axis', [0], np.int64)
    rows = graph.node('Unsqueeze', [rows, 'new_axis'], 'batched')
    graph.nodes.append(helper.make_node('Cast', [rows], ['output0'], name='cast', to=1))
    return _save(path, graph, (1, 3, size, size), {'output0': (1, 'rows', 4)})


def _save(
    path: Path, graph: _Graph, shape: tuple[Dim, ...], outputs: dict[str, tuple[Dim, ...]]
) -> Path:
    """Write a graph as an ONNX file."""
    proto = helper.make_graph(
        graph.nodes,
        'detector',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        graph.weights,
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def write_cache(
    path: Path, model: Path, *, header: str = 'TRT-101401-EntropyCalibration2', scale: float = 0.02
) -> Path:
    """Write a calibration cache with a scale for the input and every node's output."""
    graph = onnx.load(model).graph
    names = [value.name for value in graph.input]
    names += [output for node in graph.node for output in node.output]
    bits = struct.pack('!f', scale).hex()
    path.write_text('\n'.join([header, *(f'{name}: {bits}' for name in names)]) + '\n')
    return path


def broken(kind: str, path: Path) -> Path:
    """Write a model that cannot be parsed, for a reason of this kind."""
    shape, outputs = (1, 3, 8, 8), {'output0': (1, 3, 8, 8)}
    image = [helper.make_tensor_value_info('images', TensorProto.FLOAT, shape)]
    result = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()]
    nodes, weights = _broken_graph(kind)
    proto = helper.make_graph(nodes, kind, image, result, weights)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def _broken_graph(kind: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and weights of a broken graph."""
    relu = helper.make_node('Relu', ['images'], ['output0'], name='relu')
    if kind == 'operators':
        nms = helper.make_node('FancyNms', ['images'], ['kept'], name='head.nms')
        other = helper.make_node('Sorcery', ['kept'], ['output0'], name='head.sorcery')
        return [nms, other], []
    if kind == 'channels':
        weight = numpy_helper.from_array(np.zeros((3, 5, 3, 3), np.float32), 'w')
        conv = helper.make_node(
            'Conv', ['images', 'w'], ['output0'], name='stem', kernel_shape=[3, 3]
        )
        return [conv], [weight]
    if kind == 'reshape':
        shape = numpy_helper.from_array(np.array([7, -1], np.int64), 'shape')
        node = helper.make_node('Reshape', ['images', 'shape'], ['output0'], name='flatten')
        return [node], [shape]
    if kind == 'types':
        half = numpy_helper.from_array(np.zeros(1, np.float16), 'half')
        return [helper.make_node('Add', ['images', 'half'], ['output0'], name='bias')], [half]
    if kind == 'input':
        return [helper.make_node('Relu', ['nowhere'], ['output0'], name='relu')], []
    if kind == 'external':
        weight = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[3, 3, 3, 3])
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key='location', value='weights.bin')
        conv = helper.make_node(
            'Conv', ['images', 'w'], ['output0'], name='stem', kernel_shape=[3, 3]
        )
        return [conv], [weight]
    return [relu], []
