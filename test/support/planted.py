# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs with planted outputs, one answer for dark images and one for bright ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.values.detections import Detections

HEIGHT, WIDTH = 64, 96
STRIDES = (8, 16, 32)

# (left, top, right, bottom, score, class) in pixels of the network's input.
Found = tuple[float, float, float, float, float, int]


def plant(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    *,
    sigmoid: Iterable[str] = (),
    metadata: Mapping[str, str] | None = None,
    channels_last: bool = False,
    kind: int = TensorProto.FLOAT,
    size: tuple[int | str, int | str] = (HEIGHT, WIDTH),
    batch: int | str = 'batch',
) -> Path:
    """
    Write a graph that answers a dark image with outputs[name][0] and a bright one with [1].

    :param sigmoid: names of the outputs that the graph passes through a Sigmoid.
    :param kind: element type of the input; a bright image is above 0.5, or 127 for integers.
    """
    sigmoid = set(sigmoid)
    half = np.float32(127 if kind == TensorProto.UINT8 else 0.5)
    nodes = [
        helper.make_node('Cast', ['images'], ['wide'], to=TensorProto.FLOAT),
        helper.make_node('ReduceMean', ['wide'], ['mean'], axes=[1, 2, 3], keepdims=0),
        helper.make_node('Greater', ['mean', 'half'], ['bright']),
        helper.make_node('Cast', ['bright'], ['which'], to=TensorProto.INT64),
    ]
    constants = [numpy_helper.from_array(half, 'half')]
    values = []
    for name, answer in outputs.items():
        inner = f'{name} logits' if name in sigmoid else name
        constants.append(numpy_helper.from_array(answer, f'{name} answers'))
        nodes.append(helper.make_node('Gather', [f'{name} answers', 'which'], [inner], axis=0))
        if name in sigmoid:
            nodes.append(helper.make_node('Sigmoid', [inner], [name]))
        element = helper.np_dtype_to_tensor_dtype(answer.dtype)
        values.append(helper.make_tensor_value_info(name, element, (batch, *answer.shape[1:])))
    shape = (batch, *size, 3) if channels_last else (batch, 3, *size)
    graph = helper.make_graph(
        nodes,
        'planted',
        [helper.make_tensor_value_info('images', kind, shape)],
        values,
        initializer=constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def open_planted(path: Path, **parameters: Any) -> Detector:
    """Open a planted graph for batches of two images."""
    values = {'score_threshold': 0.3, 'iou_threshold': 0.5, 'batch_size': 2} | parameters
    return create_detector(
        DetectorConfig(model_path=str(path), backend='onnxruntime', warmup_iterations=0, **values)
    )


def dark_and_bright(size: tuple[int, int] = (HEIGHT, WIDTH)) -> list[Image]:
    """Make the two images that a planted graph tells apart, in the size of its input."""
    return [Image.from_array(np.full((*size, 3), gray, np.uint8)) for gray in (0, 255)]


def overlap(a: Found, b: Found) -> float:
    """Compute the intersection over union of two boxes."""
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return w * h / (areas - w * h)


def suppress(found: Iterable[Found], score: float = 0.3, iou: float = 0.5) -> list[Found]:
    """Keep the best of overlapping boxes of a class, highest score first, pair by pair."""
    kept: list[Found] = []
    for one in sorted((f for f in found if f[4] >= score), key=lambda f: -f[4]):
        if all(k[5] != one[5] or overlap(k, one) <= iou for k in kept):
            kept.append(one)
    return kept


def clip(found: Iterable[Found]) -> list[Found]:
    """Clip boxes to the input, whose size the images have; what lies outside is dropped."""
    clipped = [
        (max(f[0], 0.0), max(f[1], 0.0), min(f[2], WIDTH), min(f[3], HEIGHT), f[4], f[5])
        for f in found
    ]
    return [f for f in clipped if f[0] < f[2] and f[1] < f[3]]


def assert_same(detections: Detections, expected: list[Found]) -> None:
    """Compare detections with expected ones."""
    assert detections.class_ids.tolist() == [f[5] for f in expected]
    boxes = np.array([f[:4] for f in expected]).reshape(-1, 4)
    np.testing.assert_allclose(detections.boxes_xyxy, boxes, rtol=0, atol=1e-3)
    np.testing.assert_allclose(detections.scores, [f[4] for f in expected], rtol=0, atol=1e-5)
