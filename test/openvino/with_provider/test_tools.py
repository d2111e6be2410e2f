# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tools with the real provider."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

from support.models import lamp_detector
from trt_detector.tools.doctor import main


def test_doctor_names_the_provider(tmp_path: Path) -> None:
    path = tmp_path / 'report.json'
    main(['--json', str(path), '--engine-cache-dir', str(tmp_path)])
    findings = json.loads(path.read_text(encoding='utf-8'))['findings']
    (text,) = (found['text'] for found in findings if found['name'] == 'onnxruntime')
    assert text.endswith(' for the CPU, with OpenVINO')


def test_benchmark_takes_bfloat16_for_fp16(tmp_path: Path) -> None:
    code = f"""
from trt_detector.config import DetectorConfig
from trt_detector.openvino import engine
from trt_detector.tools.benchmark.measure import Job, measure
engine.find_precision = lambda provider: 'bf16'
config = DetectorConfig(
    model_path={str(lamp_detector(tmp_path / 'lamp.onnx'))!r}, backend='onnxruntime',
    onnxruntime_provider='openvino', precision='fp16', batch_size=1,
)
print(measure(Job(config, iterations=1)))
"""
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'bf16' in done.stdout
