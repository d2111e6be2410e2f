# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Small random-weight graphs of every head layout, and a plain decoder in float64 for each.

The decoder shares nothing with the package: it prepares the picture, decodes one prediction at a
time with Python's own numbers, suppresses pair by pair and maps the boxes back.

    PYTHONPATH=test python3 -m support.heads FOLDER

writes the graphs and, beside each, its reference detections of one picture as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
import json
import math
from pathlib import Path
import sys

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnxruntime

HEIGHT, WIDTH = 64, 96
CLASSES = 3
QUERIES = 40
MASKS = 4
STRIDES = (8, 16, 32)
ANCHORS = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)
SCORE, IOU = 0.6, 0.4

# (left, top, right, bottom, score, class) in pixels of the network's input.
Found = tuple[float, float, float, float, float, int]
Outputs = dict[str, np.ndarray]


class Graph:
    """
    An ONNX graph under construction; every method adds nodes and returns a tensor's name.

    :param pixel: what a white pixel is in the input.
    """

    def __init__(self, seed: int, pixel: float = 1.0) -> None:
        self.pixel = pixel
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, value: object, dtype: type = np.float32) -> str:
        name = f'c{len(self.constants)}'
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        names = [f't{len(self.nodes)}_{n}' for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def predictions(self, rows: int, values: int) -> str:
        """Return [N, rows, values], a random linear function of the picture."""
        pooled = self.op('AveragePool', 'images', kernel_shape=[8, 8], strides=[8, 8])
        flat = self.op('Flatten', pooled, axis=1)
        inputs = 3 * (HEIGHT // 8) * (WIDTH // 8)
        spread = 3 / math.sqrt(inputs) / self.pixel
        weights = self.rng.normal(0, spread, (inputs, rows * values))
        bias = self.rng.normal(0, 1, rows * values)
        product = self.op('Gemm', flat, self.const(weights), self.const(bias))
        return self.op('Reshape', product, self.const([-1, rows, values], np.int64))

    def part(self, tensor: str, start: int, end: int) -> str:
        """Return the values from start to end of the last dimension."""
        limits = (self.const([n], np.int64) for n in (start, end, -1))
        return self.op('Slice', tensor, *limits)

    def boxes(self, raw: str, width: float, height: float) -> str:
        """Return center x, y, width, height scaled to a size, from values of any sign."""
        unit = self.op('Sigmoid', self.part(raw, 0, 4))
        return self.op('Mul', unit, self.const([width, height, width / 2, height / 2]))

    def scores(self, raw: str, start: int, end: int) -> str:
        return self.op('Sigmoid', self.part(raw, start, end))

    def corners(self, boxes: str) -> str:
        """Return left, top, right, bottom of center boxes."""
        half = self.op('Mul', self.part(boxes, 2, 4), self.const(0.5))
        center = self.part(boxes, 0, 2)
        return self.op(
            'Concat', self.op('Sub', center, half), self.op('Add', center, half), axis=-1
        )

    def rows(self, boxes: str, scores: str) -> str:
        """Return [N, 20, 6]: the best predictions as box, score, class."""
        best = self.op('ReduceMax', scores, axes=[2], keepdims=1)
        number = self.op('ArgMax', scores, axis=2, keepdims=1)
        number = self.op('Cast', number, to=TensorProto.FLOAT)
        everything = self.op('Concat', boxes, best, number, axis=2)
        flat = self.op('Squeeze', best, self.const([2], np.int64))
        self.op('TopK', flat, self.const([20], np.int64), outputs=2, axis=1)
        which = self.op('Unsqueeze', self.nodes[-1].output[1], self.const([2], np.int64))
        index = self.op('Tile', which, self.const([1, 1, 6], np.int64))
        return self.op('GatherElements', everything, index, axis=1)


@dataclass(frozen=True)
class Case:
    """
    One layout.

    :param build: adds the nodes and returns {output name: (tensor, shape, element type)}.
    :param decode: (outputs of one image) to what was found, before any suppression.
    :param suppress: whether duplicates are still among them.
    :param mode: how the picture is prepared: 'letterbox', 'top_left' or 'stretch'.
    :param pixel: what a white pixel is in the input, None for what it is without mean and std.
    :param pad: gray level of the letterbox.
    """

    build: Callable[[Graph], dict[str, tuple[str, tuple[object, ...], int]]]
    decode: Callable[[Outputs], Iterable[Found]]
    suppress: bool
    head: str
    mode: str = 'letterbox'
    bgr_255: bool = False
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    metadata: dict[str, str] = field(default_factory=dict)
    batch: object = 'batch'
    target_sizes: bool = False
    pixel: float | None = None
    pad: int = 114


FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


def _xyxy(cx: float, cy: float, w: float, h: float) -> tuple[float, float, float, float]:
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _best(scores: list[float]) -> tuple[float, int]:
    """Return the largest score and its number, the first of equal ones."""
    best = max(scores)
    return best, scores.index(best)


def _yolo(g: Graph, *, transposed: bool, extra: int = 0) -> dict[str, tuple]:
    raw = g.predictions(ANCHORS, 4 + CLASSES + extra)
    parts = [g.boxes(raw, WIDTH, HEIGHT), g.scores(raw, 4, 4 + CLASSES)]
    if extra:
        parts.append(g.part(raw, 4 + CLASSES, 4 + CLASSES + extra))
    out = g.op('Concat', *parts, axis=2)
    values = 4 + CLASSES + extra
    if transposed:
        return {'output0': (out, ('batch', ANCHORS, values), FLOAT)}
    out = g.op('Transpose', out, perm=[0, 2, 1])
    return {'output0': (out, ('batch', values, ANCHORS), FLOAT)}


def _segment(g: Graph) -> dict[str, tuple]:
    outputs = _yolo(g, transposed=False, extra=MASKS)
    maps = g.op('Reshape', g.predictions(MASKS, 24), g.const([-1, MASKS, 4, 6], np.int64))
    return {**outputs, 'output1': (maps, ('batch', MASKS, 4, 6), FLOAT)}


def _decode_yolo(outputs: Outputs, *, transposed: bool) -> Iterable[Found]:
    rows = outputs['output0'] if transposed else outputs['output0'].T
    for row in rows.tolist():
        score, number = _best(row[4 : 4 + CLASSES])
        yield (*_xyxy(*row[:4]), score, number)


def _objectness(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(3 * ANCHORS, 5 + CLASSES)
    scores = g.scores(g.op('Add', raw, g.const(1.0)), 4, 5 + CLASSES)
    out = g.op('Concat', g.boxes(raw, WIDTH, HEIGHT), scores, axis=2)
    return {'output': (out, ('batch', 3 * ANCHORS, 5 + CLASSES), FLOAT)}


def _decode_objectness(outputs: Outputs) -> Iterable[Found]:
    for row in outputs['output'].tolist():
        score, number = _best(row[5:])
        yield (*_xyxy(*row[:4]), row[4] * score, number)


def _cells() -> list[tuple[int, int, int]]:
    """Return column, row and stride of every cell, in YOLOX's order."""
    return [(x, y, s) for s in STRIDES for y in range(HEIGHT // s) for x in range(WIDTH // s)]


def _yolox(g: Graph, *, decoded: bool) -> dict[str, tuple]:
    raw = g.predictions(ANCHORS, 5 + CLASSES)
    scores = g.scores(raw, 4, 5 + CLASSES)
    if decoded:
        cells = np.array(_cells(), np.float32)
        shifted = g.op('Add', g.part(raw, 0, 2), g.const(cells[:, :2]))
        centers = g.op('Mul', shifted, g.const(cells[:, 2:]))
        sizes = g.op('Mul', g.op('Exp', g.part(raw, 2, 4)), g.const(cells[:, 2:]))
        out = g.op('Concat', centers, sizes, scores, axis=2)
    else:
        out = g.op('Concat', g.part(raw, 0, 4), scores, axis=2)
    return {'output': (out, ('batch', ANCHORS, 5 + CLASSES), FLOAT)}


def _decode_yolox(outputs: Outputs) -> Iterable[Found]:
    for (x, y, stride), row in zip(_cells(), outputs['output'].tolist(), strict=True):
        score, number = _best(row[5:])
        w, h = math.exp(row[2]) * stride, math.exp(row[3]) * stride
        yield (*_xyxy((row[0] + x) * stride, (row[1] + y) * stride, w, h), row[4] * score, number)


def _end_to_end(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(ANCHORS, 4 + CLASSES)
    corners = g.corners(g.boxes(raw, WIDTH, HEIGHT))
    rows = g.rows(corners, g.scores(raw, 4, 4 + CLASSES))
    padded = g.op('Pad', rows, g.const([0, 0, 0, 0, 5, 0], np.int64))
    return {'output0': (padded, ('batch', 25, 6), FLOAT)}


def _decode_rows(outputs: Outputs) -> Iterable[Found]:
    for row in outputs['output0'].tolist():
        if any(row):
            yield (*row[:5], int(row[5]))


def _detr(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(QUERIES, 4 + CLASSES)
    out = g.op('Concat', g.boxes(raw, 1, 1), g.scores(raw, 4, 4 + CLASSES), axis=2)
    return {'output0': (out, ('batch', QUERIES, 4 + CLASSES), FLOAT)}


def _pixels(box: list[float]) -> tuple[float, float, float, float]:
    """Return corners in pixels of a normalized center box."""
    cx, cy, w, h = box
    return _xyxy(cx * WIDTH, cy * HEIGHT, w * WIDTH, h * HEIGHT)


def _decode_detr(outputs: Outputs) -> Iterable[Found]:
    for row in outputs['output0'].tolist():
        yield (*_pixels(row[:4]), *_best(row[4:]))


def _detr_rows(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(QUERIES, 4 + CLASSES)
    rows = g.rows(g.boxes(raw, 1, 1), g.scores(raw, 4, 4 + CLASSES))
    return {'output0': (rows, ('batch', 20, 6), FLOAT)}


def _decode_detr_rows(outputs: Outputs) -> Iterable[Found]:
    for row in outputs['output0'].tolist():
        yield (*_pixels(row[:4]), row[4], int(row[5]))


def _pair(g: Graph, values: int) -> dict[str, tuple]:
    raw = g.predictions(QUERIES, 4 + values)
    logits = g.op('Mul', g.part(raw, 4, 4 + values), g.const(2.0))
    return {
        'pred_logits': (logits, ('batch', QUERIES, values), FLOAT),
        'pred_boxes': (g.boxes(raw, 1, 1), ('batch', QUERIES, 4), FLOAT),
    }


def _decode_sigmoid(outputs: Outputs) -> Iterable[Found]:
    pairs = zip(outputs['pred_boxes'].tolist(), outputs['pred_logits'].tolist(), strict=True)
    for box, logits in pairs:
        yield (*_pixels(box), *_best([_sigmoid(v) for v in logits]))


def _decode_softmax(outputs: Outputs) -> Iterable[Found]:
    pairs = zip(outputs['pred_boxes'].tolist(), outputs['pred_logits'].tolist(), strict=True)
    for box, logits in pairs:
        total = sum(math.exp(v) for v in logits)
        yield (*_pixels(box), *_best([math.exp(v) / total for v in logits[:-1]]))


def _deploy(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(QUERIES, 4 + CLASSES)
    sizes = g.op('Cast', 'orig_target_sizes', to=FLOAT)
    sizes = g.op('Unsqueeze', g.op('Concat', sizes, sizes, axis=1), g.const([1], np.int64))
    boxes = g.op('Mul', g.corners(g.boxes(raw, 1, 1)), sizes)
    scores = g.scores(raw, 4, 4 + CLASSES)
    best = g.op('ReduceMax', scores, axes=[2], keepdims=0)
    labels = g.op('ArgMax', scores, axis=2, keepdims=0)
    return {
        'labels': (labels, ('batch', QUERIES), INT64),
        'boxes': (boxes, ('batch', QUERIES, 4), FLOAT),
        'scores': (best, ('batch', QUERIES), FLOAT),
    }


def _decode_deploy(outputs: Outputs) -> Iterable[Found]:
    for label, box, score in zip(
        outputs['labels'].tolist(), outputs['boxes'].tolist(), outputs['scores'].tolist(),
        strict=True,
    ):  # fmt: skip
        yield (*box, score, label)


def _efficient_nms(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(ANCHORS, 4 + CLASSES)
    rows = g.rows(g.corners(g.boxes(raw, WIDTH, HEIGHT)), g.scores(raw, 4, 4 + CLASSES))
    last = g.const([2], np.int64)
    scores = g.op('Squeeze', g.part(rows, 4, 5), last)
    classes = g.op('Cast', g.op('Squeeze', g.part(rows, 5, 6), last), to=INT32)
    # Fewer than pass the threshold: what stands behind the count has to be left out.
    found = g.op('Cast', g.op('Greater', scores, g.const(0.8)), to=INT32)
    count = g.op('ReduceSum', found, g.const([1], np.int64), keepdims=1)
    return {
        'num_dets': (count, ('batch', 1), INT32),
        'det_boxes': (g.part(rows, 0, 4), ('batch', 20, 4), FLOAT),
        'det_scores': (scores, ('batch', 20), FLOAT),
        'det_classes': (classes, ('batch', 20), INT32),
    }


def _decode_efficient_nms(outputs: Outputs) -> Iterable[Found]:
    for n in range(int(outputs['num_dets'][0])):
        box, score = outputs['det_boxes'][n].tolist(), float(outputs['det_scores'][n])
        yield (*box, score, int(outputs['det_classes'][n]))


def _torchvision(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(ANCHORS, 4 + CLASSES)
    rows = g.rows(g.corners(g.boxes(raw, WIDTH, HEIGHT)), g.scores(raw, 4, 4 + CLASSES))
    first = g.const([0], np.int64)
    rows = g.op('Squeeze', rows, first)
    scores = g.op('Squeeze', g.part(rows, 4, 5), g.const([1], np.int64))
    which = g.op('NonZero', g.op('Greater', scores, g.const(0.7)))
    kept = g.op('Gather', rows, g.op('Squeeze', which, first), axis=0)
    last = g.const([1], np.int64)
    return {
        'boxes': (g.part(kept, 0, 4), ('n', 4), FLOAT),
        'scores': (g.op('Squeeze', g.part(kept, 4, 5), last), ('n',), FLOAT),
        'labels': (
            g.op('Cast', g.op('Squeeze', g.part(kept, 5, 6), last), to=INT64), ('n',), INT64,
        ),
    }  # fmt: skip


def _deepstream(g: Graph) -> dict[str, tuple]:
    raw = g.predictions(ANCHORS, 4 + CLASSES)
    scores = g.scores(raw, 4, 4 + CLASSES)
    best = g.op('ReduceMax', scores, axes=[2], keepdims=1)
    number = g.op('Cast', g.op('ArgMax', scores, axis=2, keepdims=1), to=FLOAT)
    corners = g.corners(g.boxes(raw, WIDTH, HEIGHT))
    out = g.op('Concat', corners, best, number, axis=2)
    return {'output': (out, ('batch', ANCHORS, 6), FLOAT)}


def _decode_deepstream(outputs: Outputs) -> Iterable[Found]:
    for row in outputs['output'].tolist():
        yield (*row[:5], int(row[5]))


BINS = 8


def _points(*, plus: bool) -> list[tuple[float, float, int]]:
    """Return reference point x, y and stride of every cell of NanoDet."""
    shift = 0.0 if plus else 0.5
    return [
        ((x + shift) * s, (y + shift) * s, s)
        for s in ((8, 16, 32, 64) if plus else (8, 16, 32))
        for y in range(math.ceil(HEIGHT / s))
        for x in range(math.ceil(WIDTH / s))
    ]


def _nanodet(g: Graph, *, plus: bool) -> dict[str, tuple]:
    count, values = len(_points(plus=plus)), CLASSES + 4 * BINS
    raw = g.predictions(count, values)
    scores = g.scores(raw, 0, CLASSES)
    out = g.op('Concat', scores, g.part(raw, CLASSES, values), axis=2)
    return {'output': (out, ('batch', count, values), FLOAT)}


def _decode_nanodet(outputs: Outputs, *, plus: bool) -> Iterable[Found]:
    for (x, y, stride), row in zip(_points(plus=plus), outputs['output'].tolist(), strict=True):
        score, number = _best(row[:CLASSES])
        sides = []
        for side in range(4):
            logits = row[CLASSES + side * BINS : CLASSES + (side + 1) * BINS]
            total = sum(math.exp(v) for v in logits)
            sides.append(sum(n * math.exp(v) for n, v in enumerate(logits)) / total * stride)
        yield (x - sides[0], y - sides[1], x + sides[2], y + sides[3], score, number)


def _batched_rows(g: Graph, order: str) -> dict[str, tuple]:
    """Write rows in an order of b (batch index), x (box), c (class) and s (score)."""
    raw = g.predictions(ANCHORS, 4 + CLASSES)
    scores = g.scores(raw, 4, 4 + CLASSES)
    columns = {
        'x': g.corners(g.boxes(raw, WIDTH, HEIGHT)),
        's': g.op('ReduceMax', scores, axes=[2], keepdims=1),
        'c': g.op('ArgMax', scores, axis=2, keepdims=1),
    }
    flat = g.op('Squeeze', columns['s'], g.const([0, 2], np.int64))
    g.op('TopK', flat, g.const([20], np.int64), outputs=2, axis=0)
    which, first = _last_output(g, 1), g.const([0], np.int64)
    parts = {
        k: g.op('Gather', g.op('Squeeze', v, first), which, axis=0) for k, v in columns.items()
    }
    parts['c'] = g.op('Cast', parts['c'], to=FLOAT)
    parts['b'] = g.op('Mul', parts['s'], g.const(0.0))
    return {'output': (g.op('Concat', *(parts[k] for k in order), axis=1), ('n', 7), FLOAT)}


def _last_output(g: Graph, number: int) -> str:
    """Return another output of the last node."""
    return str(g.nodes[-1].output[number])


def _decode_batched_rows(outputs: Outputs, box: int, score: int, label: int) -> Iterable[Found]:
    for row in outputs['output'].tolist():
        yield (*row[box : box + 4], row[score], int(row[label]))


_NAMES = str({n: f'class {n}' for n in range(CLASSES)})
_NANODET = {
    'bgr_255': True,
    'pixel': 4.4,
    'mean': (103.53, 116.28, 123.675),
    'std': (57.375, 57.12, 58.395),
}
_IMAGENET = {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}

CASES = {
    'end_to_end': Case(_end_to_end, _decode_rows, suppress=False, head='end_to_end'),
    'yolo': Case(
        lambda g: _yolo(g, transposed=False),
        lambda o: _decode_yolo(o, transposed=False),
        suppress=True,
        head='yolo',
    ),
    'yolo_transposed': Case(
        lambda g: _yolo(g, transposed=True),
        lambda o: _decode_yolo(o, transposed=True),
        suppress=True,
        head='yolo_transposed',
        metadata={'names': _NAMES},
    ),
    'yolo_segment': Case(
        _segment,
        lambda o: _decode_yolo(o, transposed=False),
        suppress=True,
        head='yolo',
        metadata={'names': _NAMES, 'task': 'segment'},
    ),
    'yolo_objectness': Case(
        _objectness,
        _decode_objectness,
        suppress=True,
        head='yolo_objectness',
    ),
    'yolox': Case(
        lambda g: _yolox(g, decoded=False),
        _decode_yolox,
        suppress=True,
        head='yolox',
        mode='top_left',
        bgr_255=True,
    ),
    'yolox_decoded': Case(
        lambda g: _yolox(g, decoded=True),
        _decode_objectness,
        suppress=True,
        head='yolox_decoded',
        mode='top_left',
        bgr_255=True,
    ),
    'detr': Case(
        _detr,
        _decode_detr,
        suppress=False,
        head='detr',
        mode='stretch',
        metadata={'head': 'RTDETRDecoder'},
    ),
    'detr_rows': Case(
        _detr_rows,
        _decode_detr_rows,
        suppress=False,
        head='detr_rows',
        mode='stretch',
        metadata={'head': 'RTDETRDecoder'},
    ),
    'detr_sigmoid': Case(
        lambda g: _pair(g, CLASSES),
        _decode_sigmoid,
        suppress=False,
        head='detr_sigmoid',
        mode='stretch',
        metadata={'names': _NAMES},
    ),
    'detr_softmax': Case(
        lambda g: _pair(g, CLASSES + 1),
        _decode_softmax,
        suppress=False,
        head='detr_softmax',
        mode='stretch',
        metadata={'names': _NAMES},
        **_IMAGENET,
    ),
    'detr_deploy': Case(
        _deploy,
        _decode_deploy,
        suppress=False,
        head='detr_deploy',
        mode='stretch',
        target_sizes=True,
    ),
    'efficient_nms': Case(
        _efficient_nms, _decode_efficient_nms, suppress=False, head='efficient_nms'
    ),
    'torchvision': Case(
        _torchvision, _decode_deploy, suppress=False, head='torchvision', mode='top_left', batch=1
    ),
    'deepstream': Case(_deepstream, _decode_deepstream, suppress=True, head='deepstream'),
    'nanodet_plus': Case(
        lambda g: _nanodet(g, plus=True),
        lambda o: _decode_nanodet(o, plus=True),
        suppress=True,
        head='nanodet_plus',
        mode='stretch',
        metadata={'names': _NAMES},
        **_NANODET,
    ),
    'nanodet': Case(
        lambda g: _nanodet(g, plus=False),
        lambda o: _decode_nanodet(o, plus=False),
        suppress=True,
        head='nanodet',
        pad=0,
        metadata={'names': _NAMES},
        **_NANODET,
    ),
    'rows_box_class_score': Case(
        lambda g: _batched_rows(g, 'bxcs'),
        lambda o: _decode_batched_rows(o, 1, 6, 5),
        suppress=False,
        head='rows_box_class_score',
        batch=1,
    ),
    'rows_box_score_class': Case(
        lambda g: {'flat_predictions': _batched_rows(g, 'bxsc').popitem()[1]},
        lambda o: _decode_batched_rows({'output': o['flat_predictions']}, 1, 5, 6),
        suppress=False,
        head='rows_box_score_class',
        batch=1,
    ),
    'rows_class_score_box': Case(
        lambda g: _batched_rows(g, 'bcsx'),
        lambda o: _decode_batched_rows(o, 3, 2, 1),
        suppress=False,
        head='rows_class_score_box',
        batch=1,
    ),
    'rows_score_class_box': Case(
        lambda g: _batched_rows(g, 'bscx'),
        lambda o: _decode_batched_rows(o, 3, 1, 2),
        suppress=False,
        head='rows_score_class_box',
        batch=1,
    ),
}


def build(name: str, path: Path, seed: int = 0) -> Path:
    """Write the graph of a layout and return its path."""
    case = CASES[name]
    graph = Graph(seed, case.pixel or (255.0 if case.bgr_255 else 1.0))
    outputs = case.build(graph)
    for output, (tensor, _, _) in outputs.items():
        graph.nodes.append(helper.make_node('Identity', [tensor], [output]))
    inputs = [
        helper.make_tensor_value_info('images', FLOAT, (case.batch, 3, HEIGHT, WIDTH)),
    ]
    if case.target_sizes:
        inputs.append(helper.make_tensor_value_info('orig_target_sizes', INT64, ('batch', 2)))
    values = [
        helper.make_tensor_value_info(output, kind, shape)
        for output, (_, shape, kind) in outputs.items()
    ]
    proto = helper.make_graph(graph.nodes, name, inputs, values, initializer=graph.constants)
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid('', 17)], producer_name='test'
    )
    model.ir_version = 8
    helper.set_model_props(model, case.metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def picture(seed: int, width: int, height: int) -> np.ndarray:
    """Return a BGR picture of coarse random patches, which survive the resize."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(patches, (width, height), interpolation=cv2.INTER_NEAREST)


def prepare(case: Case, bgr: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return the network's input (3, H, W) in float64 and gain x, gain y, left, top."""
    height, width = bgr.shape[:2]
    new_w, new_h, left, top = WIDTH, HEIGHT, 0, 0
    if case.mode != 'stretch':
        gain = min(WIDTH / width, HEIGHT / height)
        new_w, new_h = round(width * gain), round(height * gain)
        if case.mode == 'letterbox':
            left, top = round((WIDTH - new_w) / 2 - 0.1), round((HEIGHT - new_h) / 2 - 0.1)
    canvas = np.full((HEIGHT, WIDTH, 3), case.pad, np.uint8)
    canvas[top : top + new_h, left : left + new_w] = cv2.resize(bgr, (new_w, new_h))
    if case.bgr_255:
        values = (canvas.astype(np.float64) - np.array(case.mean)) / np.array(case.std)
    else:
        values = (canvas[..., ::-1] / 255 - np.array(case.mean)) / np.array(case.std)
    return values.transpose(2, 0, 1), (new_w / width, new_h / height, left, top)


def _overlap(a: Found, b: Found) -> float:
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return w * h / (areas - w * h)


def reference(name: str, path: Path, bgr: np.ndarray) -> list[Found]:
    """Return what a layout's graph finds in a picture, in its own pixels, best first."""
    case = CASES[name]
    values, (gain_x, gain_y, left, top) = prepare(case, bgr)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    feeds = {'images': values[None].astype(np.float32)}
    if case.target_sizes:
        feeds['orig_target_sizes'] = np.array([[WIDTH, HEIGHT]], np.int64)
    names = [output.name for output in session.get_outputs()]
    arrays = session.run(names, feeds)
    single = name == 'torchvision' or name.startswith('rows_')
    outputs = {n: (a if single else a[0]) for n, a in zip(names, arrays, strict=True)}
    found = [f for f in case.decode(outputs) if f[4] >= SCORE]
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: -f[4]):
        rivals = [k for k in kept if k[5] == one[5]] if case.suppress else []
        if all(_overlap(k, one) <= IOU for k in rivals):
            kept.append(one)
    height, width = bgr.shape[:2]
    mapped = []
    for x1, y1, x2, y2, score, number in kept:
        xs = [min(max((x - left) / gain_x, 0.0), float(width)) for x in (x1, x2)]
        ys = [min(max((y - top) / gain_y, 0.0), float(height)) for y in (y1, y2)]
        if xs[1] > xs[0] and ys[1] > ys[0]:
            mapped.append((xs[0], ys[0], xs[1], ys[1], score, number))
    return mapped


def main() -> None:
    """Write graphs and reference detections into the folder that the first argument names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        path = build(name, folder / f'{name}.onnx')
        found = reference(name, path, picture(0, 200, 150))
        path.with_suffix('.json').write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
        print(f'{path}: {len(found)} detections')


if __name__ == '__main__':
    main()
