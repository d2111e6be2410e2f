# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Layers and precisions that the engine inspector of each version reports."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from trt_detector.trt.inspector import (
    built_precision,
    count_dla_layers,
    inspect_layers,
    precision_summary,
)


def layers_of(*entries: dict[str, Any] | str) -> Any:
    """Read the layers of an engine whose inspector writes the given entries."""
    text = json.dumps({'Layers': entries})
    inspector = SimpleNamespace(get_engine_information=lambda _: text)
    cuda_engine = SimpleNamespace(create_engine_inspector=lambda: inspector)
    library: Any = SimpleNamespace(has_inspector=True, enum=lambda *_: 'JSON')
    return inspect_layers(library, cuda_engine)


def layer(tensor: dict[str, str], **entry: str) -> dict[str, Any]:
    """Return the entry of a layer with one output."""
    return {'Name': 'conv', 'LayerType': 'CaskConvolution', 'Outputs': [tensor], **entry}


@pytest.mark.parametrize(
    ('tensor', 'precision'),
    [
        # 8.6 to 10: one text for both.
        ({'Format/Datatype': 'Row major linear FP32'}, 'fp32'),
        ({'Format/Datatype': 'Channel major FP16 format where channel % 8 == 0'}, 'fp16'),
        ({'Format/Datatype': 'Thirty-two wide channel vectorized row major Int8 format'}, 'int8'),
        ({'Format/Datatype': 'Row major linear BFloat16'}, 'bf16'),
        ({'Format/Datatype': 'Row major linear UInt8 format'}, ''),
        ({'Format/Datatype': 'Row major Int32'}, ''),
        # 11 and RTX: two texts.
        ({'Format': 'Row major linear', 'Datatype': 'Float'}, 'fp32'),
        ({'Format': 'Row major linear', 'Datatype': 'FP32'}, 'fp32'),
        ({'Format': 'Channel major with 8 channels', 'Datatype': 'Half'}, 'fp16'),
        ({'Format': 'N/A due to dynamic shapes', 'Datatype': 'Int8'}, 'int8'),
        ({'Format': 'Row major linear', 'Datatype': 'UInt8'}, ''),
        ({'Format': 'Row major linear', 'Datatype': 'Int64'}, ''),
    ],
)
def test_the_data_type_is_read_in_the_form_of_each_version(
    tensor: dict[str, str], precision: str
) -> None:
    (found,) = layers_of(layer(tensor))
    assert found.precision == precision


def test_a_kernel_that_rounds_to_tf32_is_reported_as_tf32() -> None:
    single = {'Format/Datatype': 'Row major linear FP32'}
    rounded = layer(single, TacticName='sm80_xmma_fprop_implicit_gemm_tf32f32_tf32f32_f32_nhwc')
    full = layer(single, TacticName='sm80_xmma_fprop_implicit_gemm_f32f32_f32f32_f32_nhwc')
    half = layer({'Format/Datatype': 'Row major linear FP16'}, TacticName='sm80_xmma_tf32_f16')
    layers = layers_of(rounded, full, half)
    assert [item.precision for item in layers] == ['tf32', 'fp32', 'fp16']
    assert built_precision(layers[:2]) == 'tf32'
    assert built_precision(layers) == 'fp16'
    assert precision_summary(layers) == '1 tf32, 1 fp32, 1 fp16'


def test_the_lowest_precision_of_a_layer_counts() -> None:
    entry = layer({'Format': 'Row major linear', 'Datatype': 'Float'})
    entry['Inputs'] = [{'Format': 'Row major linear', 'Datatype': 'Int8'}]
    (found,) = layers_of(entry)
    assert found.precision == 'int8'


def test_names_only_have_no_precision() -> None:
    layers = layers_of('conv + relu', 'sigmoid')
    assert [item.name for item in layers] == ['conv + relu', 'sigmoid']
    assert (built_precision(layers), precision_summary(layers)) == ('', '')


def test_layers_on_the_dla_are_counted() -> None:
    tensor = {'Format/Datatype': 'Row major linear FP16'}
    layers = layers_of(layer(tensor, LayerType='DLA'), layer(tensor))
    assert count_dla_layers(layers) == 1
