# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Objectness that the graph computes is never read as the score of a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest
from support.planted import (
    assert_same,
    dark_and_bright,
    Found,
    HEIGHT,
    open_planted,
    plant,
    STRIDES,
    WIDTH,
)  # fmt: skip
from trt_detector.errors import ModelError
from trt_detector.model_info.box_form import has_objectness

OBJECTS: list[Found] = [(10, 20, 40, 50, 0.9, 1), (50, 4, 90, 36, 0.8, 0)]
COUNTS = [(HEIGHT // s) * (WIDTH // s) for s in STRIDES]
CLASSES = 3


def _write(path: Path, *, rows: bool, objectness: bool = True, ones: bool = False) -> Path:
    """
    Write a graph that concatenates boxes, objectness and classes per feature map.

    :param rows: the output is [N, A, 5 + C], else [N, 5 + C, A].
    :param ones: the objectness is a constant 1, as YOLOv6 has it.
    """
    rng = np.random.default_rng(0)
    raw = np.full((5 + CLASSES, sum(COUNTS)), -9, np.float32)
    raw[0], raw[1] = rng.uniform(8, 88, raw.shape[1]), rng.uniform(8, 56, raw.shape[1])
    raw[2:4] = 8
    for number, (left, top, right, bottom, score, label) in enumerate(OBJECTS):
        raw[:4, 5 + 7 * number] = (
            (left + right) / 2, (top + bottom) / 2, right - left, bottom - top,
        )  # fmt: skip
        raw[4, 5 + 7 * number] = 20
        raw[5 + label, 5 + 7 * number] = np.log(score / (1 - score))
    edges = np.cumsum([0, *COUNTS])
    parts = {'box': slice(0, 4), 'obj': slice(4, 5), 'cls': slice(5, None)}
    if not objectness:
        del parts['obj']
    planted = {
        f'{name}{level}': np.stack([raw[part, edges[level] : edges[level + 1]]] * 2)
        for level in range(len(COUNTS))
        for name, part in parts.items()
    }
    filled = {name: planted.pop(name) for name in list(planted) if ones and name[:3] == 'obj'}
    plant(path, planted, sigmoid=[name for name in planted if not name.startswith('box')])
    model = onnx.load(path)
    graph = model.graph
    make = helper.make_node
    for name, value in filled.items():
        graph.initializer.append(numpy_helper.from_array(np.ones_like(value), name))
    for level in range(len(COUNTS)):
        names = [f'{name}{level}' for name in parts]
        graph.node.append(make('Concat', names, [f'level{level}'], axis=1))
        graph.node.append(make('Reshape', [f'level{level}', 'shape'], [f'flat{level}']))
    values = sum(len(raw[part]) for part in parts.values())
    graph.initializer.append(numpy_helper.from_array(np.array([0, values, -1]), 'shape'))
    levels = [f'flat{level}' for level in range(len(COUNTS))]
    graph.node.append(make('Concat', levels, ['plane'], axis=2))
    graph.node.append(make('Transpose', ['plane'], ['rows'], perm=[0, 2, 1]))
    del graph.output[:]
    name, shape = ('rows', (sum(COUNTS), values)) if rows else ('plane', (values, sum(COUNTS)))
    graph.output.append(helper.make_tensor_value_info(name, 1, ('batch', *shape)))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def test_values_before_anchors_are_refused_with_the_remedy(tmp_path: Path) -> None:
    path = _write(tmp_path / 'm.onnx', rows=False)
    with pytest.raises(ModelError, match='the graph computes objectness.*Transpose'):
        open_planted(path)


def test_rows_have_one_value_less_for_classes(tmp_path: Path) -> None:
    path = _write(tmp_path / 'm.onnx', rows=True)
    with open_planted(path, head='yolo_objectness') as detector:
        for found in detector.detect(dark_and_bright()).detections:
            assert_same(found, OBJECTS)
    # Without arithmetic in the graph it is raw YOLOX.
    with open_planted(path) as detector:
        assert 'head yolox ' in detector.description
        assert detector.class_names == ('0', '1', '2')


@pytest.mark.parametrize('objectness', [True, False])
def test_scores_without_objectness_are_told_apart(*, objectness: bool, tmp_path: Path) -> None:
    path = _write(tmp_path / 'm.onnx', rows=False, objectness=objectness)
    assert has_objectness(onnx.load(path).graph, 'plane') == objectness
    if not objectness:
        with open_planted(path) as detector:
            [found, _] = detector.detect(dark_and_bright()).detections
        assert_same(found, OBJECTS)


def test_a_constant_objectness_is_recognized(tmp_path: Path) -> None:
    path = _write(tmp_path / 'm.onnx', rows=True, ones=True)
    assert has_objectness(onnx.load(path).graph, 'rows')
    with open_planted(path, head='yolo_objectness') as detector:
        for found in detector.detect(dark_and_bright()).detections:
            assert_same(found, OBJECTS)
        assert detector.info.warnings == ()
