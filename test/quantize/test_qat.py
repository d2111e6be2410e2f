# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Models that bring Q/DQ nodes build without a calibration cache and are reported as INT8."""

from __future__ import annotations

from pathlib import Path

from doubles.machine import machine
import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest
from support.quantized import min_max_cache, random_images, run_model, yolov8_like
from support.requirements import require_rtx_builder
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.model_info import read_model_info
from trt_detector.quantize.qat import fold_constants
from trt_detector.quantize.qdq import insert_qdq
from trt_detector.trt.builder.make_plan import build_once
from trt_detector.trt.builder.request import BuildTarget

STEP = 2.0**-12


def quantize_biases(model: onnx.ModelProto) -> int:
    """Store the biases of the convolutions as INT32 behind DequantizeLinear, as exporters do."""
    tensors = {t.name: t for t in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    count = 0
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.op_type == 'Conv' and len(node.input) > 2:
            bias = numpy_helper.to_array(tensors[node.input[2]])
            name = f'{node.name}_bias'
            integers = np.rint(bias / STEP).astype(np.int32)
            scale = np.full(len(bias), STEP, np.float32)
            model.graph.initializer.extend([
                numpy_helper.from_array(integers, f'{name}_int32'),
                numpy_helper.from_array(scale, f'{name}_scale'),
            ])  # fmt: skip
            inputs = [f'{name}_int32', f'{name}_scale']
            nodes.append(helper.make_node('DequantizeLinear', inputs, [name], name=name, axis=0))
            copy.input[2] = name
            count += 1
        nodes.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def quantize_float_weights(model: onnx.ModelProto) -> int:
    """Store INT8 weights as float in front of QuantizeLinear, as training frameworks export."""
    tensors = {t.name: t for t in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    count = 0
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        tensor = tensors.get(node.input[0]) if node.op_type == 'DequantizeLinear' else None
        if tensor is not None:
            integers, scales = (numpy_helper.to_array(tensors[name]) for name in node.input[:2])
            weights = (integers * scales[:, None, None, None]).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
            name = f'{tensor.name}_in_int8'
            nodes.append(helper.make_node('QuantizeLinear', list(node.input), [name], axis=0))
            copy.input[0] = name
            count += 1
        nodes.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


@pytest.fixture(params=['float biases', 'INT32 biases', 'float weights'])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a model with Q/DQ nodes."""
    proto = yolov8_like()
    quantized = insert_qdq(proto, min_max_cache(proto, random_images(2))).model
    if request.param == 'INT32 biases':
        assert quantize_biases(quantized) > 10
    if request.param == 'float weights':
        assert quantize_float_weights(quantized) > 10
    onnx.checker.check_model(quantized, full_check=True)
    path = tmp_path / 'qat.onnx'
    onnx.save(quantized, str(path))
    return path


@pytest.mark.parametrize('precision', ['auto', 'int8'])
def test_the_rtx_builder_takes_it_without_a_cache(precision: str, model: Path) -> None:
    require_rtx_builder()
    config = DetectorConfig(backend='tensorrt_rtx', precision=precision)
    target = BuildTarget((8, 6))
    outcome = build_once(config, read_model_info(model), batch_size=1, target=target)
    assert outcome.plan.startswith(b'vtrt')
    assert (outcome.precision, outcome.notes) == ('int8', ())


@pytest.mark.parametrize('library', ['tensorrt-8.6', 'tensorrt-10.3', 'tensorrt-11.4'])
def test_every_tensorrt_reports_int8(library: str, model: Path, tmp_path: Path) -> None:
    config = DetectorConfig(
        model_path=str(model), backend='tensorrt', engine_cache_dir=str(tmp_path / 'plans'),
        warmup_iterations=0,
    )  # fmt: skip
    with machine(library), create_detector(config) as detector:
        assert detector.info.precision == 'int8'


def test_onnxruntime_reports_int8(model: Path) -> None:
    config = DetectorConfig(model_path=str(model), backend='onnxruntime', warmup_iterations=0)
    with create_detector(config) as detector:
        assert detector.info.precision == 'int8'


def test_folded_weights_are_the_same_integers() -> None:
    proto = yolov8_like()
    changed = insert_qdq(proto, min_max_cache(proto, random_images(2))).model
    expected = {t.name: numpy_helper.to_array(t) for t in changed.graph.initializer}
    count = quantize_float_weights(changed)
    assert fold_constants(changed) == count
    folded = {t.name: numpy_helper.to_array(t) for t in changed.graph.initializer}
    for name, integers in folded.items():
        if name.endswith('_in_int8'):
            assert np.array_equal(integers, expected[name.removesuffix('_in_int8')])


def test_folded_biases_give_the_same_values() -> None:
    proto = yolov8_like()
    expected = insert_qdq(proto, min_max_cache(proto, random_images(2))).model
    count = quantize_biases(expected)
    changed = onnx.ModelProto()
    changed.CopyFrom(expected)
    assert fold_constants(changed) == count
    assert fold_constants(changed) == 0
    onnx.checker.check_model(changed, full_check=True)
    images = random_images(2)
    assert np.array_equal(run_model(changed, images)[0], run_model(expected, images)[0])
