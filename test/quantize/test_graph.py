# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The head tail of detectors, found by structure."""

from __future__ import annotations

import onnx
from onnx import helper, TensorProto
import pytest
from support.quantized import DETECTORS, GraphBuilder, rtdetr_like, yolov8_like, yolox_like
from trt_detector.quantize.graph import analyse_head
from trt_detector.quantize.graph_index import tensor_names


def kinds(model: onnx.ModelProto, names: frozenset[str]) -> list[str]:
    """Return the operators of some nodes, in the order of the graph."""
    return [node.op_type for node in model.graph.node if node.name in names]


def nodes_of(model: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind]


def test_yolov8_tail_holds_dfl_and_its_convolution() -> None:
    model = yolov8_like()
    head = analyse_head(model)
    dfl = nodes_of(model, 'Conv')[-1]
    assert dfl.name in head.tail_nodes
    assert dfl.name not in head.convolutions
    assert len(head.convolutions) == len(nodes_of(model, 'Conv')) - 1
    assert kinds(model, head.tail_nodes) == [
        *('Concat', 'Reshape', 'Concat', 'Reshape', 'Concat', 'Split', 'Reshape', 'Transpose'),
        *('Softmax', 'Conv', 'Reshape', 'Split', 'Sub', 'Add', 'Add', 'Mul', 'Sub', 'Concat'),
        *('Mul', 'Sigmoid', 'Concat'),
    ]
    assert head.decode_nodes == head.tail_nodes
    assert 'output0' in head.tail_tensors
    assert dfl.output[0] in head.tail_tensors


def test_activations_before_the_last_convolutions_are_not_tail() -> None:
    model = yolov8_like()
    tail = analyse_head(model).tail_nodes
    sigmoids = nodes_of(model, 'Sigmoid')
    assert [node.name in tail for node in sigmoids] == [False] * (len(sigmoids) - 1) + [True]


def test_end_to_end_tail_holds_top_k() -> None:
    model = DETECTORS['end2end']()
    head = analyse_head(model)
    tail = kinds(model, head.tail_nodes)
    assert tail.count('TopK') == 2
    assert tail.count('GatherElements') == 3
    assert tail.count('Conv') == 1
    assert len(head.convolutions) == len(nodes_of(model, 'Conv')) - 1


def test_yolox_tail_is_sigmoid_concat_transpose() -> None:
    model = yolox_like()
    head = analyse_head(model)
    assert set(kinds(model, head.tail_nodes)) == {'Sigmoid', 'Concat', 'Reshape', 'Transpose'}
    assert len(head.convolutions) == len(nodes_of(model, 'Conv'))


def test_a_decoder_is_tail_for_int8_but_only_its_end_for_fp16() -> None:
    model = rtdetr_like()
    head = analyse_head(model)
    assert 'MatMul' in kinds(model, head.tail_nodes)
    assert 'TopK' in kinds(model, head.tail_nodes)
    assert head.decode_nodes < head.tail_nodes
    assert kinds(model, head.decode_nodes) == ['Sigmoid', 'Mul', 'Sigmoid', 'Concat']
    assert head.decode_tensors < head.tail_tensors


def test_attention_is_no_dfl() -> None:
    # Softmax, then a product with computed values, then a convolution: a layer, not arithmetic.
    graph = GraphBuilder()
    x = graph.cbs('images', 3, 16, stride=2)
    flat = graph.reshape(x, 1, 16, -1)
    scores = graph.node('MatMul', graph.node('Transpose', flat, perm=[0, 2, 1]), flat)
    mixed = graph.node('MatMul', flat, graph.node('Softmax', scores, axis=-1))
    one = graph.conv(graph.reshape(mixed, 1, 16, 32, 32), 16, 1)
    output = graph.rename_output(graph.node('Sigmoid', one), 'output')
    model = graph.model({output: [1, 1, 32, 32]})
    head = analyse_head(model)
    assert len(head.convolutions) == 2
    assert kinds(model, head.tail_nodes) == ['Sigmoid']


def test_names_play_no_part() -> None:
    model = yolov8_like()
    expected = kinds(model, analyse_head(model).tail_nodes)
    for number, node in enumerate(model.graph.node):
        node.name = f'n{number}'
    assert kinds(model, analyse_head(model).tail_nodes) == expected


def test_nodes_without_a_name_are_known_by_their_output() -> None:
    model = yolox_like()
    last = model.graph.node[-1].output[0]
    for node in model.graph.node:
        node.name = ''
    head = analyse_head(model)
    assert f'node_of_{last}' in head.tail_nodes
    assert head.convolutions
    assert all(name.startswith('node_of_') for name in head.convolutions)


def test_outer_tensors_of_a_subgraph_count_as_inputs() -> None:
    graph = GraphBuilder()
    x = graph.cbs('images', 3, 4)
    shifted = graph.node('Relu', x)
    branch = helper.make_graph(
        [helper.make_node('Identity', [shifted], ['inner'])],
        'branch',
        [],
        [helper.make_tensor_value_info('inner', TensorProto.FLOAT, None)],
    )
    condition = graph.constant(True, bool)
    chosen = graph.node('If', condition, then_branch=branch, else_branch=branch)
    output = graph.rename_output(graph.conv(chosen, 4, 4), 'output')
    model = graph.model({output: [1, 4, 64, 64]})
    relu = nodes_of(model, 'Relu')[0].name
    assert relu not in analyse_head(model).tail_nodes


@pytest.mark.parametrize('name', DETECTORS)
def test_tensor_names(name: str) -> None:
    model = DETECTORS[name]()
    names = tensor_names(model)
    assert 'images' in names
    assert {output.name for output in model.graph.output} <= names
    assert not names & {tensor.name for tensor in model.graph.initializer}
    assert '' not in names


def test_initializers_that_are_listed_as_inputs_are_no_activations() -> None:
    model = yolox_like()
    weights = model.graph.initializer[0]
    model.graph.input.append(
        helper.make_tensor_value_info(weights.name, TensorProto.FLOAT, list(weights.dims))
    )
    assert weights.name not in tensor_names(model)
