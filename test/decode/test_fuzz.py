# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Random graphs: refused with an error of the package, or decoded to possible detections.

1,000 graphs of random outputs (number, ranks, dimensions, names, element types), values, operators
in the tail, metadata and parameters run through the whole pipeline.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
import warnings

import numpy as np
import onnx
from onnx import helper, TensorProto
import pytest
from support.models import tensor
from trt_detector.config import DetectorConfig
from trt_detector.decode.recognize import LAYOUTS as ALL_LAYOUTS
from trt_detector.errors import DetectorError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.values.detections import Detections

GRAPHS, PARTS = 1000, 5
SIDE, WIDTH, HEIGHT = 64, 90, 50
IMAGE = Image.from_array(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))

# 84 and 85 are the anchors of 64x64 pixels (with stride 64), and the values of 80 classes.
DIMENSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 20, 35, 84, 85, 86, 100, 252, 300, 320)
NAMES = (
    'output0', 'output1', 'output', 'boxes', 'scores', 'labels', 'dets', 'logits', 'pred_boxes',
    'pred_logits', 'num_dets', 'det_boxes', 'det_scores', 'det_classes', 'detection_boxes',
    'detection_scores', 'detection_classes', 'num_detections', 'confs', 'BatchedNMS',
    'BatchedNMS_1', 'batchno_classid_score_x1y1x2y2',
)  # fmt: skip
# Outputs that layouts have, so that not every graph is refused.
LAYOUTS: tuple[dict[str, tuple[int, ...]], ...] = (
    {'output0': (6, 84)}, {'output0': (84, 6)}, {'output0': (10, 6)}, {'output0': (84, 8)},
    {'output': (252, 7)}, {'output': (20, 7)}, {'output0': (84, 84)}, {'output': (85, 35)},
    {'output0': (300, 6)}, {'pred_logits': (20, 3), 'pred_boxes': (20, 4)},
    {'labels': (20,), 'boxes': (20, 4), 'scores': (20,)}, {'dets': (20, 5), 'labels': (20,)},
    {'num_dets': (1,), 'det_boxes': (20, 4), 'det_scores': (20,), 'det_classes': (20,)},
    {'a': (64, 8, 8), 'b': (3, 8, 8), 'c': (64, 4, 4), 'd': (3, 4, 4)},
    {'a': (24, 8, 8), 'b': (24, 4, 4), 'c': (24, 2, 2)}, {'boxes': (84, 4), 'scores': (84, 3)},
    {'boxes': (84, 1, 4), 'confs': (84, 3)}, {'output0': (39, 84), 'output1': (32, 16, 16)},
    {'detection_boxes': (20, 4), 'detection_scores': (20,), 'detection_classes': (20,)},
)  # fmt: skip
TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT32)
METADATA: tuple[dict[str, str], ...] = (
    {}, {}, {'names': "{0: 'a', 1: 'b', 2: 'c'}"}, {'names': "['a', 'b']", 'end2end': 'True'},
    {'task': 'detect', 'args': "{'nms': True}"}, {'task': 'pose', 'kpt_shape': '[2, 1]'},
    {'task': 'pose', 'kpt_shape': 'two'}, {'task': 'segment'}, {'task': 'obb'},
    {'task': 'obb', 'end2end': 'True'}, {'head': 'RTDETRDecoder'}, {'model_type': 'd_fine'},
    {'description': 'a yolo', 'anchors': '[1, 2]'}, {'end2end': 'True', 'names': '0'},
)  # fmt: skip


