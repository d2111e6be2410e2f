# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The doubles themselves: each fault that would corrupt memory or leak on a GPU is noticed."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.errors import EngineError
from trt_detector.gpu import buffers
from trt_detector.gpu.context import load_cuda
from trt_detector.gpu.cuda_graph import capture_graph, CaptureError
from trt_detector.gpu.device_lock import device_lock
from trt_detector.model_info import read_model_info
from trt_detector.trt.builder.make_plan import build_once
from trt_detector.trt.engine import TensorRTEngine

from doubles.cuda_double import LogicError
from doubles.machine import machine


@pytest.fixture
def plan(tmp_path: Path) -> bytes:
    """Return a plan with a profile of one to four images."""
    model = networks.yolo(tmp_path / 'yolo.onnx')
    with machine('tensorrt-10.3'):
        config = DetectorConfig(precision='fp32')
        return build_once(config, read_model_info(model), batch_size=4).plan


BATCH = np.ones((2, 3, 64, 64), np.float32)


def test_a_wrong_address_is_an_illegal_access(plan: bytes) -> None:
    with machine('tensorrt-10.3'):
        engine = TensorRTEngine(plan)
        engine._context.raw.set_tensor_address('output0', 0xDEAD00)
        with pytest.raises(EngineError, match='illegal memory access'):
            engine.run(BATCH)


def test_a_buffer_that_was_freed_is_an_illegal_access(plan: bytes) -> None:
    with machine('tensorrt-10.3'):
        engine = TensorRTEngine(plan)
        address = engine._outputs[0].address
        engine._outputs[0]._device.free()
        with pytest.raises(EngineError, match='used after free'):
            engine.run(BATCH)
        # Nor may a kernel use it.
        assert engine._context.raw.set_tensor_address('output0', address)
        assert engine._context.raw.execute_async_v3(engine._stream.handle)
        with pytest.raises(LogicError, match='illegal memory access'):
            engine._stream.synchronize()


def test_a_forgotten_input_shape_or_address_fails_the_run(plan: bytes) -> None:
    with machine('tensorrt-10.3'):
        engine = TensorRTEngine(plan)
        fresh = engine._cuda_engine.create_execution_context()
        assert fresh.infer_shapes() == ['images']
        assert not fresh.execute_async_v3(engine._stream.handle)
        for buffer in (engine._input, *engine._outputs):
            fresh.set_tensor_address(buffer.name, buffer.address)
        assert not fresh.execute_async_v3(engine._stream.handle)
        assert fresh.set_input_shape('images', BATCH.shape)
        assert fresh.execute_async_v3(engine._stream.handle)
        assert 'no address or shape is set' in engine._lines.explain()


def test_reading_before_the_stream_is_synchronized_reads_old_bytes(
    plan: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine('tensorrt-10.3') as world:
        engine = TensorRTEngine(plan)
        right = engine.run(BATCH)[0].copy()
        monkeypatch.setattr(type(engine._stream), 'synchronize', lambda stream: None)
        engine._outputs[0]._bytes[:] = 7
        assert not np.array_equal(engine.run(BATCH)[0], right)
        assert world.cuda.live()['streams'] == 1


def test_work_without_a_context_is_refused(plan: bytes) -> None:
    with machine('tensorrt-10.3') as world:
        engine = TensorRTEngine(plan)
        world.cuda.stack().pop()
        with pytest.raises(EngineError, match='invalid device context'):
            engine.run(BATCH)


def test_pageable_memory_is_refused() -> None:
    with machine('tensorrt-10.3') as world:
        cuda: Any = load_cuda()
        cuda.Device(0).retain_primary_context().push()
        buffer = buffers.TensorBuffer(cuda, 'x', np.dtype(np.float32), (4,))
        with pytest.raises(LogicError, match='not page-locked'):
            buffer.upload(np.zeros(4, np.float32), cuda.Stream())
        assert world.cuda.live()['device allocations'] == 1


@pytest.mark.parametrize('forgotten', ['buffer', 'stream', 'context'])
def test_what_is_not_freed_is_counted(
    forgotten: str, plan: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine('tensorrt-10.3') as world:
        if forgotten == 'buffer':
            monkeypatch.setattr(buffers.TensorBuffer, 'free', lambda buffer: None)
        engine = TensorRTEngine(plan)
        kept: Any = engine._stream if forgotten == 'stream' else None
        if forgotten == 'context':
            monkeypatch.setattr(engine._scope, '_open', False)
        engine.close()
        gc.collect()
        with pytest.raises(AssertionError):
            world.cuda.assert_clean()
        del kept


def test_a_stream_dropped_without_context_is_a_fault() -> None:
    with machine('tensorrt-10.3') as world:
        cuda: Any = load_cuda()
        cuda.Device(0).retain_primary_context().push()
        stream = cuda.Stream()
        cuda.Context.pop()
        del stream
        gc.collect()
        assert world.cuda.faults == ['a stream was dropped with no context current: it leaks']


def test_a_member_that_tensorrt_does_not_have_cannot_be_used(plan: bytes) -> None:
    with machine('tensorrt-11.4') as world:
        import tensorrt as trt

        assert not hasattr(trt, 'IInt8EntropyCalibrator2')
        config = trt.IBuilderConfig._make(None)
        with pytest.raises(AttributeError):
            config.int8_calibrator = None
        with pytest.raises(AttributeError):
            config.max_workspace_size = 1
        with pytest.raises(AttributeError):
            _ = config.get_quantization_flag
        assert world.strongly_typed


def test_a_trampoline_without_its_constructor_is_a_crash() -> None:
    with machine('tensorrt-10.3') as world:
        import tensorrt as trt

        class Logger(trt.ILogger):
            def __init__(self) -> None:
                pass

        world.cuda.stack().append(object())
        with pytest.raises(SystemError, match='segmentation fault'):
            trt.Builder(Logger())


def test_a_shape_that_has_not_run_cannot_be_captured(plan: bytes) -> None:
    with machine('tensorrt-10.3'), TensorRTEngine(plan) as engine, device_lock(0):

        def work() -> None:
            engine.enqueue(2, engine._input.address, engine._outputs, capturing=True)

        with pytest.raises(CaptureError, match='has to run once before a capture'):
            capture_graph(engine.stream, work)
        work()
        engine.stream.synchronize()
        capture_graph(engine.stream, work).close()
