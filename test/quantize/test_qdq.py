# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Q/DQ nodes: their scales, the quantized weights, and the values that the network computes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest
from support.quantized import (
    DETECTORS,
    GraphBuilder,
    min_max_cache,
    random_images,
    rtdetr_like,
    run_model,
    yolov8_like,
    yolox_like,
)
from trt_detector.errors import CalibrationCacheError, ModelError
from trt_detector.quantize import CalibrationCache
from trt_detector.quantize.graph import analyse_head
from trt_detector.quantize.opset import get_opset
from trt_detector.quantize.qdq import insert_qdq

HEADER = 'TRT-101401-MinMaxCalibration'


def constant(model: onnx.ModelProto, name: str) -> npt.NDArray[np.generic]:
    """Return the value of an initializer."""
    (tensor,) = [t for t in model.graph.initializer if t.name == name]
    return numpy_helper.to_array(tensor)


def producer(model: onnx.ModelProto, tensor: str) -> onnx.NodeProto:
    (node,) = [n for n in model.graph.node if tensor in n.output]
    return node


def readers(model: onnx.ModelProto, tensor: str) -> list[onnx.NodeProto]:
    return [n for n in model.graph.node if tensor in n.input]


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    return insert_qdq(model, min_max_cache(model, random_images(8, seed=3))).model


@pytest.mark.parametrize('name', DETECTORS)
def test_each_quantized_convolution_reads_int8_with_the_scales_of_the_cache(name: str) -> None:
    model = DETECTORS[name]()
    before = model.SerializeToString()
    cache = min_max_cache(model, random_images(2))
    result = insert_qdq(model, cache)
    assert model.SerializeToString() == before
    originals = {node.name: node for node in model.graph.node}
    for node in result.model.graph.node:
        if node.name not in result.quantized_nodes:
            continue
        original = originals[node.name]
        activation = producer(result.model, node.input[0])
        source = producer(result.model, activation.input[0])
        assert (activation.op_type, source.op_type) == ('DequantizeLinear', 'QuantizeLinear')
        assert source.input[0] == original.input[0]
        # A concatenation may ask for a wider range; test_placement.py tests which one.
        scale = float(constant(result.model, source.input[1]))
        assert scale >= np.float32(cache.scales[original.input[0]])
        assert scale in [np.float32(value) for value in cache.scales.values()]
        if {r.op_type for r in readers(model, original.input[0])} == {'Conv'}:
            own = np.float32(cache.scales[original.input[0]])
            moved = original.input[0] != 'images' and producer(
                model, original.input[0]
            ).op_type in ('Split', 'MaxPool', 'Concat')
            assert moved or scale == own
        zero = constant(result.model, source.input[2])
        assert (zero.dtype, int(zero)) == (np.int8, 0)
        check_weights(model, result.model, original, node)
        assert node.input[2] == original.input[2]


def check_weights(
    model: onnx.ModelProto,
    changed: onnx.ModelProto,
    original: onnx.NodeProto,
    node: onnx.NodeProto,
) -> None:
    """Check a convolution's INT8 weights against its float weights."""
    weights = np.asarray(constant(model, original.input[1]), np.float64)
    dequantize = producer(changed, node.input[1])
    assert dequantize.op_type == 'DequantizeLinear'
    assert {a.name: a.i for a in dequantize.attribute} == {'axis': 0}
    integers, scales, zeros = (constant(changed, name) for name in dequantize.input)
    assert (integers.dtype, zeros.dtype) == (np.int8, np.int8)
    assert not zeros.any()
    largest = np.abs(weights).max(axis=(1, 2, 3))
    np.testing.assert_allclose(scales, largest / 127, rtol=1e-6)
    steps = np.asarray(scales, np.float64)[:, None, None, None]
    assert np.abs(integers * steps - weights).max(initial=0.0) <= steps.max() * 0.5001
    assert np.all(np.abs(integers * steps - weights) <= steps * 0.5001)


