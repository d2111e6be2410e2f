# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Machines with a GPU, and a model that shows every pixel that reaches them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.detectors import means_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Path of a model whose output depends on every pixel."""
    return means_model(tmp_path)


@pytest.fixture(params=['tensorrt-8.6', 'tensorrt-10.3, cuda_python', 'onnxruntime'])
def kind(request: pytest.FixtureRequest) -> str:
    """Name of a machine with a GPU, for the function device()."""
    return str(request.param)
