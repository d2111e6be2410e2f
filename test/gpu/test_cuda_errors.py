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
from trt_detector.errors import BackendUnavailableError, DeviceLostError, EngineError
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


def test_memory_that_runs_out_at_run_time_fails_the_image_and_no_later_one(
    tmp_path: Path,
) -> None:
    model = means_model(tmp_path)
    with (
        machine('tensorrt-10.3') as world,
        create_detector(config(model, tmp_path, backend='tensorrt')) as detector,
    ):
        # More images than there are batches in flight, so that each of these has run one.
        for _ in range(8):
            assert len(detector.detect([make_image('bgr8', 90, 70)]).detections) == 1
        limit_bytes = world.cuda.limit_bytes
        # Another program takes the rest.
        world.cuda.limit_bytes = world.cuda.taken_bytes
        with pytest.raises(EngineError, match=r'cannot allocate .* MiB .* GiB of GPU memory are'):
            detector.detect([make_image('bgr8', 900, 700)])
        for _ in range(8):
            assert len(detector.detect([make_image('bgr8', 90, 70)]).detections) == 1
        world.cuda.limit_bytes = limit_bytes
        assert len(detector.detect([make_image('bgr8', 900, 700)]).detections) == 1


@pytest.mark.parametrize(('limit_bytes', 'batch'), [(800_000, 16), (0, 1)])
def test_memory_that_is_too_small_for_the_batch_proposes_a_smaller_one(
    tmp_path: Path, limit_bytes: int, batch: int
) -> None:
    values = config(means_model(tmp_path), tmp_path, backend='tensorrt', batch_size=batch)
    with machine('tensorrt-10.3', limit_bytes=limit_bytes) as world:
        with pytest.raises(EngineError) as caught:
            create_detector(values)
        world.cuda.assert_clean()
    text = str(caught.value)
    assert 'cannot allocate' in text
    assert 'GiB of GPU memory are free' in text
    proposed = 'set batch_size to 8 instead of 16' if batch > 1 else 'lower max_shape'
    assert proposed in text


def test_a_sticky_error_is_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        machine('tensorrt-10.3'),
        create_detector(config(means_model(tmp_path), tmp_path, backend='tensorrt')) as detector,
    ):

        def fail(_: object) -> None:
            raise LogicError('cuEventSynchronize failed: an illegal memory access was encountered')

        with monkeypatch.context() as patch:
            patch.setattr('doubles.cuda_double.Event.synchronize', fail)
            with pytest.raises(DeviceLostError, match='restart the process'):
                detector.detect([make_image('bgr8', 90, 70)])
