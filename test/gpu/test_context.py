# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the CUDA bindings."""

from __future__ import annotations

import sys

from doubles.machine import machine
import pytest
from trt_detector.errors import BackendUnavailableError
from trt_detector.gpu.context import describe_bindings, load_cuda
from trt_detector.gpu.cuda_python import CudaPython


def test_pycuda_is_used_if_it_is_installed() -> None:
    with machine(None, cuda_bindings='cuda_python'):
        both = {name: sys.modules[name] for name in ('cuda.bindings', 'cuda.bindings.driver')}
        with machine(None):
            sys.modules.update(both)
            cuda = load_cuda()
            assert cuda is sys.modules['pycuda.driver']
            assert describe_bindings(cuda) == 'pycuda 2026.1'


def test_cuda_python_is_used_without_pycuda() -> None:
    with machine(None, cuda_bindings='cuda_python'):
        cuda = load_cuda()
        assert isinstance(cuda, CudaPython)
        assert describe_bindings(cuda) == 'cuda-bindings 13.0.0'


def test_an_error_names_both_bindings_if_neither_is_installed() -> None:
    with (
        machine(None, cuda_bindings=''),
        pytest.raises(
            BackendUnavailableError,
            match=r'neither pycuda \(.*pycuda.*\) nor CUDA Python .*pip install cuda-bindings',
        ),
    ):
        load_cuda()


@pytest.mark.parametrize('bindings', ['pycuda', 'cuda_python'])
def test_failed_initialization_is_unavailable(
    bindings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> None:
        # CUDA Python raises this, and no CUresult, if there is no libcuda.so.1.
        raise RuntimeError('the driver is not installed')

    with machine(None, cuda_bindings=bindings):
        if bindings == 'pycuda':
            monkeypatch.setattr(sys.modules['pycuda.driver'], 'init', fail)
        else:
            monkeypatch.setattr(sys.modules['cuda.bindings.driver'], 'cuInit', fail)
        with pytest.raises(BackendUnavailableError, match='cannot be initialized: the driver is'):
            load_cuda()
