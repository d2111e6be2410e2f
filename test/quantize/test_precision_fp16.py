# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The conversion to FP16: types, order, and how near the result stays."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnxruntime
import pytest
from support.quantized import (
    DETECTORS,
    GraphBuilder,
    min_max_cache,
    random_images,
    run_model,
    yolov8_like,
    yolox_like,
)
from trt_detector.errors import ModelError
from trt_detector.quantize.casts import remove_redundant_casts, sort_nodes
from trt_detector.quantize.graph import analyse_head
from trt_detector.quantize.opset import get_opset
from trt_detector.quantize.precision_fp16 import convert_to_fp16
from trt_detector.quantize.qdq import insert_qdq


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of each tensor."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.input, *graph.output, *graph.value_info]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


@pytest.mark.parametrize('name', DETECTORS)
def test_layers_are_fp16_and_the_decoding_is_fp32(name: str) -> None:
    model = DETECTORS[name]()
    before = model.SerializeToString()
    converted = convert_to_fp16(model)
    assert model.SerializeToString() == before
    onnx.checker.check_model(converted, full_check=True)
    types, head = types_of(converted), analyse_head(model)
    seen = Counter[str]()
    for node in converted.graph.node:
        if node.name in head.decode_nodes:
            read = {types[n] for n in (*node.input, *node.output) if n in types}
            assert TensorProto.FLOAT16 not in read, node.name
            seen['decode'] += 1
        elif node.op_type in ('Conv', 'MatMul'):
            assert {types[n] for n in node.input} == {TensorProto.FLOAT16}, node.name
            seen['layers'] += 1
    assert seen['decode'] == len(head.decode_nodes)
    assert seen['layers'] >= len(head.convolutions)
    assert converted.graph.input == model.graph.input
    assert converted.graph.output == model.graph.output


def test_inputs_and_outputs_become_fp16_on_request() -> None:
    converted = convert_to_fp16(yolov8_like(), keep_io=False)
    values = [*converted.graph.input, *converted.graph.output]
    assert {v.type.tensor_type.elem_type for v in values} == {TensorProto.FLOAT16}


# Largest difference from FP32 in box pixels (of 64 and more) or raw values, and in scores.
TOLERANCES = {'yolov8': (0.1, 0.001), 'yolox': (0.004, 0.001), 'rtdetr': (0.1, 0.002)}


@pytest.mark.parametrize('name', TOLERANCES)
def test_the_network_stays_close_to_fp32(name: str) -> None:
    model = DETECTORS[name]()
    images = random_images(6)
    (expected,), (actual,) = run_model(model, images), run_model(convert_to_fp16(model), images)
    axis = 1 if name == 'yolov8' else 2
    box, score = np.split(np.abs(actual - expected), [4], axis=axis)
    assert 0 < box.max() < TOLERANCES[name][0]
    assert 0 < score.max() < TOLERANCES[name][1]


def test_decoding_in_fp32_keeps_large_boxes_exact() -> None:
    # At 640 pixels FP16 rounds a coordinate by up to 0.25, at 1280 by up to 0.5.
    model = yolov8_like(size=640)
    images = random_images(1, size=640)
    (expected,) = run_model(model, images)
    kept = convert_to_fp16(model)
    all_fp16 = convert_everything(model)
    errors = [np.abs(run_model(m, images)[0] - expected)[:, :4].max() for m in (kept, all_fp16)]
    assert expected[:, :4].max() > 512
    assert errors[0] < 0.15
    assert errors[1] > 0.2


