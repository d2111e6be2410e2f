# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Places of Q/DQ nodes: one scale for the tensors that only data movement connects."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper
import pytest
from support.quantized import GraphBuilder, min_max_cache, random_images, run_model
from trt_detector.quantize.qdq import insert_qdq

SIZE = 64


def quantized_forms(model: onnx.ModelProto) -> dict[str, tuple[str, float]]:
    """Return each quantized tensor with its dequantized form and its scale."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    dequantize = {n.input[0]: n for n in model.graph.node if n.op_type == 'DequantizeLinear'}
    return {
        n.input[0]: (dequantize[n.output[0]].output[0], float(values[n.input[1]]))
        for n in model.graph.node
        if n.op_type == 'QuantizeLinear'
    }


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    (found,) = [n for n in model.graph.node if n.name == name]
    return found


def two_branches(graph: GraphBuilder) -> tuple[str, str]:
    """Add two activations of very different ranges."""
    low = graph.node('Relu', graph.conv('images', 3, 4))
    high = graph.node('Mul', graph.node('Relu', graph.conv('images', 3, 4)), graph.constant(50.0))
    return low, high


def finish(graph: GraphBuilder, tensor: str, channels: int, size: int = SIZE) -> onnx.ModelProto:
    """Add a convolution that reads a tensor, and an output convolution."""
    output = graph.rename_output(graph.conv(graph.conv(tensor, channels, 4), 4, 2), 'output')
    return graph.model({output: [1, 2, size, size]})


def test_the_inputs_of_a_concatenation_share_the_largest_scale() -> None:
    graph = GraphBuilder()
    low, high = two_branches(graph)
    joined = graph.node('Concat', low, high, axis=1)
    model = finish(graph, joined, 8)
    cache = min_max_cache(model, random_images(2))
    changed = insert_qdq(model, cache).model
    forms = quantized_forms(changed)
    assert cache.scales[low] < cache.scales[high] / 10
    for tensor in (low, high, joined):
        assert forms[tensor][1] == pytest.approx(cache.scales[high], rel=1e-6)
    concat = next(n for n in changed.graph.node if n.op_type == 'Concat')
    assert list(concat.input) == [forms[low][0], forms[high][0]]
    behind = next(n for n in model.graph.node if n.op_type == 'Conv' and n.input[0] == joined)
    assert node(changed, behind.name).input[0] == forms[joined][0]
    run_model(changed, random_images(1))


@pytest.mark.parametrize('scale', [0.013, 1e-4, 7.3, 0.5])
@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_quantizing_again_with_the_same_scale_changes_nothing(
    scale: float, dtype: type[np.floating]
) -> None:
    integers = np.arange(-127, 128)
    step = dtype(scale)
    again = np.rint((integers.astype(dtype) * step) / step)
    assert np.array_equal(again, integers)


def test_a_residual_add_reads_float_tensors() -> None:
    graph = GraphBuilder()
    skip = graph.node('Relu', graph.conv('images', 3, 4))
    other = graph.node('Relu', graph.conv(skip, 4, 4))
    side = graph.conv(other, 4, 4)
    total = graph.node('Add', skip, other)
    model = finish(graph, graph.node('Concat', total, side, axis=1), 8)
    changed = insert_qdq(model, min_max_cache(model, random_images(2))).model
    forms = quantized_forms(changed)
    add = next(n for n in changed.graph.node if n.op_type == 'Add')
    assert list(add.input) == [skip, other]
    assert {skip, other, total, side} < set(forms)


@pytest.mark.parametrize('mode', ['nearest', 'linear'])
def test_only_upsampling_that_copies_values_moves_int8(mode: str) -> None:
    graph = GraphBuilder()
    small = graph.node('Relu', graph.conv('images', 3, 4, 3, stride=2))
    large = graph.node('Resize', small, '', graph.constant([1.0, 1.0, 2.0, 2.0]), mode=mode)
    model = finish(graph, large, 4)
    forms = quantized_forms(insert_qdq(model, min_max_cache(model, random_images(2))).model)
    assert (small in forms) is (mode == 'nearest')
    assert large in forms


def test_a_concatenation_with_a_constant_is_quantized_behind_it() -> None:
    graph = GraphBuilder()
    first = graph.node('Relu', graph.conv('images', 3, 4))
    plane = graph.constant(np.ones((1, 1, SIZE, SIZE)))
    joined = graph.node('Concat', first, plane, axis=1)
    model = finish(graph, joined, 5)
    changed = insert_qdq(model, min_max_cache(model, random_images(2))).model
    assert set(quantized_forms(changed)) == {'images', joined}


def test_excluded_nodes_read_float_tensors() -> None:
    graph = GraphBuilder()
    low, high = two_branches(graph)
    joined = graph.node('Concat', low, high, axis=1)
    model = finish(graph, joined, 8)
    name = next(n.name for n in model.graph.node if n.op_type == 'Concat')
    cache = min_max_cache(model, random_images(2))
    changed = insert_qdq(model, cache, exclude=[name]).model
    assert set(quantized_forms(changed)) == {'images', joined}
    assert node(changed, name) == node(model, name)
