# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A CPU that has AVX2 at most, which ONEDNN_MAX_CPU_ISA feigns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.onnxruntime_engine import OnnxRuntimeOptions
from trt_detector.openvino.engine import OpenVinoEngine

pytestmark = pytest.mark.skipif(
    os.environ.get('ONEDNN_MAX_CPU_ISA') != 'AVX2', reason='set ONEDNN_MAX_CPU_ISA=AVX2'
)


def test_reduced_precision_is_refused_with_a_warning(tmp_path: Path) -> None:
    config = DetectorConfig(
        model_path=str(lamp_detector(tmp_path / 'lamp.onnx')), backend='onnxruntime',
        onnxruntime_provider='openvino', precision='fp16',
    )  # fmt: skip
    with create_detector(config) as detector:
        assert detector.info.precision == 'fp32'
        (warning,) = detector.info.warnings
        assert 'no instructions for FP16 or bfloat16' in warning


def test_int8_that_overflows_is_refused(tmp_path: Path) -> None:
    model = lamp_detector(tmp_path / 'lamp.onnx').read_bytes()
    with pytest.raises(EngineError, match=r'INT8 convolutions wrongly .* precision to fp32'):
        OpenVinoEngine(model, 1, OnnxRuntimeOptions(precision='int8'))
