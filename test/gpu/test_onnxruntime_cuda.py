# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's CUDA provider: the precision that it runs in."""

from __future__ import annotations

import gc
from pathlib import Path

from doubles.machine import GPU
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnxruntime
import pytest
from support.detectors import config, device, means_model, require_cuda_provider
from support.requirements import require_cuda
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.gpu.buffers import TensorBuffer
from trt_detector.gpu.device_info import has_tf32, read_device
from trt_detector.gpu.onnxruntime_cuda import CudaOnnxRuntimeEngine
from trt_detector.onnxruntime_engine import OnnxRuntimeOptions


@pytest.mark.parametrize(
    ('precision', 'capability', 'option', 'runs'),
    [
        ('auto', (8, 6), '1', 'tf32'),
        ('auto', (8, 0), '1', 'tf32'),
        ('auto', (7, 5), '1', 'fp32'),
        ('fp32', (8, 6), '0', 'fp32'),
        ('fp32', (7, 5), '0', 'fp32'),
    ],
)
def test_tf32_is_reported_and_turned_off_by_fp32(
    precision: str, capability: tuple[int, int], option: str, runs: str, tmp_path: Path
) -> None:
    model = means_model(tmp_path)
    with device('onnxruntime', gpus=[{**GPU, 'cc': capability}]) as (cuda, backend):
        values = config(model, tmp_path, backend=backend, precision=precision)
        with create_detector(values) as detector:
            assert cuda.provider_options['use_tf32'] == option
            assert detector.info.precision == runs
        gc.collect()


def test_other_precisions_are_not_reported_as_tf32(tmp_path: Path) -> None:
    model = means_model(tmp_path).read_bytes()
    with device('onnxruntime'):
        for precision in ('fp16', 'int8'):
            options = OnnxRuntimeOptions(precision=precision)
            with CudaOnnxRuntimeEngine(model, 1, options) as engine:
                assert engine.info.precision == precision
        gc.collect()


@pytest.mark.parametrize('capturing', [False, True])
def test_interrupt_makes_runs_on_the_device_fail(capturing: bool, tmp_path: Path) -> None:
    model = means_model(tmp_path).read_bytes()
    with device('onnxruntime') as (cuda, _):
        with CudaOnnxRuntimeEngine(model, 1) as engine:
            outputs = engine.make_outputs()
            memory = TensorBuffer(engine.cuda, 'images', np.dtype(np.float32), (1, 3, 64, 64))
            engine.enqueue(1, memory.address, outputs)
            engine.interrupt()
            with pytest.raises(EngineError, match='terminate flag'):
                engine.enqueue(1, memory.address, outputs, capturing=capturing)
            for buffer in (memory, *outputs):
                buffer.free()
        gc.collect()
        cuda.assert_clean()


def long_sums(path: Path) -> Path:
    """Write a detector whose output is a long sum of products, precise in FP32 to about 1e-5."""
    random = np.random.default_rng(3)
    weights = random.normal(0, 0.05, (8 * 6, 3 * 64 * 64)).astype(np.float32)
    nodes = [
        helper.make_node('Flatten', ['images'], ['flat']),
        helper.make_node('MatMul', ['flat', 'weights'], ['sums']),
        helper.make_node('Reshape', ['sums', 'shape'], ['output0']),
    ]
    graph = helper.make_graph(
        nodes,
        'sums',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, ('batch', 3, 64, 64))],
        [helper.make_tensor_value_info('output0', TensorProto.FLOAT, ('batch', 8, 6))],
        initializer=[
            numpy_helper.from_array(np.ascontiguousarray(weights.T), 'weights'),
            numpy_helper.from_array(np.array([-1, 8, 6]), 'shape'),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


@pytest.mark.gpu
def test_fp32_is_exact_and_tf32_is_not_on_a_gpu(tmp_path: Path) -> None:
    require_cuda_provider()
    require_cuda()
    if not has_tf32(read_device(0).compute_capability):
        pytest.skip('this GPU has no TF32: an Ampere or later GPU is needed')
    model = long_sums(tmp_path / 'sums.onnx').read_bytes()
    batch = np.random.default_rng(4).random((64, 3, 64, 64), np.float32)
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    expected = session.run(None, {'images': batch})[0]
    errors = {}
    for tf32 in (False, True):
        with CudaOnnxRuntimeEngine(model, 64, tf32=tf32) as engine:
            assert engine.info.precision == ('tf32' if tf32 else 'fp32')
            errors[tf32] = np.abs(engine.run(batch)[0] - expected).max() / expected.std()
    assert errors[False] < 1e-4
    # TF32 has 10 bits of mantissa, FP32 has 23.
    assert errors[True] > 10 * errors[False]
