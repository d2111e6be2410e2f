# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The real builder of TensorRT for RTX takes what quantization makes; it needs no GPU to build."""

from __future__ import annotations

import onnx
import pytest
from support.quantized import DETECTORS, min_max_cache, random_images, yolov8_like
from support.rtx import build_rtx, BuiltEngine
from support.yolo_graphs import YOLO_GRAPHS
from trt_detector.quantize.channel_scales import move_channel_scales
from trt_detector.quantize.precision_fp16 import convert_to_fp16
from trt_detector.quantize.qdq import insert_qdq

pytest.importorskip(
    'tensorrt_rtx',
    reason='TensorRT for RTX is missing: pip install tensorrt-rtx-cu13',
    exc_type=ImportError,
)


def build(model: onnx.ModelProto) -> BuiltEngine:
    return build_rtx(model.SerializeToString())


def int8(model: onnx.ModelProto) -> onnx.ModelProto:
    return insert_qdq(model, min_max_cache(model, random_images(4, seed=3))).model


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8', 'int8 and fp16'])
@pytest.mark.parametrize('name', DETECTORS)
def test_the_builder_takes_it(name: str, precision: str) -> None:
    model = DETECTORS[name]()
    if 'int8' in precision:
        model = int8(model)
    if 'fp16' in precision:
        model = convert_to_fp16(model)
    engine = build(model)
    assert len(engine.plan) > 10_000
    assert ('Int8' in engine.read_types()) is ('int8' in precision)
    assert ('Half' in engine.read_types()) is ('fp16' in precision)


@pytest.mark.parametrize('name', YOLO_GRAPHS)
def test_int8_convolutions_write_no_fp32(name: str) -> None:
    model = YOLO_GRAPHS[name](8, size=64, classes=3)
    cache = min_max_cache(model, random_images(2))
    result = insert_qdq(model, cache)
    move_channel_scales(result.model)
    engine = build(convert_to_fp16(result.model))
    convolutions = engine.count_convolutions()
    assert convolutions['Int8>Half'] == len(result.quantized_nodes)
    assert not convolutions['Int8>Float']
    # INT8 moves between the layers: each quantized convolution reads it.
    assert engine.count_outputs()['Int8'] >= len(result.quantized_nodes)


def test_a_dynamic_batch() -> None:
    engine = build(convert_to_fp16(int8(yolov8_like(batch='batch'))))
    assert len(engine.plan) > 10_000


def test_half_inputs_and_outputs() -> None:
    engine = build(convert_to_fp16(yolov8_like(), keep_io=False))
    assert len(engine.plan) > 10_000


def test_the_builder_refuses_asymmetric_scales() -> None:
    # Else the tests above would pass with a builder that takes anything.
    model = int8(yolov8_like())
    for tensor in model.graph.initializer:
        if tensor.name == 'images_zero_point':
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, onnx.TensorProto.INT8, [], [5]))
    with pytest.raises(RuntimeError, match='zero'):
        build(model)