class _Graph:
    """A random graph under construction."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.nodes = [
            helper.make_node('ReduceMean', ['images'], ['mean'], axes=[1, 2, 3], keepdims=1),
            helper.make_node('Mul', ['mean', 'zero'], ['nothing']),
        ]
        self.weights = [tensor('zero', np.float32(0)), tensor('one', np.float32(1))]

    def const(self, value: np.ndarray) -> str:
        self.weights.append(tensor(f'c{len(self.weights)}', value))
        return str(self.weights[-1].name)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f't{len(self.nodes)}_{n}' for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        """Make values of one kind: scores, pixels, logits, whole numbers or nonsense."""
        kind = self.rng.choice(6, p=[0.08, 0.04, 0.08, 0.04, 0.38, 0.38])
        if kind == 0:
            return self.rng.uniform(0, 1, shape)
        if kind == 1:
            return self.rng.uniform(0, SIDE, shape)
        if kind == 2:
            return self.rng.normal(0, 4, shape)
        if kind == 3:
            return self.rng.integers(-1, 5, shape).astype(float)
        # Boxes in pixels before scores, along the first or the last dimension.
        mixed = self.rng.uniform(0, 1, shape)
        if len(shape) > 1 and kind == 4:
            mixed[..., :4] *= SIDE
        elif len(shape) > 1:
            mixed[:, :4] *= SIDE
        if self.rng.random() < 0.3:
            strange = self.rng.choice([np.nan, np.inf, -np.inf, 3e38, -1.0], shape)
            mixed = np.where(self.rng.random(shape) < 0.01, strange, mixed)
        return mixed

    def tail(self, name: str, shape: tuple[int, ...]) -> str:
        """Add operators that keep the shape."""
        rank = len(shape)
        for _ in range(self.rng.choice([0, 0, 1, 1, 2, 3])):
            kind = self.rng.choice(
                ['Sigmoid', 'Exp', 'Mul', 'Add', 'Identity', 'Transpose', 'Softmax', 'TopK',
                 'ArgMax', 'Log', 'GridSample', 'Concat', 'NMS']
            )  # fmt: skip
            if kind in ('Sigmoid', 'Exp', 'Identity', 'Log'):
                name = self.op(str(kind), name)
            elif kind == 'Mul':
                name = self.op('Mul', name, 'one')
            elif kind == 'Add':
                name = self.op('Add', name, 'zero')
            elif kind == 'Softmax':
                name = self.op('Softmax', name, axis=-1)
            elif kind == 'Transpose':
                turned = self.op('Transpose', name, perm=list(range(rank))[::-1])
                name = self.op('Transpose', turned, perm=list(range(rank))[::-1])
            elif kind == 'TopK':
                count = self.const(np.array([shape[-1]]))
                name = self.op('TopK', name, count, outputs=2, axis=-1)
            elif kind == 'ArgMax':
                best = self.op('ArgMax', name, axis=rank - 1, keepdims=1)
                zero = self.op('Mul', self.op('Cast', best, to=TensorProto.FLOAT), 'zero')
                name = self.op('Add', name, zero)
            elif kind == 'Concat' and shape[-1] > 1:
                first, last = self.const(np.array([0])), self.const(np.array([-1]))
                parts = [self.op('Gather', name, index, axis=rank - 1) for index in (first, last)]
                rest = (self.const(np.array([1])), self.const(np.array([shape[-1] - 1])))
                middle = self.op('Slice', name, *rest, last)
                name = self.op('Concat', parts[0], middle, parts[1], axis=rank - 1)
            elif kind == 'GridSample':
                grid = self.const(np.zeros((1, 1, 1, 2), np.float32))
                if rank == 4:
                    name = self.op('Add', name, self.op('Mul', self._sampled(grid), 'zero'))
            elif kind == 'NMS':
                name = self._with_suppression(name)
        return name

    def _sampled(self, grid: str) -> str:
        picture = self.const(np.zeros((1, 1, 2, 2), np.float32))
        return self.op('GridSample', picture, grid)

    def _with_suppression(self, name: str) -> str:
        """Add a suppression that changes nothing to the tail."""
        boxes = self.const(np.zeros((1, 1, 4), np.float32))
        scores = self.const(np.ones((1, 1, 1), np.float32))
        kept = self.op('NonMaxSuppression', boxes, scores, self.const(np.array([1])))
        some = self.op('Cast', self.op('ReduceMax', kept, keepdims=0), to=TensorProto.FLOAT)
        return self.op('Add', name, self.op('Mul', some, 'zero'))


def _write(path: Path, rng: np.random.Generator) -> None:
    """Write a random graph."""
    graph = _Graph(rng)
    batch: Any = rng.choice(np.array(['n', 1], object), p=[0.7, 0.3])
    wanted: dict[str, tuple[int, ...]] = {}
    if rng.random() < 0.7:
        wanted |= LAYOUTS[rng.integers(0, len(LAYOUTS))]
    more = rng.integers(1, 4) if not wanted or rng.random() < 0.1 else 0
    for name in rng.permutation(NAMES)[:more]:
        wanted[str(name)] = tuple(rng.choice(DIMENSIONS, rng.integers(0, 4)).tolist())
    outputs = []
    for name, shape in wanted.items():
        first = int(rng.choice([1, 2, 20], p=[0.97, 0.02, 0.01]))
        whole = (first, *shape)
        value = graph.const(graph.values(whole).astype(np.float32))
        flat = graph.op('Reshape', 'nothing', graph.const(np.array([-1] + [1] * len(shape))))
        made = graph.tail(graph.op('Add', value, flat), whole)
        kind = int(rng.choice(TYPES, p=[0.75, 0.09, 0.08, 0.08]))
        graph.nodes.append(helper.make_node('Cast', [made], [name], to=kind))
        told = [*([batch] if first == 1 else [first]), *shape]
        told = [f'd{n}' if n and rng.random() < 0.02 else dim for n, dim in enumerate(told)]
        outputs.append(helper.make_tensor_value_info(name, kind, told))
    image = helper.make_tensor_value_info('images', TensorProto.FLOAT, (batch, 3, SIDE, SIDE))
    proto = helper.make_graph(graph.nodes, 'g', [image], outputs, initializer=graph.weights)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    helper.set_model_props(
        model, dict(METADATA[rng.integers(0, len(METADATA)) if rng.random() < 0.4 else 0])
    )
    onnx.save(model, path)


def _parameters(rng: np.random.Generator) -> dict[str, Any]:
    """Choose parameters: mostly none, else a head or a meaning of the values."""
    chosen: dict[str, Any] = {'score_threshold': float(rng.choice([0.0, 0.25, 0.6]))}
    if rng.random() < 0.15:
        chosen['head'] = str(rng.choice([layout.name for layout in ALL_LAYOUTS]))
    if rng.random() < 0.15:
        chosen['boxes'] = str(rng.choice(['pixels', 'normalized']))
    if rng.random() < 0.15:
        chosen['scores'] = str(rng.choice(['probabilities', 'logits']))
    if rng.random() < 0.1:
        chosen['classes'] = ('1',)
    return {**chosen, 'warmup_iterations': int(rng.integers(0, 2))}


def _check(found: Detections) -> None:
    """Hold what is promised of every detection against a result."""
    assert np.isfinite(found.boxes_xyxy).all()
    assert (found.boxes_xyxy[:, 2:] > found.boxes_xyxy[:, :2]).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (found.class_ids >= 0).all()
    if found.angles is None:
        assert (found.boxes_xyxy >= 0).all()
        assert (found.boxes_xyxy <= np.array([WIDTH, HEIGHT] * 2)).all()


@pytest.mark.parametrize('part', range(PARTS))
def test_random_graphs_are_refused_or_decoded(part: int, tmp_path: Path) -> None:
    decoded = refused = 0
    for seed in range(part, GRAPHS, PARTS):
        rng = np.random.default_rng(seed)
        path = tmp_path / f'{seed}.onnx'
        _write(path, rng)
        config = DetectorConfig(
            model_path=str(path), backend='onnxruntime', inference_threads=1, **_parameters(rng)
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('error', RuntimeWarning)
                with create_detector(config) as detector:
                    result = detector.detect([IMAGE])
        except DetectorError:
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f'graph {seed} ends with {error!r}') from error
        _check(result.detections[0])
        decoded += 1
    assert decoded > 2, 'nothing decoded says nothing'
    assert refused > 2
