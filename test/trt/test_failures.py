# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Every call of TensorRT that fails as its documentation says: an error of ours, or no harm."""

from __future__ import annotations

from contextlib import closing
import gc
from pathlib import Path
import signal
from typing import Any

from doubles.api_records import load_record
from doubles.call_log import call_back, FAILURES
from doubles.engine_double import RuntimeDouble, unknown_shape
from doubles.machine import machine
import numpy as np
import onnxruntime
import pytest
from support import networks
from support.profiles import check_rejected_profiles
from trt_detector.config import DetectorConfig
from trt_detector.errors import DetectorError, EngineError
from trt_detector.gpu.context import ContextScope, load_cuda
from trt_detector.model_info import read_model_info
from trt_detector.trt.bindings import read_shape
from trt_detector.trt.builder.make_plan import build_once
from trt_detector.trt.builder.request import BuildTarget
from trt_detector.trt.engine import TensorRTEngine
from trt_detector.trt.library import load_library

VERSIONS = ('tensorrt-8.6', 'tensorrt-10.16', 'tensorrt-11.4', 'tensorrt_rtx-1.7')

# Failures that cost time or a report entry only; all others must end in an error.
HARMLESS = frozenset({
    'EngineInspector.get_engine_information', 'IBuilderConfig.create_timing_cache',
    'IBuilderConfig.set_timing_cache', 'ICudaEngine.create_engine_inspector',
    'IRuntimeCache.deserialize', 'IRuntimeCache.serialize', 'IRuntimeConfig.set_runtime_cache',
    'ITimingCache.serialize',
})  # fmt: skip
# Used in one way only: for a GPU that is not in this machine, and for outputs of unknown shape.
CROSS_BUILDS = frozenset({'IBuilderConfig.set_compute_capability'})
COUNTING = frozenset({
    'IExecutionContext.get_max_output_size', 'IExecutionContext.set_output_allocator'
})  # fmt: skip
# Called by 8.6 only.
OLD = frozenset({'IExecutionContext.set_optimization_profile_async'})


def cases() -> list[tuple[str, str]]:
    """Return each version with each failure of a call that it has and that is made with it."""
    pairs = []
    for version in VERSIONS:
        record = load_record(version)
        for call in FAILURES:
            has_it = record.has(*call.split('.'))
            made = call not in OLD or version == 'tensorrt-8.6'
            # TensorRT for RTX times no kernels, and only it has a cache at run time.
            other = 'timing' if record.module == 'tensorrt_rtx' else 'runtime_c'
            made = made and other not in call.lower().replace('itiming', 'timing')
            if has_it and made:
                pairs.append((version, call))
    return pairs


def use_everything(model: Path, version: str, call: str) -> np.ndarray:
    """Build, load and run a model with every call that this package makes; return the output."""
    values: dict[str, Any] = {'precision': 'fp32'}
    if load_record(version).has('BuilderFlag', 'INT8') and call not in COUNTING:
        cache = networks.write_cache(model.with_suffix('.cache'), model)
        values = {'precision': 'int8', 'calib_cache_path': str(cache)}
    config = DetectorConfig(backend=version.split('-', maxsplit=1)[0], **values)
    target = BuildTarget((8, 6)) if call in CROSS_BUILDS else None
    plan = build_once(config, read_model_info(model), batch_size=2, target=target).plan
    path = model.with_suffix('.plan')
    model.with_suffix('.plan.kernels').write_bytes(b'kernels of another version')
    with TensorRTEngine(plan, backend=config.backend, plan_path=path) as engine:
        result = engine.run(np.ones((1, 3, *engine.get_input_shape()), np.float32))[0].copy()
        # As for a CUDA graph: a second execution context.
        engine._make_context(2)
        return result


@pytest.mark.parametrize(('version', 'call'), cases())
def test_a_failure_is_an_error_of_this_package_or_does_no_harm(
    version: str, call: str, tmp_path: Path
) -> None:
    make = networks.counting if call in COUNTING else networks.yolo
    model = make(tmp_path / 'model.onnx')
    with machine(version, failures=frozenset({call})) as world:
        if call in HARMLESS:
            found = use_everything(model, version, call)
            (expected,) = onnxruntime.InferenceSession(str(model)).run(
                None, {'images': np.ones((1, 3, 64, 64), np.float32)}
            )
            np.testing.assert_array_equal(found, expected)
        else:
            with pytest.raises(DetectorError) as caught:
                use_everything(model, version, call)
            # The reason is TensorRT's own: its log, its exception or its value.
            reasons = (f'{call}: Error Code 3', str(FAILURES[call]))
            assert any(reason in str(caught.value) for reason in reasons), str(caught.value)
        assert call in world.failed_calls
        world.cuda.assert_clean()


@pytest.mark.parametrize('version', VERSIONS)
def test_an_unknown_shape_is_an_error_in_every_binding(version: str) -> None:
    with machine(version) as world, pytest.raises(EngineError, match="know the shape of 'boxes'"):
        read_shape(lambda _: unknown_shape(world), 'boxes')


@pytest.mark.parametrize('version', VERSIONS)
def test_a_profile_that_tensorrt_rejects_is_an_error_with_its_reason(version: str) -> None:
    with machine(version), closing(ContextScope(load_cuda(), 0)):
        check_rejected_profiles(load_library(version.split('-', maxsplit=1)[0]))


def test_ctrl_c_while_a_plan_is_loaded_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = RuntimeDouble.deserialize_cuda_engine

    def load_slowly(runtime: Any, plan: Any) -> Any:
        # As in the real library, it arrives in a callback, whose exceptions are dropped.
        call_back(None, signal.raise_signal, signal.SIGINT)
        return load(runtime, plan)

    model = networks.yolo(tmp_path / 'model.onnx')
    with machine('tensorrt-10.16') as world:
        plan = build_once(
            DetectorConfig(precision='fp32'), read_model_info(model), batch_size=2
        ).plan
        monkeypatch.setattr(RuntimeDouble, 'deserialize_cuda_engine', load_slowly)
        with pytest.raises(KeyboardInterrupt):
            TensorRTEngine(plan)
        gc.collect()
        world.cuda.assert_clean()