@pytest.mark.parametrize('name', DETECTORS)
def test_nothing_after_the_last_convolutions_is_quantized(name: str) -> None:
    model = DETECTORS[name]()
    head = analyse_head(model)
    changed = quantized(model)
    inserted = [node for node in changed.graph.node if node.op_type == 'QuantizeLinear']
    assert inserted
    for node in inserted:
        assert node.input[0] not in head.tail_tensors
        assert {r.op_type for r in readers(changed, node.output[0])} == {'DequantizeLinear'}
    originals = {node.name: node for node in model.graph.node if node.name in head.tail_nodes}
    kept = {node.name: node for node in changed.graph.node if node.name in head.tail_nodes}
    assert kept
    assert kept == originals


# Largest mean and largest single difference from FP32 over all images: boxes in pixels where the
# graph decodes them, raw values else; then scores. The nets have random weights and box values
# of up to 260, so that a scale that is wrong by a few per cent shows.
TOLERANCES = {
    'yolov8': (0.5, 0.004, 0.03),
    'yolox': (0.04, 0.01, 0.1),
    'rtdetr': (1.6, 0.02, 0.15),
}


@pytest.mark.parametrize('name', TOLERANCES)
def test_the_quantized_network_stays_close_to_fp32(name: str) -> None:
    model = DETECTORS[name]()
    images = random_images(6)
    box_mean, score_mean, score_max = TOLERANCES[name]
    (expected,) = run_model(model, images)
    (actual,) = run_model(quantized(model), images)
    axis = 1 if name == 'yolov8' else 2
    box, score = np.split(np.abs(actual - expected), [4], axis=axis)
    assert 0 < box.mean() < box_mean
    assert 0 < score.mean() < score_mean
    assert score.max() < score_max


def test_wrong_scales_show() -> None:
    # The tolerances above can fail: the same network with scales that are four times too small.
    model = yolov8_like()
    images = random_images(6)
    cache = min_max_cache(model, random_images(8, seed=3))
    wrong = CalibrationCache(cache.header, {n: s / 4 for n, s in cache.scales.items()})
    (expected,) = run_model(model, images)
    (actual,) = run_model(insert_qdq(model, wrong).model, images)
    box, score = np.split(np.abs(actual - expected), [4], axis=1)
    assert box.mean() > TOLERANCES['yolov8'][0]
    assert score.mean() > TOLERANCES['yolov8'][1]


def test_a_tensor_with_several_readers_gets_one_pair() -> None:
    model = yolov8_like()
    changed = quantized(model)
    sources = [n.input[0] for n in changed.graph.node if n.op_type == 'QuantizeLinear']
    assert len(sources) == len(set(sources))
    shared = [s for s in sources if len([r for r in readers(model, s) if r.op_type == 'Conv']) > 1]
    assert shared


def test_excluded_depthwise_unknown_and_zero_are_left_out_with_reasons() -> None:
    model = yolov8_like()
    cache = min_max_cache(model, random_images(2))
    convolutions = [n for n in model.graph.node if n.name in analyse_head(model).convolutions]
    excluded, unknown, zero = convolutions[1], convolutions[2], convolutions[3]
    scales = dict(cache.scales)
    del scales[unknown.input[0]]
    scales[zero.input[0]] = 0.0
    result = insert_qdq(model, CalibrationCache(cache.header, scales), exclude=[excluded.name])
    assert 'excluded' in result.skipped[excluded.name]
    assert repr(unknown.input[0]) in result.skipped[unknown.name]
    assert 'only zeros' in result.skipped[zero.name]
    assert sum('depthwise' in reason for reason in result.skipped.values()) == 2
    names = {node.name for node in convolutions}
    assert set(result.skipped) | set(result.quantized_nodes) == names
    assert not set(result.skipped) & set(result.quantized_nodes)
    originals = {node.name: node for node in model.graph.node}
    for node in result.model.graph.node:
        if node.name in result.skipped:
            assert node == originals[node.name]
    run_model(result.model, random_images(1))