def convert_everything(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network in FP16 to its end, which is what the package does not do."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    converted: onnx.ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    sort_nodes(converted.graph)
    return converted


@pytest.mark.parametrize('name', DETECTORS)
def test_few_casts_are_left(name: str) -> None:
    casts = [n for n in convert_to_fp16(DETECTORS[name]()).graph.node if n.op_type == 'Cast']
    assert len(casts) <= 8
    assert len({node.output[0] for node in casts}) == len(casts)


@pytest.mark.parametrize('name', ['yolov8', 'yolox', 'rtdetr'])
def test_int8_pairs_stay_next_to_their_convolutions(name: str) -> None:
    model = DETECTORS[name]()
    int8 = insert_qdq(model, min_max_cache(model, random_images(8, seed=3)))
    both = convert_to_fp16(int8.model)
    assert get_opset(both) >= 19
    types = types_of(both)
    for node in both.graph.node:
        if node.name in int8.quantized_nodes:
            # No Cast between the pair and its convolution: that would undo the INT8.
            made = {n.output[0]: n.op_type for n in both.graph.node}
            assert {made[n] for n in node.input[:2]} == {'DequantizeLinear'}
            assert {types[n] for n in node.input} == {TensorProto.FLOAT16}


def rounds_in_fp16() -> bool:
    """Return whether ONNX Runtime's QuantizeLinear rounds FP16, as the operator says."""
    half, int8 = TensorProto.FLOAT16, TensorProto.INT8
    graph = helper.make_graph(
        [helper.make_node('QuantizeLinear', ['x', 'scale', 'zero'], ['y'])],
        'rounding',
        [helper.make_tensor_value_info('x', half, [1, 2])],
        [helper.make_tensor_value_info('y', int8, [1, 2])],
        [
            numpy_helper.from_array(np.array(1, np.float16), 'scale'),
            numpy_helper.from_array(np.array(0, np.int8), 'zero'),
        ],
    )
    opsets = [helper.make_opsetid('', 19)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    (result,) = run_model(model, np.array([[0.75, -0.75]], np.float16))
    return bool(result[0, 0] == 1)


@pytest.mark.parametrize('name', ['yolov8', 'yolox', 'rtdetr'])
def test_int8_with_fp16_stays_as_close_as_int8(name: str) -> None:
    if not rounds_in_fp16():
        pytest.skip(
            f'ONNX Runtime {onnxruntime.__version__} cuts FP16 off where QuantizeLinear has to '
            'round: install 1.31 or later, on Python 3.11 or later'
        )
    model = DETECTORS[name]()
    images = random_images(6)
    int8 = insert_qdq(model, min_max_cache(model, random_images(8, seed=3))).model
    expected, plain, both = (run_model(m, images)[0] for m in (model, int8, convert_to_fp16(int8)))
    assert 0 < np.abs(both - expected).mean() < 1.3 * np.abs(plain - expected).mean()


def test_constants_out_of_range_are_clipped() -> None:
    graph = GraphBuilder()
    scaled = graph.node('Min', graph.node('Mul', 'images', graph.constant(2.0)),
                        graph.constant(3.4e38))  # fmt: skip
    capped = graph.node('Add', scaled, graph.constant(1e-12))
    graph.rename_output(graph.conv(capped, 3, 3), 'output')
    model = graph.model({'output': [1, 3, 64, 64]})
    images = random_images(2)
    expected, actual = (run_model(m, images)[0] for m in (model, convert_to_fp16(model)))
    assert np.isfinite(actual).all()
    np.testing.assert_allclose(actual, expected, atol=0.01)


def test_nodes_without_names_are_converted() -> None:
    model = yolov8_like()
    for node in model.graph.node:
        node.name = ''
    images = random_images(2)
    expected, actual = (run_model(m, images)[0] for m in (model, convert_to_fp16(model)))
    assert 0 < np.abs(actual - expected).max() < 0.1


@pytest.mark.parametrize('opset', [11, 13, 17, 19, 21])
def test_opsets(opset: int) -> None:
    model = yolox_like(opset=opset)
    converted = convert_to_fp16(model)
    assert get_opset(converted) == opset
    images = random_images(1)
    expected, actual = (run_model(m, images)[0] for m in (model, converted))
    assert 0 < np.abs(actual - expected).max() < 0.01
    int8 = insert_qdq(model, min_max_cache(model, random_images(2)))
    assert np.isfinite(run_model(convert_to_fp16(int8.model), images)[0]).all()


def test_a_network_that_cannot_be_converted_is_named() -> None:
    model = yolox_like()
    model.graph.node[3].op_type = 'NoSuchOperator'
    with pytest.raises(ModelError, match='NoSuchOperator'):
        convert_to_fp16(model)


def small_graph(nodes: list[onnx.NodeProto], *, inner: dict[str, int]) -> onnx.ModelProto:
    """Return a model of elementwise nodes from 'x' to 'y', both FP32."""
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in 'xy'}
    graph = helper.make_graph(nodes, 'small', [values['x']], [values['y']])
    graph.value_info.extend(
        helper.make_tensor_value_info(name, kind, [1, 4]) for name, kind in inner.items()
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


def cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node('Cast', [source], [target], to=to)


def test_a_round_trip_through_fp16_is_removed() -> None:
    half, full = TensorProto.FLOAT16, TensorProto.FLOAT
    model = small_graph(
        [
            helper.make_node('Exp', ['x'], ['a']),
            cast('a', 'a16', half),
            cast('a16', 'a32', full),
            cast('a16', 'a32', full),
            helper.make_node('Neg', ['a32'], ['b']),
            cast('b', 'b16', half),
            cast('b16', 'y', full),
        ],
        inner={'a': full, 'b': full, 'a16': half, 'b16': half, 'a32': full},
    )
    remove_redundant_casts(model)
    assert [n.op_type for n in model.graph.node] == ['Exp', 'Neg']
    assert model.graph.node[1].output[0] == 'y'
    x = np.array([1.00001, 2.00001, 3.00001, 4.00001], np.float32)
    (result,) = run_model(model, x[None])
    np.testing.assert_allclose(result[0], -np.exp(x), rtol=1e-6)


def test_casts_that_round_on_purpose_stay() -> None:
    half, full = TensorProto.FLOAT16, TensorProto.FLOAT
    model = small_graph(
        [
            cast('x', 'x16', half),
            helper.make_node('Neg', ['x16'], ['b16']),
            cast('b16', 'y', full),
        ],
        inner={'x16': half, 'b16': half},
    )
    remove_redundant_casts(model)
    assert [n.op_type for n in model.graph.node] == ['Cast', 'Neg', 'Cast']


def test_an_output_behind_a_round_trip_keeps_its_name() -> None:
    half, full = TensorProto.FLOAT16, TensorProto.FLOAT
    model = small_graph([cast('x', 'x16', half), cast('x16', 'y', full)], inner={'x16': half})
    remove_redundant_casts(model)
    onnx.checker.check_model(model, full_check=True)
    assert [v.name for v in model.graph.input] == ['x']
    assert [v.name for v in model.graph.output] == ['y']


def test_nodes_are_sorted() -> None:
    model = yolov8_like()
    expected = run_model(model, random_images(1))[0]
    nodes = list(model.graph.node)[::-1]
    shuffled = onnx.ModelProto()
    shuffled.CopyFrom(model)
    del shuffled.graph.node[:]
    shuffled.graph.node.extend(nodes)
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(shuffled)
    sort_nodes(shuffled.graph)
    onnx.checker.check_model(shuffled)
    np.testing.assert_array_equal(run_model(shuffled, random_images(1))[0], expected)


def test_weights_keep_their_sign_and_finiteness() -> None:
    model = yolox_like()
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    values = numpy_helper.to_array(weights).copy()
    # Beyond the largest number of FP16, and nearer to 0 than its smallest one.
    values.flat[:4] = (1e6, -1e6, 1e-12, -1e-12)
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    before = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    converted = [
        tensor
        for tensor in convert_to_fp16(model).graph.initializer
        if tensor.data_type == TensorProto.FLOAT16
    ]
    assert weights.name in {tensor.name for tensor in converted}
    for tensor in converted:
        half = numpy_helper.to_array(tensor)
        assert np.isfinite(half).all()
        np.testing.assert_array_equal(np.sign(half), np.sign(before[tensor.name]))
