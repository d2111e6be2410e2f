# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Splits into unequal parts become slices that give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, TensorProto
import onnxruntime
import pytest
from support.models import tensor
from trt_detector.model_info import slice_unequal_splits

SHAPE = [2, 10, 6]


def model(opset: int, sizes: list[int], given: str, axis: int | None) -> bytes:
    """Return a model that splits its input and joins the doubled parts again."""
    parts = [f'part{i}' for i in range(len(sizes))]
    attributes: dict[str, Any] = {} if axis is None else {'axis': axis}
    nodes, initializers, inputs = [], [], ['x']
    if given == 'attribute':
        attributes['split'] = sizes
    elif given == 'initializer':
        initializers.append(tensor('sizes', np.array(sizes)))
        inputs.append('sizes')
    elif given == 'constant':
        value = tensor('', np.array(sizes))
        nodes.append(helper.make_node('Constant', [], ['sizes'], value=value))
        inputs.append('sizes')
    nodes.append(helper.make_node('Split', inputs, parts, name='s', **attributes))
    nodes += [helper.make_node('Neg', [part], [f'{part}_n']) for part in parts]
    names = [f'{part}_n' for part in parts][::-1]
    nodes.append(helper.make_node('Concat', names, ['y'], axis=0 if axis is None else axis))
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in 'xy']
    graph = helper.make_graph(nodes, 'g', values[:1], values[1:], initializer=initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)])
    made.ir_version = 7
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def run(data: bytes) -> np.ndarray:
    """Return what a model makes of some numbers."""
    x = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    session = onnxruntime.InferenceSession(data, providers=['CPUExecutionProvider'])
    return np.asarray(session.run(None, {'x': x})[0])


def operators(data: bytes) -> list[str]:
    """Return the operators of a model."""
    return [node.op_type for node in onnx.load_model_from_string(data).graph.node]


@pytest.mark.parametrize(
    ('opset', 'given'), [(11, 'attribute'), (13, 'initializer'), (17, 'constant')]
)
@pytest.mark.parametrize(
    ('sizes', 'axis'), [([4, 6], 1), ([1, 4, 5], -2), ([1, 5], 2), ([2, 0], None)]
)
def test_slices_give_the_same(opset: int, given: str, sizes: list[int], axis: int | None) -> None:
    data = model(opset, sizes, given, axis)
    sliced = slice_unequal_splits(data)
    assert 'Split' not in operators(sliced)
    assert operators(sliced).count('Slice') == len(sizes)
    onnx.checker.check_model(onnx.load_model_from_string(sliced))
    np.testing.assert_array_equal(run(sliced), run(data))


@pytest.mark.parametrize('given', ['initializer', 'nothing'])
def test_equal_parts_stay_as_they_are(given: str) -> None:
    data = model(13, [5, 5], given, 1)
    assert slice_unequal_splits(data) is data


def test_an_old_graph_stays_as_it_is() -> None:
    data = model(9, [4, 6], 'attribute', 1)
    assert slice_unequal_splits(data) is data
