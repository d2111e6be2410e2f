# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Source and PTX of the CUDA kernels: the shipped PTX, or PTX compiled on this machine."""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import dataclass
import hashlib
import logging
from pathlib import Path
import re
from typing import Any

from ...errors import BackendUnavailableError

__all__ = ['ARCHITECTURE', 'CANDIDATES', 'LETTERBOX', 'PTX_VERSION', 'KernelSource']

_LOG = logging.getLogger(__name__)

# The oldest architecture that CUDA 13 supports; the driver compiles its PTX for every newer GPU.
ARCHITECTURE = 'compute_75'
# The oldest PTX version that has compute_75. nvcc writes its own version, which older drivers
# refuse: that of CUDA 13 does not load on JetPack 6. The kernels use nothing newer.
PTX_VERSION = '6.4'

_COMMENT = re.compile(rb'[ \t]*//[^\n]*')
_NVRTC_NAMES = ('libnvrtc.so.13', 'libnvrtc.so.12', 'libnvrtc.so.11.2', 'libnvrtc.so')


@dataclass(frozen=True, slots=True)
class KernelSource:
    """
    CUDA source file of this package and the PTX that scripts/compile_kernel.py makes from it.

    :param name: name of the files, without extension.
    :param kernels: names of the kernels.
    """

    name: str
    kernels: tuple[str, ...]

    @property
    def source_path(self) -> Path:
        """Return the path of the source."""
        return Path(__file__).with_name(f'{self.name}.cu')

    @property
    def ptx_path(self) -> Path:
        """Return the path of the PTX."""
        return Path(__file__).with_name(f'{self.name}.ptx')

    def digest(self) -> str:
        """Return the SHA-256 of the code without comments, which do not change the PTX."""
        lines = _COMMENT.sub(b'', self.source_path.read_bytes()).splitlines()
        return hashlib.sha256(b'\n'.join(line for line in lines if line)).hexdigest()

    def read_ptx(self) -> bytes:
        """Return the shipped PTX."""
        return self.ptx_path.read_bytes()

    def load(self, cuda: Any, compute_capability: tuple[int, int]) -> Any:
        """
        Load the module into the current context: the shipped PTX, else PTX compiled by NVRTC.

        :param cuda: CUDA bindings, see :func:`..context.load_cuda`.
        :param compute_capability: of the GPU.
        :raises BackendUnavailableError: if the driver refuses both.
        """
        try:
            return cuda.module_from_buffer(self.read_ptx())
        except cuda.Error as error:
            refused = error
        major, minor = compute_capability
        try:
            module = cuda.module_from_buffer(self.compile(f'compute_{major}{minor}'))
        except (BackendUnavailableError, cuda.Error) as error:
            raise BackendUnavailableError(
                f'the driver refuses the shipped PTX of {self.source_path.name} ({refused}), and '
                f'compiling it for compute capability {major}.{minor} failed: {error}'
            ) from error
        _LOG.info('compiled %s for compute capability %d.%d', self.source_path.name, major, minor)
        return module

    def compile(self, architecture: str = ARCHITECTURE) -> bytes:
        """
        Compile the source with NVRTC, for a GPU that cannot run the shipped PTX.

        :param architecture: e.g. 'compute_72'.
        :return: PTX.
        :raises BackendUnavailableError: if NVRTC is missing or reports an error.
        """
        nvrtc = _load_nvrtc()
        program = ctypes.c_void_p()
        source, name = self.source_path.read_bytes(), self.source_path.name
        _call(nvrtc, 'nvrtcCreateProgram', ctypes.byref(program), source, name.encode(), 0, None,
              None)  # fmt: skip
        try:
            options = (ctypes.c_char_p * 1)(f'--gpu-architecture={architecture}'.encode())
            if nvrtc.nvrtcCompileProgram(program, 1, options):
                raise BackendUnavailableError(
                    f'NVRTC cannot compile {name} for {architecture}: {_read_log(nvrtc, program)}'
                )
            size = ctypes.c_size_t()
            _call(nvrtc, 'nvrtcGetPTXSize', program, ctypes.byref(size))
            ptx = ctypes.create_string_buffer(size.value)
            _call(nvrtc, 'nvrtcGetPTX', program, ptx)
        finally:
            nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        return ptx.value


LETTERBOX = KernelSource('letterbox', ('letterbox',))
CANDIDATES = KernelSource('candidates', ('select_candidates', 'gather_candidates'))


def _load_nvrtc() -> Any:
    """Load the NVRTC library."""
    found = ctypes.util.find_library('nvrtc')
    for name in (*_NVRTC_NAMES, *((found,) if found else ())):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendUnavailableError(
        'NVRTC is not installed; install it: apt install libnvrtc12, or the CUDA toolkit'
    )


def _call(nvrtc: Any, function: str, *arguments: Any) -> None:
    """
    Call a function of NVRTC.

    :raises BackendUnavailableError: if it fails.
    """
    status = getattr(nvrtc, function)(*arguments)
    if status:
        raise BackendUnavailableError(f'{function} failed with NVRTC error {status}')


def _read_log(nvrtc: Any, program: ctypes.c_void_p) -> str:
    """Return the compilation log of a program."""
    size = ctypes.c_size_t()
    _call(nvrtc, 'nvrtcGetProgramLogSize', program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    _call(nvrtc, 'nvrtcGetProgramLog', program, text)
    return text.value.decode(errors='replace').strip()
