# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The NVIDIA driver library (libcuda), loaded with ctypes."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from ..errors import BackendUnavailableError

__all__ = ['call', 'load']

_MEANINGS = {
    3: 'the driver is not initialized',
    35: 'the driver is older than the CUDA library',
    100: 'no GPU is visible (there is none, the container has no /dev/nvidia*, or '
    'CUDA_VISIBLE_DEVICES hides it)',
    101: 'there is no GPU of that number',
    803: 'the driver and its libraries have different versions; restart the machine',
    804: 'the container has libraries of another driver; start it with --runtime nvidia',
    999: 'the driver failed; check dmesg',
}


@functools.cache
def load() -> Any:
    """
    Load and initialize the library; the next call retries after a failure.

    :raises BackendUnavailableError: if there is no driver, or it cannot be initialized.
    """
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError as error:
        raise BackendUnavailableError(
            f'no NVIDIA driver on this machine ({error}); install it, or start the container with '
            '--gpus all (a Jetson: --runtime nvidia)'
        ) from error
    call(driver, 'cuInit', 0)
    return driver


def call(driver: Any, function: str, *arguments: Any) -> None:
    """
    Call a driver function.

    :raises BackendUnavailableError: with the meaning of the error if it is a known one.
    """
    try:
        status = getattr(driver, function)(*arguments)
    except AttributeError as error:
        raise BackendUnavailableError(f'the NVIDIA driver has no {function}; update it') from error
    if status:
        meaning = _MEANINGS.get(status, 'see CUresult in the CUDA documentation')
        raise BackendUnavailableError(f'{function} failed with CUDA error {status}: {meaning}')
