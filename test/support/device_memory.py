# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory and context of a real GPU through the driver, whatever CUDA bindings are installed."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from trt_detector.gpu import driver

__all__ = [
    'count_devices', 'free', 'get_context', 'get_free_bytes', 'read', 'synchronize', 'to_device',
    'write',
]  # fmt: skip


def _call(function: str, *arguments: Any) -> None:
    """Call the driver; raise BackendUnavailableError if it fails."""
    driver.call(driver.load(), function, *arguments)


def to_device(array: np.ndarray) -> int:
    """Copy an array to new device memory and return its address."""
    address = ctypes.c_uint64()
    _call('cuMemAlloc_v2', ctypes.byref(address), ctypes.c_size_t(array.nbytes))
    write(address.value, array.tobytes())
    return address.value


def write(address: int, data: bytes) -> None:
    """Copy bytes to device memory in the default stream."""
    _call('cuMemcpyHtoD_v2', ctypes.c_uint64(address), data, ctypes.c_size_t(len(data)))


def read(address: int, nbytes: int) -> bytes:
    """Copy bytes from device memory in the default stream."""
    data = ctypes.create_string_buffer(nbytes)
    _call('cuMemcpyDtoH_v2', data, ctypes.c_uint64(address), ctypes.c_size_t(nbytes))
    return data.raw


def free(address: int) -> None:
    """Free device memory."""
    _call('cuMemFree_v2', ctypes.c_uint64(address))


def get_free_bytes() -> int:
    """Return the free memory of the current context's device."""
    unused, total = ctypes.c_size_t(), ctypes.c_size_t()
    _call('cuMemGetInfo_v2', ctypes.byref(unused), ctypes.byref(total))
    return unused.value


def get_context() -> int | None:
    """Return the context that is current in this thread, None if there is none."""
    context = ctypes.c_void_p()
    _call('cuCtxGetCurrent', ctypes.byref(context))
    return context.value


def synchronize() -> None:
    """Wait for all work in the current context."""
    _call('cuCtxSynchronize')


def count_devices() -> int:
    """Return the number of GPUs."""
    count = ctypes.c_int()
    _call('cuDeviceGetCount', ctypes.byref(count))
    return count.value
