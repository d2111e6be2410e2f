# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of CUDA errors: the effect of sticky errors, and the memory that is free."""

from __future__ import annotations

from pathlib import Path

from doubles.cuda_double import LogicError
from doubles.machine import machine
import numpy as np
import pytest
from support.detectors import config, means_model
from support.images import make_image
from trt_detector.errors import BackendUnavailableError, EngineError
from trt_detector.factory import create_detector
from trt_detector.gpu import cuda_errors
from trt_detector.gpu.buffers import TensorBuffer
from trt_detector.gpu.context import ContextScope, load_cuda
from trt_detector.gpu.cuda_errors import describe_error


@pytest.mark.parametrize(
    'text',
    [
        'cuEventSynchronize failed: an illegal memory access was encountered',
        'cuStreamSynchronize failed: unspecified launch failure (CUDA error 719)',
        'CUDA failure 700: an illegal memory access was encountered ; GPU=0',
        'cuCtxSynchronize failed: uncorrectable ECC error encountered',
    ],
)
def test_a_sticky_error_asks_for_a_restart(text: str) -> None:
    assert describe_error(RuntimeError(text)) == (
        f'{text}; CUDA is unusable in this process after this error: restart the process'
    )


def test_other_errors_keep_their_text() -> None:
    text = 'cuMemcpyHtoDAsync failed: invalid argument'
    assert describe_error(RuntimeError(text)) == text


@pytest.mark.parametrize('bindings', ['pycuda', 'cuda_python'])
def test_a_failed_allocation_gives_wanted_and_free_memory(bindings: str) -> None:
    with machine(None, cuda_bindings=bindings, limit_bytes=48 << 20) as world:
        cuda = load_cuda()
        scope = ContextScope(cuda, 0)
        with pytest.raises(EngineError) as caught:
            TensorBuffer(cuda, 'x', np.dtype(np.uint8), (64 << 20,))
        scope.close()
        world.cuda.assert_clean()
    assert 'cannot allocate 64.0 MiB of device memory for tensor' in str(caught.value)
    assert '(0.05 of 0.05 GiB of GPU memory are free)' in str(caught.value)
    assert 'lower max_shape or batch_size' in str(caught.value)


def test_the_error_remains_if_the_free_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BackendUnavailableError('no driver')

    monkeypatch.setattr(cuda_errors.libcuda, 'load', refuse)
    text = 'cuMemAlloc failed: out of memory'
    assert describe_error(RuntimeError(text)) == text


def test_a_failed_run_has_the_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = means_model(tmp_path)
    with (
        machine('tensorrt-10.3'),
        create_detector(config(model, tmp_path, backend='tensorrt')) as detector,
    ):

        def fail(_: object) -> None:
            raise LogicError('cuEventSynchronize failed: unspecified launch failure')

        pending = detector.submit([make_image('bgr8', 90, 70)])
        with monkeypatch.context() as patch:
            patch.setattr('doubles.cuda_double.Event.synchronize', fail)
            with pytest.raises(EngineError, match='network ran: .*: restart the process'):
                detector.collect(pending)
