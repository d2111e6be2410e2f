# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA kernels compiled for the host from the same sources."""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import functools
from pathlib import Path
import shutil
import subprocess
import tempfile
from typing import Any

import pytest
from trt_detector.gpu.kernels.source import CANDIDATES, KernelSource, LETTERBOX

__all__ = ['host_candidates', 'host_kernel']

Letterbox = Callable[[bytes, bytes, tuple[int, ...]], None]
Candidates = Callable[[bytes, tuple[int, ...], tuple[int, ...]], None]


@functools.cache
def host_kernel() -> Letterbox:
    """Compile the letterbox kernel to a function of packed jobs, packed spec and grid."""
    loaded = _compile(LETTERBOX)

    def run(jobs: bytes, spec: bytes, grid: tuple[int, ...]) -> None:
        loaded.letterbox_on_host(jobs, spec, _triple(grid))

    return run


@functools.cache
def host_candidates(name: str) -> Candidates:
    """Compile a kernel of candidates.cu to a function of plane, grid and block."""
    function = getattr(_compile(CANDIDATES), f'{name}_on_host')

    def run(plane: bytes, grid: tuple[int, ...], block: tuple[int, ...]) -> None:
        function(plane, _triple(grid), _triple(block))

    return run


def _triple(values: tuple[int, ...]) -> Any:
    """Convert a grid or a block for C."""
    return (ctypes.c_uint * 3)(*values)


@functools.cache
def _compile(kernel: KernelSource) -> ctypes.CDLL:
    """Compile and load one source."""
    compiler = shutil.which('g++') or shutil.which('clang++')
    if compiler is None:
        pytest.skip('no C++ compiler to run the kernels on the host: apt install g++')
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / f'{kernel.name}_host.so'
        source = Path(__file__).with_name(f'{kernel.name}_host.cpp')
        subprocess.run(
            [
                compiler, '-O2', '-shared', '-fPIC', '-fwrapv', '-Wall', '-Werror',
                '-Wno-unknown-pragmas', f'-DKERNEL_SOURCE="{kernel.source_path}"', '-o', library,
                source,
            ],
            check=True,
        )  # fmt: skip
        return ctypes.CDLL(str(library))
