# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Scales per channel move behind the convolution and leave the values as they are."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper
import pytest
from support.quantized import DETECTORS, min_max_cache, random_images, run_model
from trt_detector.quantize.channel_scales import move_channel_scales
from trt_detector.quantize.precision_fp16 import convert_to_fp16
from trt_detector.quantize.qdq import insert_qdq


@pytest.mark.parametrize('name', DETECTORS)
def test_the_weights_get_one_scale_and_the_values_stay(name: str) -> None:
    model, images = DETECTORS[name](), random_images(2)
    result = insert_qdq(model, min_max_cache(model, random_images(4, seed=3)))
    moved = onnx.ModelProto()
    moved.CopyFrom(result.model)
    assert move_channel_scales(moved) == len(result.quantized_nodes)
    assert move_channel_scales(moved) == 0
    onnx.checker.check_model(moved, full_check=True)
    values = {t.name: numpy_helper.to_array(t) for t in moved.graph.initializer}
    dequantize = {n.output[0]: n for n in moved.graph.node if n.op_type == 'DequantizeLinear'}
    for node in moved.graph.node:
        if node.name in result.quantized_nodes:
            weights = dequantize[node.input[1]]
            assert values[weights.input[1]].shape == ()
            assert values[weights.input[0]].dtype == np.int8
    expected, actual = run_model(result.model, images), run_model(moved, images)
    exact = run_model(model, images)
    # The sums are rounded in another order, so single values fall on the next INT8 step: small
    # beside the error of INT8 itself.
    for left, right, float_values in zip(expected, actual, exact, strict=True):
        error = np.abs(left - float_values).mean()
        assert np.abs(right - float_values).mean() == pytest.approx(error, rel=0.3, abs=1e-3)


def test_channels_of_very_different_size_stay_within_fp16() -> None:
    model = DETECTORS['yolov8']()
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.ndim == 4 and weights.shape[0] > 8:
            factors = np.logspace(-3, 0, len(weights), dtype=np.float32)[:, None, None, None]
            tensor.CopyFrom(numpy_helper.from_array(weights * factors, tensor.name))
    images = random_images(2)
    quantized = insert_qdq(model, min_max_cache(model, images)).model
    (expected,) = run_model(quantized, images)
    move_channel_scales(quantized)
    (actual,) = run_model(convert_to_fp16(quantized), images)
    assert np.isfinite(actual).all()
    assert np.abs(actual - expected).mean() < 0.05 * np.abs(expected).mean()


def test_scales_per_tensor_are_left_alone() -> None:
    model = DETECTORS['yolox']()
    quantized = insert_qdq(model, min_max_cache(model, random_images(1))).model
    for node in quantized.graph.node:
        if node.op_type == 'DequantizeLinear':
            del node.attribute[:]
    before = quantized.SerializeToString()
    assert move_channel_scales(quantized) == 0
    assert quantized.SerializeToString() == before
