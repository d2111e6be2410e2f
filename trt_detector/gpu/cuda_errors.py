# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Descriptions of CUDA errors with what to do, for messages of this package."""

from __future__ import annotations

import ctypes

from ..errors import BackendUnavailableError, DeviceLostError, EngineError
from . import driver as libcuda

__all__ = ['describe_error', 'make_engine_error', 'propose_batch']

# Descriptions of the errors after which every call in the context fails (cuda.h: "This leaves the
# process in an inconsistent state ... the process must be terminated and relaunched").
_STICKY = (
    'illegal memory access',
    'unspecified launch failure',
    'misaligned address',
    'illegal instruction',
    'invalid program counter',
    'operation not supported on global/shared address space',
    'device-side assert triggered',
    'hardware stack error',
    'launch timed out',
    'uncorrectable ECC error',
)
_OUT_OF_MEMORY = ('out of memory', 'Failed to allocate memory')
_GIB = 2**30


def describe_error(error: Exception) -> str:
    """
    Return the text of an error of CUDA or of a library on top of it, with what to do.

    After a sticky error it says that the process has to be restarted. If memory ran out, it gives
    the free memory of the GPU; the context must be current for that.
    """
    text = str(error)
    if _is_sticky(text):
        return f'{text}; CUDA is unusable in this process after this error: restart the process'
    if any(words in text for words in _OUT_OF_MEMORY):
        return f'{text}{_describe_free_memory()}'
    return text


def make_engine_error(what: str, error: Exception, advice: str = '') -> EngineError:
    """
    Make the error of this package for one of CUDA or of a library on top of it.

    :param what: what failed.
    :param advice: what to do, after a semicolon.
    :return: a DeviceLostError after a sticky error.
    """
    text = f'{what}: {describe_error(error)}{advice}'
    return DeviceLostError(text) if _is_sticky(str(error)) else EngineError(text)


def propose_batch(count: int) -> str:
    """
    Propose a smaller batch for an allocation that failed.

    :param count: number of images of the batch that is too large.
    """
    if count < 2:
        return 'lower max_shape or the input size'
    return f'lower max_shape or batch_size: set batch_size to {count // 2} instead of {count}'


def _is_sticky(text: str) -> bool:
    """Tell whether every later call in the context fails after an error."""
    return any(words in text for words in _STICKY)


def _describe_free_memory() -> str:
    """Return the free memory of the current context's device as a clause, '' if unknown."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    try:
        driver = libcuda.load()
        libcuda.call(driver, 'cuMemGetInfo_v2', ctypes.byref(free), ctypes.byref(total))
    except BackendUnavailableError:
        return ''
    return f' ({free.value / _GIB:.2f} of {total.value / _GIB:.2f} GiB of GPU memory are free)'
