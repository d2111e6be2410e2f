# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""An INT8 engine that is refused shows on the node's diagnostics."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.ros_graph import detector_node, MODEL, PICTURES, values_of
from trt_detector.factory import create_detector
from trt_detector.quantize import CalibrationCache, read_calibration_cache
from trt_detector.tools import calibrate


@pytest.fixture(name='bad_cache', scope='module')
def _bad_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache whose scales are eight times too large, its check frames beside it."""
    path = tmp_path_factory.mktemp('cache') / 'demo.calib'
    arguments = ['--model', str(MODEL), '--images', str(PICTURES), '--output', str(path)]
    assert calibrate.main([*arguments, '--gate-frames', '6']) == 0
    good = read_calibration_cache(path)
    scales = {name: scale * 8 for name, scale in good.scales.items()}
    path.write_bytes(CalibrationCache(good.header, scales).to_bytes())
    return path


def test_the_fallback_is_a_warning(bad_cache: Path) -> None:
    parameters = {
        'model_path': str(MODEL),
        'backend': 'onnxruntime',
        'precision': 'int8',
        'calib_cache_path': str(bad_cache),
    }
    with detector_node(create_detector, **parameters) as running:
        assert running.configure()
        status = running.status('detector', lambda s: 'precision' in values_of(s))
        values = values_of(status)
    assert values['precision'] == 'fp32'
    assert status.level == b'\x01'
    assert 'INT8' in values['warning 1']


def test_or_configure_fails_with_the_reason(bad_cache: Path) -> None:
    parameters = {
        'model_path': str(MODEL),
        'backend': 'onnxruntime',
        'precision': 'int8',
        'calib_cache_path': str(bad_cache),
        'int8_gate_action': 'fail',
    }
    with detector_node(create_detector, **parameters) as running:
        assert not running.configure()
        status = running.status('detector', lambda s: s.level == b'\x02')
        assert 'INT8' in status.message
        assert running.get_state() == 'unconfigured'
