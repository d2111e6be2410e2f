# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Small detector graphs with random weights, and a calibration cache for them.

Their structure is that of the real exports (heads, DFL, TopK, opsets); their size lets a test
build and run them in a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnxruntime
from trt_detector.quantize import CalibrationCache

SIZE = 64
CLASSES = 3
BINS = 16


class GraphBuilder:
    """
    Writes an ONNX graph layer by layer.

    :param seed: of the weights.
    :param size: height and width of the input in pixels.
    :param opset: version of the operators.
    """

    def __init__(self, seed: int = 7, *, size: int = SIZE, opset: int = 17) -> None:
        self.opset = opset
        self.size = size
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f'const_{len(self._initializers)}'
        self._initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node and return the name of its output, or a list of names."""
        name = f'/{kind}_{len(self._nodes)}'
        results = [f'{name}_output_{i}' for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, results, name=name, **attributes))
        return results if outputs > 1 else results[0]

    def weights(self, *shape: int) -> str:
        """Return He-initialized weights whose channels differ in size by a factor of up to ten."""
        fan_in = float(np.prod(shape[1:]))
        spread = self._random.uniform(0.2, 2.0, (shape[0], *([1] * (len(shape) - 1))))
        values = self._random.normal(0.0, np.sqrt(2.0 / fan_in), shape) * spread
        return self.constant(values)

    def conv(
        self, x: str, c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
    ) -> str:
        """Add a convolution with a bias and 'same' padding."""
        bias = self.constant(self._random.normal(0.0, 0.1, c_out))
        weights = self.weights(c_out, c_in // groups, kernel, kernel)
        pads = [kernel // 2] * 4
        return str(
            self.node('Conv', x, weights, bias, kernel_shape=[kernel, kernel], pads=pads,
                      strides=[stride, stride], group=groups)
        )  # fmt: skip

    def silu(self, x: str) -> str:
        return str(self.node('Mul', x, self.node('Sigmoid', x)))

    def cbs(self, x: str, c_in: int, c_out: int, kernel: int = 3, **options: int) -> str:
        """Add a convolution with SiLU."""
        return self.silu(self.conv(x, c_in, c_out, kernel, **options))

    def reshape(self, x: str, *shape: int) -> str:
        return str(self.node('Reshape', x, self.constant(shape, np.int64)))

    def backbone(self, image: str) -> list[tuple[str, int]]:
        """Add a small CSP backbone; return its features at strides 8 and 16, with channels."""
        x = self.cbs(image, 3, 8, stride=2)
        x = self.cbs(x, 8, 16, stride=2)
        a, b = self.split(x, 2, axis=1)
        inner = self.node('Add', b, self.cbs(self.cbs(b, 8, 8), 8, 8))
        x = self.cbs(self.node('Concat', a, b, inner, axis=1), 24, 16, 1)
        p3 = self.cbs(x, 16, 16, stride=2)
        p4 = self.cbs(self.node('MaxPool', self.cbs(p3, 16, 32, stride=2), kernel_shape=[5, 5],
                                pads=[2, 2, 2, 2], strides=[1, 1]), 32, 32, 1)  # fmt: skip
        scales = self.constant([1.0, 1.0, 2.0, 2.0])
        region = '' if self.opset >= 13 else self.constant([])
        up = self.node('Resize', p4, region, scales, mode='nearest', nearest_mode='floor',
                       coordinate_transformation_mode='asymmetric')  # fmt: skip
        fused = self.cbs(self.node('Concat', up, p3, axis=1), 48, 16)
        return [(fused, 16), (p4, 32)]

    def split(self, x: str, parts: int, *, axis: int, sizes: Sequence[int] = ()) -> Any:
        if sizes:
            return self.node('Split', x, self.constant(sizes, np.int64), outputs=parts, axis=axis)
        if self.opset >= 18:
            return self.node('Split', x, outputs=parts, axis=axis, num_outputs=parts)
        return self.node('Split', x, outputs=parts, axis=axis)

    def anchors(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the (x, y) of each cell's center in cells, and each cell's stride in pixels."""
        points, strides = [], []
        for stride in (8, 16):
            count = self.size // stride
            y, x = np.mgrid[:count, :count] + 0.5
            points.append(np.stack([x.ravel(), y.ravel()]))
            strides.append(np.full(count * count, stride))
        return (
            np.concatenate(points, 1).astype(np.float32),
            np.concatenate(strides).astype(np.float32),
        )

    def model(
        self,
        outputs: Mapping[str, Sequence[int | str]],
        *,
        batch: int | str = 1,
        metadata: Mapping[str, str] | None = None,
    ) -> onnx.ModelProto:
        """
        Return the model.

        :param outputs: tensor to shape.
        """
        image = ('images', [batch, 3, self.size, self.size])
        graph = helper.make_graph(
            self._nodes,
            'detector',
            [helper.make_tensor_value_info(image[0], TensorProto.FLOAT, image[1])],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
            self._initializers,
        )
        opsets = [helper.make_opsetid('', self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        if self.opset > 18:
            model.ir_version = 9
        helper.set_model_props(model, dict(metadata or {}))
        onnx.checker.check_model(model, full_check=True)
        return model

    def rename_output(self, tensor: str, name: str) -> str:
        """Give the tensor that the last node makes another name."""
        if self._nodes[-1].output[0] != tensor:
            raise ValueError(f'{tensor} is not the last tensor')
        self._nodes[-1].output[0] = name
        return name


def dfl_decode(graph: GraphBuilder, *, corners: bool, batch: int | str) -> tuple[str, str, int]:
    """Add YOLOv8's head; return its boxes [N, 4, A], its scores [N, C, A], and A."""
    raw = []
    for feature, channels in graph.backbone('images'):
        box = graph.cbs(graph.cbs(feature, channels, 16), 16, 16)
        box = graph.conv(box, 16, 4 * BINS)
        score = graph.cbs(graph.cbs(feature, channels, channels, groups=channels), channels, 16, 1)
        score = graph.conv(score, 16, CLASSES)
        both = graph.node('Concat', box, score, axis=1)
        raw.append(graph.reshape(both, 0, 4 * BINS + CLASSES, -1))
    joined = graph.node('Concat', *raw, axis=2)
    box, score = graph.split(joined, 2, axis=1, sizes=(4 * BINS, CLASSES))
    points, strides = graph.anchors()
    count = len(strides)
    first = -1 if isinstance(batch, str) else batch
    box = graph.node('Transpose', graph.reshape(box, first, 4, BINS, count), perm=[0, 2, 1, 3])
    box = graph.node('Softmax', box, axis=1)
    bins = graph.constant(np.arange(BINS).reshape(1, BINS, 1, 1))
    box = graph.reshape(graph.node('Conv', box, bins, kernel_shape=[1, 1]), first, 4, count)
    low, high = graph.split(box, 2, axis=1)
    anchor = graph.constant(points[None])
    low, high = graph.node('Sub', anchor, low), graph.node('Add', anchor, high)
    if corners:
        box = graph.node('Concat', low, high, axis=1)
    else:
        middle = graph.node('Mul', graph.node('Add', low, high), graph.constant(0.5))
        box = graph.node('Concat', middle, graph.node('Sub', high, low), axis=1)
    box = graph.node('Mul', box, graph.constant(strides[None, None]))
    return box, graph.node('Sigmoid', score), count


def yolov8_like(
    *, size: int = SIZE, opset: int = 17, batch: int | str = 1, seed: int = 7
) -> onnx.ModelProto:
    """Return a raw head [N, 4 + C, A] with DFL, SiLU, a residual add and a depthwise layer."""
    graph = GraphBuilder(seed, size=size, opset=opset)
    box, score, count = dfl_decode(graph, corners=False, batch=batch)
    output = graph.rename_output(graph.node('Concat', box, score, axis=1), 'output0')
    names = str({i: f'class{i}' for i in range(CLASSES)})
    return graph.model({output: [batch, 4 + CLASSES, count]}, batch=batch,
                       metadata={'names': names, 'stride': '16'})  # fmt: skip


def end_to_end_like(*, size: int = SIZE, opset: int = 17, seed: int = 8) -> onnx.ModelProto:
    """Return a one-to-one head [1, 10, 6] that picks its best boxes by TopK."""
    graph = GraphBuilder(seed, size=size, opset=opset)
    box, score, _ = dfl_decode(graph, corners=True, batch=1)
    box = graph.node('Transpose', box, perm=[0, 2, 1])
    score = graph.node('Transpose', score, perm=[0, 2, 1])
    best = graph.node('ReduceMax', score, axes=[2], keepdims=0)
    kept = graph.constant([10], np.int64)
    _, chosen = graph.node('TopK', best, kept, outputs=2)
    chosen = graph.node('Unsqueeze', chosen, graph.constant([2], np.int64))
    index4 = graph.node('Tile', chosen, graph.constant([1, 1, 4], np.int64))
    index_c = graph.node('Tile', chosen, graph.constant([1, 1, CLASSES], np.int64))
    box = graph.node('GatherElements', box, index4, axis=1)
    flat = graph.node('Flatten', graph.node('GatherElements', score, index_c, axis=1))
    score, place = graph.node('TopK', flat, kept, outputs=2)
    classes = graph.constant(CLASSES, np.int64)
    row = graph.node('Unsqueeze', graph.node('Div', place, classes),
                     graph.constant([2], np.int64))  # fmt: skip
    box = graph.node('GatherElements', box,
                     graph.node('Tile', row, graph.constant([1, 1, 4], np.int64)),
                     axis=1)  # fmt: skip
    label = graph.node('Cast', graph.node('Mod', place, classes), to=TensorProto.FLOAT)
    last = graph.constant([2], np.int64)
    parts = [box, graph.node('Unsqueeze', score, last), graph.node('Unsqueeze', label, last)]
    output = graph.rename_output(graph.node('Concat', *parts, axis=2), 'output0')
    return graph.model({output: [1, 10, 6]}, metadata={'end2end': 'True'})


def yolox_like(*, size: int = SIZE, opset: int = 11, seed: int = 9) -> onnx.ModelProto:
    """Return YOLOX's head [1, A, 5 + C], which leaves the decoding to the reader."""
    graph = GraphBuilder(seed, size=size, opset=opset)
    rows = []
    for feature, channels in graph.backbone('images'):
        stem = graph.cbs(feature, channels, 16, 1)
        score, box = graph.cbs(stem, 16, 16), graph.cbs(stem, 16, 16)
        parts = [
            graph.conv(box, 16, 4),
            graph.node('Sigmoid', graph.conv(box, 16, 1)),
            graph.node('Sigmoid', graph.conv(score, 16, CLASSES)),
        ]
        both = graph.node('Concat', *parts, axis=1)
        rows.append(graph.reshape(both, 0, 5 + CLASSES, -1))
    joined = graph.node('Concat', *rows, axis=2)
    output = graph.rename_output(graph.node('Transpose', joined, perm=[0, 2, 1]), 'output')
    count = sum((size // stride) ** 2 for stride in (8, 16))
    return graph.model({output: [1, count, 5 + CLASSES]})


def rtdetr_like(*, size: int = SIZE, opset: int = 17, seed: int = 10) -> onnx.ModelProto:
    """Return a transformer decoder [1, 8, 4 + C]: TopK queries, attention, dense layers."""
    graph = GraphBuilder(seed, size=size, opset=opset)
    features = []
    for feature, channels in graph.backbone('images'):
        flat = graph.reshape(graph.conv(feature, channels, 32), 1, 32, -1)
        features.append(graph.node('Transpose', flat, perm=[0, 2, 1]))
    memory = graph.node('Concat', *features, axis=1)
    scores = graph.node('MatMul', memory, graph.weights(32, CLASSES))
    best = graph.node('ReduceMax', scores, axes=[2], keepdims=0)
    _, chosen = graph.node('TopK', best, graph.constant([8], np.int64), outputs=2)
    chosen = graph.node('Unsqueeze', chosen, graph.constant([2], np.int64))
    index = graph.node('Tile', chosen, graph.constant([1, 1, 32], np.int64))
    query = graph.node('GatherElements', memory, index, axis=1)
    keys = graph.node('Transpose', memory, perm=[0, 2, 1])
    scaled = graph.node('Mul', graph.node('MatMul', query, keys), graph.constant(32**-0.5))
    attended = graph.node('MatMul', graph.node('Softmax', scaled, axis=-1), memory)
    hidden = graph.node('Relu', graph.node('MatMul', attended, graph.weights(32, 32)))
    box = graph.node('Sigmoid', graph.node('MatMul', hidden, graph.weights(32, 4)))
    box = graph.node('Mul', box, graph.constant(float(size)))
    score = graph.node('Sigmoid', graph.node('MatMul', hidden, graph.weights(32, CLASSES)))
    output = graph.rename_output(graph.node('Concat', box, score, axis=2), 'output0')
    return graph.model({output: [1, 8, 4 + CLASSES]})


DETECTORS: dict[str, Callable[..., onnx.ModelProto]] = {
    'yolov8': yolov8_like,
    'end2end': end_to_end_like,
    'yolox': yolox_like,
    'rtdetr': rtdetr_like,
}


def random_images(count: int, size: int = SIZE, seed: int = 1) -> npt.NDArray[np.float32]:
    """Return smooth random images [count, 3, size, size] in 0..1."""
    coarse = np.random.default_rng(seed).random((count, 3, size // 8, size // 8))
    return coarse.repeat(8, axis=2).repeat(8, axis=3).astype(np.float32)


def run_model(
    model: onnx.ModelProto, images: npt.NDArray[np.float32]
) -> list[npt.NDArray[np.float32]]:
    """
    Run a model on images one by one; return each output, images along its first axis.

    Q/DQ nodes are computed as they stand: fused into INT8 kernels, ONNX Runtime adds pairs of
    products in 16 bits on CPUs without VNNI, which overflow.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )
    name = session.get_inputs()[0].name
    runs = [session.run(None, {name: image[None]}) for image in images]
    return [
        np.concatenate([np.atleast_1d(part) for part in results])
        for results in zip(*runs, strict=True)
    ]


def min_max_cache(
    model: onnx.ModelProto, images: npt.NDArray[np.float32], *, version: int = 101401
) -> CalibrationCache:
    """Return the scales of all float tensors over some images: largest magnitude / 127."""
    inferred = onnx.shape_inference.infer_shapes(model)
    shown = onnx.ModelProto()
    shown.CopyFrom(inferred)
    outputs = {value.name for value in shown.graph.output}
    floats = [
        value
        for value in inferred.graph.value_info
        if value.type.tensor_type.elem_type == TensorProto.FLOAT and value.name not in outputs
    ]
    shown.graph.output.extend(floats)
    names = [value.name for value in shown.graph.output]
    scales = {model.graph.input[0].name: float(np.abs(images).max()) / 127}
    for name, values in zip(names, run_model(shown, images), strict=True):
        scales[name] = float(np.abs(values).max()) / 127
    return CalibrationCache(f'TRT-{version}-MinMaxCalibration', scales)