@pytest.mark.parametrize('name', ['yolov8', 'end2end', 'yolox'])
def test_output_convolutions_stay_in_float(name: str) -> None:
    model = DETECTORS[name]()
    result = insert_qdq(model, min_max_cache(model, random_images(2)))
    outputs = [name for name, reason in result.skipped.items() if 'output conv' in reason]
    # Two scales; boxes and classes, and objectness in YOLOX.
    assert len(outputs) == (6 if name == 'yolox' else 4)
    consumers = {tensor: node.op_type for node in model.graph.node for tensor in node.input}
    originals = {node.name: node for node in model.graph.node}
    for node in result.model.graph.node:
        if node.name in outputs:
            assert node == originals[node.name]
            assert consumers[node.output[0]] in ('Concat', 'Sigmoid')


def test_the_last_layers_of_a_decoder_are_no_convolutions() -> None:
    head = analyse_head(rtdetr_like())
    assert head.convolutions
    assert not head.output_convolutions


def test_a_cache_of_another_network_is_refused_with_examples() -> None:
    cache = CalibrationCache(HEADER, {'data_0': 0.1, 'resnet/conv1': 0.2})
    with pytest.raises(CalibrationCacheError) as caught:
        insert_qdq(yolov8_like(), cache)
    text = str(caught.value)
    assert 'data_0' in text
    assert "'images'" in text
    assert '0 of its 2 entries' in text


def test_a_cache_of_zeros_is_refused() -> None:
    model = yolox_like()
    cache = min_max_cache(model, random_images(1))
    zeros = CalibrationCache(HEADER, dict.fromkeys(cache.scales, 0.0))
    with pytest.raises(CalibrationCacheError, match='only zeros'):
        insert_qdq(model, zeros)


def test_a_network_without_convolutions_is_refused() -> None:
    graph = GraphBuilder()
    output = graph.rename_output(graph.node('Relu', 'images'), 'output')
    model = graph.model({output: [1, 3, 64, 64]})
    with pytest.raises(ModelError, match='no convolution'):
        insert_qdq(model, CalibrationCache(HEADER, {'images': 0.1}))


def test_an_older_opset_is_raised() -> None:
    model = yolox_like(opset=11)
    changed = quantized(model)
    assert get_opset(model) == 11
    assert get_opset(changed) >= 13
    onnx.checker.check_model(changed, full_check=True)


def test_an_opset_that_cannot_be_raised_is_named() -> None:
    model = yolox_like(opset=11)
    model.graph.node[0].op_type = 'NoSuchOperator'
    with pytest.raises(ModelError, match='opset 11'):
        insert_qdq(model, CalibrationCache(HEADER, {'images': 0.1}))


def shared_weights_model(*, as_constant_node: bool) -> onnx.ModelProto:
    """Return two convolutions with the same weights, and an output convolution behind them."""
    random = np.random.default_rng(0)
    weights = numpy_helper.from_array(random.normal(size=(3, 3, 1, 1)).astype(np.float32), 'w')
    nodes = [
        helper.make_node('Conv', ['images', 'w'], ['a'], name='first'),
        helper.make_node('Conv', ['a', 'w'], ['b'], name='second'),
        helper.make_node('Conv', ['b', 'v'], ['output'], name='third'),
    ]
    last = numpy_helper.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), 'v')
    if as_constant_node:
        nodes.insert(0, helper.make_node('Constant', [], ['w'], value=weights))
    shape = [1, 3, 64, 64]
    graph = helper.make_graph(
        nodes,
        'shared',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('output', TensorProto.FLOAT, shape)],
        [last] if as_constant_node else [weights, last],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


@pytest.mark.parametrize('as_constant_node', [False, True])
def test_shared_weights_are_stored_once_and_float_ones_go(as_constant_node: bool) -> None:
    model = shared_weights_model(as_constant_node=as_constant_node)
    cache = CalibrationCache(HEADER, {'images': 1 / 127, 'a': 4 / 127})
    result = insert_qdq(model, cache)
    assert result.quantized_nodes == ('first', 'second')
    kernels = {t.name: t.data_type for t in result.model.graph.initializer if len(t.dims) == 4}
    assert kernels == {'v': TensorProto.FLOAT, 'w_quantized': TensorProto.INT8}
    assert not any(n.op_type == 'Constant' for n in result.model.graph.node)
    images = random_images(2)
    np.testing.assert_allclose(
        run_model(result.model, images)[0], run_model(model, images)[0], atol=0.15
    )


