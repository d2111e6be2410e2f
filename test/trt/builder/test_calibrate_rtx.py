# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A cache that calibrate makes builds on the real builder of TensorRT for RTX."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.requirements import require_rtx_builder
from trt_detector.quantize import read_calibration_cache
from trt_detector.tools import build_engine, calibrate

DEMO = Path(__file__).resolve().parents[3] / 'demo'


@pytest.mark.parametrize('name', ['demo_end2end', 'demo_raw'])
def test_a_cache_builds_and_comes_back_byte_for_byte(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_rtx_builder()
    model, cache = DEMO / 'models' / f'{name}.onnx', tmp_path / 'x.calib'
    pictures = sorted((DEMO / 'pictures').glob('*.png'))
    arguments = ['--model', model, '--output', cache, '--images', *pictures]
    assert calibrate.main([str(a) for a in (*arguments, '--gate-frames', 0)]) == 0
    before = cache.read_bytes()
    capsys.readouterr()
    plan = tmp_path / 'x.engine'
    arguments = ['--model', model, '--output', plan, '--backend', 'tensorrt_rtx', '--json']
    arguments += ['--precision', 'int8', '--calib-cache-path', cache]
    arguments += ['--compute-capability', '8.6']
    assert build_engine.main([str(argument) for argument in arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['precision'] == 'int8'
    assert int(result['details']['quantized'].split()[0]) > 50
    assert plan.stat().st_size == result['bytes'] > 100_000
    assert cache.read_bytes() == before == read_calibration_cache(cache).to_bytes()
