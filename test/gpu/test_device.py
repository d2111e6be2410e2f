# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Tests for a machine with a GPU: pytest -m gpu.

Contexts, page-locked memory, streams and TensorRTEngine run on the real device, with a
double of TensorRT. If TensorRT is installed and supports the GPU, it runs as well.
TRT_DETECTOR_REQUIRE_GPU=1 turns a test that would be skipped into a failure.
"""

from __future__ import annotations

import gc
from pathlib import Path
import threading
from typing import Any

from doubles.machine import machine_with_real_cuda
import numpy as np
import onnxruntime
import pytest
from support import device_memory, networks
from support.requirements import require_cuda, require_tensorrt_on_gpu
from trt_detector.config import DetectorConfig
from trt_detector.errors import EngineError
from trt_detector.gpu.buffers import TensorBuffer
from trt_detector.gpu.context import ContextScope, make_stream
from trt_detector.gpu.cuda_python import CudaPython
from trt_detector.gpu.device_info import get_gpu_memory_bytes, read_device
from trt_detector.model_info import read_model_info
from trt_detector.trt.backend import open_engine
from trt_detector.trt.builder.make_plan import build_once
from trt_detector.trt.engine import TensorRTEngine

pytestmark = pytest.mark.gpu

SHAPES = {'min_shape': (1, 3, 32, 32), 'opt_shape': (2, 3, 64, 64), 'max_shape': (4, 3, 96, 128)}


@pytest.fixture
def cuda() -> Any:
    """Return the CUDA bindings."""
    return require_cuda()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model with dynamic batch, height and width."""
    return networks.yolo(tmp_path / 'yolo.onnx', size=('h', 'w'))


def reference(path: Path, batch: np.ndarray) -> np.ndarray:
    """Run ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return session.run(None, {'images': batch})[0]


def pictures(*shape: int) -> np.ndarray:
    """Return a random batch."""
    return np.random.default_rng(1).random(shape, np.float32)


def free_bytes(cuda: Any) -> int:
    """Return the free memory of the device."""
    scope = ContextScope(cuda, 0)
    try:
        return device_memory.get_free_bytes()
    finally:
        scope.close()


def test_device_info_equals_that_of_the_bindings(cuda: Any) -> None:
    info = read_device(0)
    if isinstance(cuda, CudaPython):
        assert info.name == cuda.Device(0).name()
        return
    device = cuda.Device(0)
    assert info.name == device.name()
    assert info.compute_capability == device.compute_capability()
    assert info.sm_count == device.multiprocessor_count
    assert info.total_memory_bytes == device.total_memory()
    assert get_gpu_memory_bytes(0) >= 0.9 * device.total_memory()


def test_context_is_pushed_and_popped_in_each_thread(cuda: Any) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                scope = ContextScope(cuda, 0)
                assert device_memory.get_context() is not None
                cuda.mem_alloc(16).free()
                scope.close()
                scope.close()
                assert device_memory.get_context() is None
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_buffer_is_copied_to_the_device_and_back(cuda: Any) -> None:
    scope = ContextScope(cuda, 0)
    try:
        stream = make_stream(cuda)
        buffer = TensorBuffer(cuda, 'x', np.dtype(np.float32), (4, 3, 64, 64))
        view = buffer.view((2, 3, 64, 64))
        batch = pictures(2, 3, 64, 64)
        view[:] = batch
        buffer.upload(view, stream)
        stream.synchronize()
        view[:] = 0
        buffer.download(view, stream)
        stream.synchronize()
        np.testing.assert_array_equal(view, batch)
        buffer.clear(stream)
        buffer.download(view, stream)
        stream.synchronize()
        assert not view.any()
        del view
        buffer.free()
        buffer.free()
        del stream
    finally:
        scope.close()


def test_failed_allocation_frees_all_memory(cuda: Any) -> None:
    before = free_bytes(cuda)
    scope = ContextScope(cuda, 0)
    try:
        with pytest.raises(EngineError, match='memory for tensor'):
            TensorBuffer(cuda, 'x', np.dtype(np.uint8), (1 << 45,))
    finally:
        scope.close()
    assert free_bytes(cuda) >= before


@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-10.16', 'tensorrt-11.4'])
def test_engine_computes_on_device_memory(personality: str, cuda: Any, model: Path) -> None:
    config = DetectorConfig(precision='fp32', backend='tensorrt', **SHAPES)
    # A library that an earlier test used, e.g. nvImageCodec, may leave one current.
    before = device_memory.get_context()
    with machine_with_real_cuda(personality):
        plan = build_once(config, read_model_info(model), batch_size=4).plan
        with TensorRTEngine(plan) as engine:
            for shape in [(2, 3, 64, 64), (4, 3, 96, 128), (1, 3, 32, 32)]:
                batch = pictures(*shape)
                np.testing.assert_array_equal(engine.run(batch)[0], reference(model, batch))
    assert device_memory.get_context() == before


def test_a_hundred_engines_leak_no_memory(cuda: Any, model: Path) -> None:
    config = DetectorConfig(precision='fp32', backend='tensorrt', **SHAPES)
    with machine_with_real_cuda('tensorrt-10.3'):
        plan = build_once(config, read_model_info(model), batch_size=4).plan
        with TensorRTEngine(plan) as engine:
            engine.warm_up(1)
        gc.collect()
        before = free_bytes(cuda)
        for _ in range(100):
            with TensorRTEngine(plan) as engine:
                engine.warm_up(1)
        gc.collect()
    assert free_bytes(cuda) == before


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
def test_real_tensorrt(precision: str, model: Path, tmp_path: Path) -> None:
    backend = require_tensorrt_on_gpu()
    cache = networks.write_cache(tmp_path / 'yolo.cache', model)
    config = DetectorConfig(
        model_path=str(model),
        backend=backend,
        precision=precision,
        calib_cache_path=str(cache) if precision == 'int8' else '',
        engine_cache_dir=str(tmp_path / 'plans'),
        **SHAPES,
    )
    tolerance = {'fp32': 1e-2, 'fp16': 5e-2, 'int8': 0.5}[precision]
    for _ in range(2):
        with open_engine(config, read_model_info(model), batch_size=4) as engine:
            assert isinstance(engine, TensorRTEngine)
            for shape in [(2, 3, 64, 64), (4, 3, 96, 128)]:
                batch = pictures(*shape)
                expected = reference(model, batch)
                np.testing.assert_allclose(engine.run(batch)[0], expected, atol=tolerance)
