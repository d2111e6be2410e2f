# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A calibration cache of the demo model."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.int8 import MODEL, PICTURES
from trt_detector.tools import calibrate


@pytest.fixture(scope='session')
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrate the demo model with its pictures."""
    path = tmp_path_factory.mktemp('calibration') / 'demo.calib'
    arguments = ['--model', MODEL, '--output', path, '--gate-frames', 0, '--method', 'minmax']
    arguments += ['--images', *sorted(PICTURES.glob('scene_*'))[:10]]
    assert calibrate.main([str(argument) for argument in arguments]) == 0
    return path
