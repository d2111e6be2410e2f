# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The preprocessing kernel, compiled for the host from the same source."""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import functools
from pathlib import Path
import shutil
import subprocess
import tempfile

import pytest
from trt_detector.gpu.letterbox_source import SOURCE_PATH

__all__ = ['host_kernel']

HostKernel = Callable[[bytes, bytes, tuple[int, ...]], None]


@functools.cache
def host_kernel() -> HostKernel:
    """Return a function of the packed jobs, the packed spec and the grid."""
    compiler = shutil.which('g++') or shutil.which('clang++')
    if compiler is None:
        pytest.skip('no C++ compiler to run the kernel on the host: apt install g++')
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / 'letterbox_host.so'
        source = Path(__file__).with_suffix('.cpp')
        subprocess.run(
            [
                compiler, '-O2', '-shared', '-fPIC', '-fwrapv', '-Wall', '-Werror',
                '-Wno-unknown-pragmas', f'-DLETTERBOX_CU="{SOURCE_PATH}"', '-o', library, source,
            ],
            check=True,
        )  # fmt: skip
        loaded = ctypes.CDLL(str(library))

    def run(jobs: bytes, spec: bytes, grid: tuple[int, ...]) -> None:
        loaded.letterbox_on_host(jobs, spec, (ctypes.c_uint * 3)(*grid))

    return run