def test_weights_that_another_node_reads_stay() -> None:
    model = shared_weights_model(as_constant_node=False)
    result = insert_qdq(model, CalibrationCache(HEADER, {'images': 1 / 127}))
    assert result.quantized_nodes == ('first',)
    assert 'w' in {t.name for t in result.model.graph.initializer}
    run_model(result.model, random_images(1))


def test_names_of_the_graph_are_not_reused() -> None:
    model = shared_weights_model(as_constant_node=False)
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = 'images_quantized'
    cache = CalibrationCache(HEADER, {'images': 1 / 127, 'images_quantized': 4 / 127})
    changed = insert_qdq(model, cache).model
    onnx.checker.check_model(changed, full_check=True)
    run_model(changed, random_images(1))


def test_a_channel_of_zeros_keeps_a_scale_above_zero() -> None:
    model = shared_weights_model(as_constant_node=False)
    weights = np.array(constant(model, 'w'))
    weights[1] = 0
    weights[2] *= 1e-42
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, 'w'))
    changed = insert_qdq(model, CalibrationCache(HEADER, {'images': 1 / 127})).model
    scales = constant(changed, 'w_scale')
    assert np.all(np.asarray(scales, np.float64) >= np.finfo(np.float32).tiny)
    assert np.isfinite(run_model(changed, random_images(1))[0]).all()


@pytest.mark.parametrize(
    ('kind', 'weights', 'groups', 'quantizes'),
    [
        ('Conv', (6, 3, 3, 3), 1, True),
        ('Conv', (6, 1, 3, 3), 3, False),
        ('ConvTranspose', (3, 6, 3, 3), 1, False),
    ],
)
def test_kinds_of_convolutions(
    kind: str, weights: tuple[int, ...], groups: int, quantizes: bool
) -> None:
    graph = GraphBuilder()
    first = graph.cbs('images', 3, 3)
    middle = graph.node(kind, first, graph.weights(*weights), pads=[1, 1, 1, 1], group=groups)
    graph.rename_output(graph.conv(middle, 6, 2), 'output')
    model = graph.model({'output': [1, 2, 64, 64]})
    result = insert_qdq(model, min_max_cache(model, random_images(1)))
    assert (len(result.quantized_nodes) == 2) is quantizes
    run_model(result.model, random_images(1))


def test_grouped_convolutions_are_quantized() -> None:
    graph = GraphBuilder()
    first = graph.cbs('images', 3, 8)
    middle = graph.conv(first, 8, 8, 3, groups=2)
    graph.rename_output(graph.conv(middle, 8, 2), 'output')
    model = graph.model({'output': [1, 2, 64, 64]})
    result = insert_qdq(model, min_max_cache(model, random_images(1)))
    assert len(result.quantized_nodes) == 2
    expected, actual = (run_model(m, random_images(2))[0] for m in (model, result.model))
    assert 0 < np.abs(actual - expected).mean() < 0.02 * np.abs(expected).max()


def test_computed_weights_are_left_in_float() -> None:
    graph = GraphBuilder()
    weights = graph.node('Relu', graph.weights(3, 3, 1, 1))
    first = graph.node('Conv', 'images', weights)
    graph.rename_output(graph.conv(graph.conv(first, 3, 3), 3, 3), 'output')
    model = graph.model({'output': [1, 3, 64, 64]})
    result = insert_qdq(model, min_max_cache(model, random_images(1)))
    assert [reason for reason in result.skipped.values() if 'computed' in reason]


def test_a_dynamic_batch_keeps_its_size() -> None:
    model = yolov8_like(batch='batch')
    changed = quantized(model)
    assert changed.graph.input[0] == model.graph.input[0]
    assert changed.graph.output[0] == model.graph.output[0]
    assert {p.key: p.value for p in changed.metadata_props} == {
        p.key: p.value for p in model.metadata_props
    }


def test_dense_layers_stay_float() -> None:
    model = rtdetr_like()
    changed = quantized(model)
    before, after = (
        [list(n.input) for n in m.graph.node if n.op_type == 'MatMul'] for m in (model, changed)
    )
    assert before == after
