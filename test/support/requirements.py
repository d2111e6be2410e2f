# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What a test needs that not every machine has, and what happens where it is missing."""

from __future__ import annotations

import importlib
import os
from typing import Any, NoReturn

import pytest
from trt_detector.errors import BackendUnavailableError
from trt_detector.gpu.context import load_cuda
from trt_detector.gpu.device_info import read_device


def lack(reason: str) -> NoReturn:
    """Skip the test, or fail it where a GPU was promised."""
    if os.environ.get('TRT_DETECTOR_REQUIRE_GPU') == '1':
        pytest.fail(f'TRT_DETECTOR_REQUIRE_GPU=1, but {reason}')
    pytest.skip(reason)


def require_cuda() -> Any:
    """Return the CUDA bindings on a machine with a GPU."""
    try:
        read_device(0)
        return load_cuda()
    except BackendUnavailableError as error:
        lack(str(error))


def require_tensorrt_on_gpu() -> str:
    """Return the name of a TensorRT library that supports the GPU of this machine."""
    from trt_detector.trt.library import find_library

    require_cuda()
    try:
        return find_library('auto', read_device(0)).name
    except BackendUnavailableError as error:
        lack(str(error))


def require_rtx_builder() -> Any:
    """Return the module of TensorRT for RTX, whose builder needs no GPU."""
    try:
        return importlib.import_module('tensorrt_rtx')
    except (ImportError, OSError) as error:
        pytest.skip(f'{error}: pip install tensorrt-rtx-cu13')
