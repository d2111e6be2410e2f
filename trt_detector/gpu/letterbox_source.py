# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The machine-independent code of the kernel: as it is shipped, or compiled on this machine."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError

__all__ = [
    'ARCHITECTURE',
    'KERNEL_NAME',
    'PTX_PATH',
    'PTX_VERSION',
    'SOURCE_PATH',
    'compile_at_run_time',
    'read_shipped_ptx',
    'source_digest',
]

SOURCE_PATH = Path(__file__).with_name('letterbox.cu')
PTX_PATH = Path(__file__).with_name('letterbox.ptx')
KERNEL_NAME = 'letterbox'
# The oldest that CUDA 13 compiles for; a driver translates it for that GPU and every newer one.
ARCHITECTURE = 'compute_75'
# The oldest that knows compute_75. A compiler writes its own, which older drivers refuse: that of
# CUDA 13 would shut out JetPack 6. The kernel uses nothing newer.
PTX_VERSION = '6.4'

_NVRTC_NAMES = ('libnvrtc.so.13', 'libnvrtc.so.12', 'libnvrtc.so.11.2', 'libnvrtc.so')


def source_digest() -> str:
    """Return the SHA-256 of the kernel's source."""
    return hashlib.sha256(SOURCE_PATH.read_bytes()).hexdigest()


def read_shipped_ptx() -> bytes:
    """Return the PTX of this package, made from the source by scripts/compile_kernel.py."""
    return PTX_PATH.read_bytes()


def compile_at_run_time(architecture: str = ARCHITECTURE) -> bytes:
    """
    Compile the kernel with NVRTC, for a GPU that cannot run the shipped PTX.

    :param architecture: 'compute_72' say.
    :return: PTX.
    :raises BackendUnavailableError: if NVRTC is missing or refuses.
    """
    nvrtc = _load_nvrtc()
    program = ctypes.c_void_p()
    source = SOURCE_PATH.read_bytes()
    _call(nvrtc, 'nvrtcCreateProgram', ctypes.byref(program), source, b'letterbox.cu', 0, None,
          None)  # fmt: skip
    try:
        options = (ctypes.c_char_p * 1)(f'--gpu-architecture={architecture}'.encode())
        if nvrtc.nvrtcCompileProgram(program, 1, options):
            raise BackendUnavailableError(
                f'NVRTC cannot compile the kernel for {architecture}: {_read_log(nvrtc, program)}'
            )
        size = ctypes.c_size_t()
        _call(nvrtc, 'nvrtcGetPTXSize', program, ctypes.byref(size))
        ptx = ctypes.create_string_buffer(size.value)
        _call(nvrtc, 'nvrtcGetPTX', program, ptx)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return ptx.value


def _load_nvrtc() -> Any:
    """Return the library of NVRTC."""
    found = ctypes.util.find_library('nvrtc')
    for name in (*_NVRTC_NAMES, *((found,) if found else ())):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendUnavailableError(
        'NVRTC is not on this machine; install it: apt install libnvrtc12, or the CUDA toolkit'
    )


def _call(nvrtc: Any, function: str, *arguments: Any) -> None:
    """
    Call NVRTC.

    :raises BackendUnavailableError: if it fails.
    """
    status = getattr(nvrtc, function)(*arguments)
    if status:
        raise BackendUnavailableError(f'{function} failed with NVRTC error {status}')


def _read_log(nvrtc: Any, program: ctypes.c_void_p) -> str:
    """Return what NVRTC says of a program that it did not compile."""
    size = ctypes.c_size_t()
    _call(nvrtc, 'nvrtcGetProgramLogSize', program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    _call(nvrtc, 'nvrtcGetProgramLog', program, text)
    return text.value.decode(errors='replace').strip()
