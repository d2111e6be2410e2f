# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRTEngine on doubles of every TensorRT: results, shapes, contexts, nothing left over."""

from __future__ import annotations

import gc
from pathlib import Path
import threading
from typing import Any

from doubles.api_records import PERSONALITIES
from doubles.machine import machine
from doubles.trt_double import World
import numpy as np
import onnxruntime
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.errors import BackendUnavailableError, EngineError
from trt_detector.gpu.context import ContextScope, load_cuda
from trt_detector.model_info import read_model_info
from trt_detector.trt.builder.make_plan import build_once
from trt_detector.trt.engine import TensorRTEngine

SHAPES = {'min_shape': (1, 3, 32, 32), 'opt_shape': (2, 3, 64, 64), 'max_shape': (4, 3, 96, 128)}


def build(path: Path, **values: Any) -> bytes:
    """Return a plan of a model, built by the TensorRT that is played."""
    config = DetectorConfig(precision='fp32', **values)
    return build_once(config, read_model_info(path), batch_size=4).plan


def reference(path: Path, batch: np.ndarray) -> list[np.ndarray]:
    """Run a batch in ONNX Runtime."""
    return onnxruntime.InferenceSession(str(path)).run(None, {'images': batch})


def pictures(*shape: int, seed: int = 1) -> np.ndarray:
    """Return random input."""
    return np.random.default_rng(seed).random(shape, np.float32)


def assert_clean(world: World) -> None:
    """Fail if the engine left anything on the device."""
    gc.collect()
    world.cuda.assert_clean()


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    """Return a model with dynamic batch, height and width."""
    return networks.yolo(tmp_path / 'yolo.onnx', size=('h', 'w'))


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_it_computes_what_the_model_computes(personality: str, dynamic: Path) -> None:
    with machine(personality) as world:
        plan = build(dynamic, **SHAPES)
        with TensorRTEngine(plan, 4, backend=world.record.module) as engine:
            assert engine.get_input_shape() == (64, 64)
            assert engine.get_batch_size() == 4
            assert engine.info.backend == world.record.module
            assert engine.info.precision == 'fp32'
            assert str(engine.input_spec) == 'images [?, 3, ?, ?] float32'
            for seed, count in enumerate([2, 4, 1, 2]):
                batch = pictures(count, 3, 64, 64, seed=seed)
                (found,) = engine.run(batch)
                np.testing.assert_array_equal(found, reference(dynamic, batch)[0])
        assert_clean(world)


def test_another_shape_binds_anew_without_new_memory(dynamic: Path) -> None:
    with machine('tensorrt-10.16') as world:
        plan = build(dynamic, **SHAPES)
        with TensorRTEngine(plan) as engine:
            before = (world.cuda.allocations, world.cuda.live())
            for height, width in [(32, 32), (96, 128), (64, 64), (96, 32)] * 3:
                batch = pictures(3, 3, height, width)
                found = engine.run(batch)[0].copy()
                np.testing.assert_array_equal(found, reference(dynamic, batch)[0])
            assert (world.cuda.allocations, world.cuda.live()) == before
        assert_clean(world)


@pytest.mark.parametrize(
    'shape', [(5, 3, 64, 64), (1, 3, 31, 64), (1, 3, 64, 129), (1, 1, 64, 64), (3, 64, 64)]
)
def test_a_shape_outside_the_profile_is_refused_with_both_shapes(
    shape: tuple[int, ...], dynamic: Path
) -> None:
    with machine('tensorrt-10.3') as world:
        with TensorRTEngine(build(dynamic, **SHAPES)) as engine:
            with pytest.raises(EngineError) as caught:
                engine.run(np.zeros(shape, np.float32))
            assert str(list(shape)) in str(caught.value)
            assert '[1, 3, 32, 32] to [4, 3, 96, 128]' in str(caught.value)
            engine.run(pictures(1, 3, 64, 64))
        assert_clean(world)


def test_another_dtype_is_refused(dynamic: Path) -> None:
    refused = pytest.raises(EngineError, match='dtype float64.*expects float32')
    with machine('tensorrt-10.3'), TensorRTEngine(build(dynamic, **SHAPES)) as engine, refused:
        engine.run(np.zeros((1, 3, 64, 64)))


def test_a_fixed_batch_is_kept_and_padded(tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'fixed.onnx', batch=3)
    with machine('tensorrt-11.4') as world:
        with TensorRTEngine(build(model), batch_size=8) as engine:
            assert engine.get_batch_size() == 3
            full = pictures(3, 3, 64, 64)
            expected = reference(model, full)[0]
            np.testing.assert_array_equal(engine.run(full)[0], expected)
            one = engine.run(full[:1])[0]
            assert one.shape == (1, *expected.shape[1:])
            np.testing.assert_array_equal(one, expected[:1])
        assert_clean(world)


def test_a_smaller_batch_than_the_profile_allows_is_the_callers_choice(dynamic: Path) -> None:
    with machine('tensorrt-10.3'), TensorRTEngine(build(dynamic, **SHAPES), 2) as engine:
        assert engine.get_batch_size() == 2
        with pytest.raises(EngineError, match=r'\[2, 3, 96, 128\]'):
            engine.run(pictures(3, 3, 64, 64))


def test_the_input_size_can_be_chosen_within_the_profile(dynamic: Path) -> None:
    with machine('tensorrt-10.3') as world:
        plan = build(dynamic, **SHAPES)
        with TensorRTEngine(plan, input_shape=(96, 64)) as engine:
            assert engine.get_input_shape() == (96, 64)
            engine.warm_up(1)
        with pytest.raises(EngineError, match=r'input size 64x97 .*\[4, 3, 96, 128\]'):
            TensorRTEngine(plan, input_shape=(97, 64))
        assert_clean(world)


@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-10.16', 'tensorrt-11.4'])
def test_outputs_have_the_rows_that_the_network_found(personality: str, tmp_path: Path) -> None:
    model = networks.counting(tmp_path / 'counting.onnx')
    with machine(personality) as world:
        with TensorRTEngine(build(model)) as engine:
            image = np.zeros((1, 3, 16, 16), np.float32)
            image[0, 0, :10] = 1.0
            assert engine.run(image)[0].shape == (1, 160, 4)
            image[:] = 0.0
            image[0, 1, 2, 3] = image[0, 2, 4, 5] = 1.0
            (rows,) = engine.run(image)
            np.testing.assert_array_equal(rows, [[[0, 1, 2, 3], [0, 2, 4, 5]]])
            image[:] = 0.0
            assert engine.run(image)[0].shape == (1, 0, 4)
            # More rows than the 300 that an output has at least.
            image[:] = 1.0
            assert engine.run(image)[0].shape == (1, 768, 4)
        assert_clean(world)


def test_shapes_that_cannot_be_computed_are_reported(dynamic: Path) -> None:
    with machine('tensorrt-10.3') as world:
        with TensorRTEngine(build(dynamic, **SHAPES)) as engine:
            world.fail_shapes = 'shape inference failed'
            with pytest.raises(EngineError, match=r"'images' of shape \[1, .*inference failed"):
                engine.run(np.zeros((1, 3, 64, 96), np.float32))
            world.fail_shapes = ''
            engine.run(np.zeros((1, 3, 64, 96), np.float32))
        assert_clean(world)


def test_an_output_that_exceeds_its_buffer_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = networks.counting(tmp_path / 'counting.onnx')
    with machine('tensorrt-10.16') as world:
        with TensorRTEngine(build(model)) as engine:
            (buffer,) = engine._outputs
            monkeypatch.setattr(type(buffer), 'holds', lambda _, count: count <= 100)
            with pytest.raises(EngineError, match='no memory for output'):
                engine.run(np.ones((1, 3, 16, 16), np.float32))
        assert_clean(world)


def test_an_output_without_a_maximum_that_is_too_large_names_both_sizes(tmp_path: Path) -> None:
    model = networks.counting(tmp_path / 'counting.onnx')
    with machine('tensorrt-10.16', unbounded=True) as world:
        with TensorRTEngine(build(model)) as engine:
            assert engine.run(np.zeros((1, 3, 16, 16), np.float32))[0].shape == (1, 0, 4)
            # 768 rows of four numbers, where 300 fit.
            with pytest.raises(EngineError, match=r'needs \d+ bytes, .* its buffer has \d+; exp'):
                engine.run(np.ones((1, 3, 16, 16), np.float32))
        assert_clean(world)


@pytest.mark.parametrize(
    ('notified', 'said'),
    [
        (lambda shape: (shape[0], -1, *shape[2:]), r'the shape \[1, -1, 4\]'),
        (lambda _: None, 'no shape'),
    ],
)
def test_a_shape_that_tensorrt_does_not_report_is_an_error(
    notified: Any, said: str, tmp_path: Path
) -> None:
    model = networks.counting(tmp_path / 'counting.onnx')
    with machine('tensorrt-10.16') as world:
        with TensorRTEngine(build(model)) as engine:
            batch = np.ones((1, 3, 16, 16), np.float32)
            shape = engine.run(batch)[0].shape
            world.notified_shape = notified
            with pytest.raises(EngineError, match=f'TensorRT reports {said} for output'):
                engine.run(batch)
            world.notified_shape = lambda real: real
            assert engine.run(batch)[0].shape == shape
        assert_clean(world)


def test_the_plan_must_be_of_the_model(dynamic: Path) -> None:
    with machine('tensorrt-10.3') as world:
        with pytest.raises(
            EngineError, match=r"'images', 'output0'\], the model \['images', 'x'\]"
        ):
            TensorRTEngine(build(dynamic, **SHAPES), tensor_names=['images', 'x'])
        assert_clean(world)


@pytest.mark.parametrize('damage', ['truncated', 'garbage', 'empty', 'version', 'device'])
def test_a_plan_that_cannot_be_loaded_is_refused_with_the_reason(
    damage: str, dynamic: Path
) -> None:
    with machine('tensorrt-10.3'):
        plan = build(dynamic, **SHAPES)
    version = 'tensorrt-10.13' if damage == 'version' else 'tensorrt-10.3'
    capability = (8, 9) if damage == 'device' else (8, 6)
    changed = {'truncated': plan[:40], 'garbage': b'x' * 100, 'empty': b''}.get(damage, plan)
    said = {'version': 'incompatible serialization version', 'device': 'mismatch'}.get(
        damage, 'assertion'
    )
    with machine(version, compute_capability=capability) as world:
        with pytest.raises(EngineError, match=said):
            TensorRTEngine(changed)
        assert_clean(world)


def test_close_is_idempotent_and_run_after_it_is_refused(dynamic: Path) -> None:
    with machine('tensorrt-10.3') as world:
        engine = TensorRTEngine(build(dynamic, **SHAPES))
        engine.close()
        engine.close()
        with pytest.raises(EngineError, match='closed engine'):
            engine.run(pictures(1, 3, 64, 64))
        assert_clean(world)


def test_a_failed_run_is_reported_and_the_engine_lives_on(dynamic: Path) -> None:
    with machine('tensorrt-10.3') as world:
        with TensorRTEngine(build(dynamic, **SHAPES)) as engine:
            world.fail_run = 'Error Code 1: Cuda Runtime (an illegal memory access)'
            with pytest.raises(EngineError, match='illegal memory access'):
                engine.run(pictures(1, 3, 64, 64))
            world.fail_run = ''
            batch = pictures(1, 3, 64, 64)
            np.testing.assert_array_equal(engine.run(batch)[0], reference(dynamic, batch)[0])
        assert_clean(world)


@pytest.mark.parametrize('limit_bytes', [1, 500_000, 600_000])
def test_too_little_memory_frees_what_was_taken(limit_bytes: int, dynamic: Path) -> None:
    with machine('tensorrt-10.3'):
        plan = build(dynamic, **SHAPES)
    with machine('tensorrt-10.3', limit_bytes=limit_bytes) as world:
        with pytest.raises(EngineError, match=r'MiB of device memory for tensor .*out of memory'):
            TensorRTEngine(plan)
        assert_clean(world)


def test_every_step_of_the_constructor_undoes_the_ones_before(
    dynamic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ['_make_context', '_allocate', '_describe']
    with machine('tensorrt-10.3') as world:
        plan = build(dynamic, **SHAPES)
        for step in steps:
            with monkeypatch.context() as patch:
                patch.setattr(TensorRTEngine, step, lambda *_: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    TensorRTEngine(plan)
            assert_clean(world)


def test_each_thread_has_its_engine_and_leaves_an_empty_stack(dynamic: Path) -> None:
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        try:
            with TensorRTEngine(plan) as engine:
                results[number] = engine.run(batch)[0].copy()
        except BaseException as error:
            results[number] = error

    with machine('tensorrt-10.3') as world:
        plan = build(dynamic, **SHAPES)
        batch = pictures(2, 3, 64, 64)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(4):
            np.testing.assert_array_equal(results[number], reference(dynamic, batch)[0])
        assert_clean(world)
        assert world.cuda.retained == 1


def test_another_thread_is_refused_before_it_can_do_harm(dynamic: Path) -> None:
    errors: list[BaseException] = []

    def misuse(action: Any) -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    with machine('tensorrt-10.3') as world:
        with TensorRTEngine(build(dynamic, **SHAPES)) as engine:
            batch = pictures(1, 3, 64, 64)
            for action in (lambda: engine.run(batch), engine.close):
                thread = threading.Thread(target=misuse, args=(action,))
                thread.start()
                thread.join()
            assert [type(error) for error in errors] == [EngineError, EngineError]
            assert all('one thread' in str(error) for error in errors)
            np.testing.assert_array_equal(engine.run(batch)[0], reference(dynamic, batch)[0])
        assert_clean(world)


def test_two_engines_in_one_thread_share_the_context(dynamic: Path) -> None:
    with machine('tensorrt-10.3') as world:
        plan = build(dynamic, **SHAPES)
        first, second = TensorRTEngine(plan), TensorRTEngine(plan)
        batch = pictures(1, 3, 64, 64)
        first.close()
        np.testing.assert_array_equal(second.run(batch)[0], reference(dynamic, batch)[0])
        second.close()
        assert_clean(world)
        assert world.cuda.retained == 1


def test_a_device_that_is_not_there_is_said() -> None:
    with machine('tensorrt-10.3') as world:
        with pytest.raises(BackendUnavailableError, match='no CUDA context on device 3'):
            ContextScope(load_cuda(), 3)
        assert_clean(world)


def test_the_precision_of_a_plan_without_manifest_is_asked_of_the_inspector(
    tmp_path: Path, dynamic: Path
) -> None:
    config = DetectorConfig(precision='fp16', **SHAPES)
    with machine('tensorrt-10.3'):
        plan = build_once(config, read_model_info(dynamic), batch_size=4).plan
        with TensorRTEngine(plan) as engine:
            assert engine.info.precision == 'fp16'
            assert '14 fp16' in engine.info.layer_precision


@pytest.mark.parametrize('personality', ['tensorrt-10.3', 'tensorrt_rtx-1.7'])
def test_convert_from_source(personality: str, tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    cache = networks.write_cache(tmp_path / 'calibration.cache', model)
    with machine(personality) as world:
        plan = TensorRTEngine.convert_from_source(
            model.read_bytes(), str(cache), config=DetectorConfig(backend=world.record.module)
        )
        assert plan is not None
        with TensorRTEngine(plan, backend=world.record.module) as engine:
            assert engine.info.precision == 'int8'
        world.fail_build = 'Error Code 10: could not find any implementation for node conv'
        assert TensorRTEngine.convert_from_source(model.read_bytes()) is None
        assert_clean(world)


def test_engines_share_one_logger_and_each_gets_its_errors(dynamic: Path) -> None:
    with machine('tensorrt-10.3') as world:
        plan = build(dynamic, **SHAPES)
        with TensorRTEngine(plan) as first:
            logger = world.logger
            with pytest.raises(EngineError, match='Serialization assertion'):
                TensorRTEngine(b'no plan')
            with TensorRTEngine(plan) as second:
                world.fail_run = 'Error Code 1: Cuda Runtime'
                for engine in (second, first):
                    with pytest.raises(EngineError, match='Error Code 1'):
                        engine.run(pictures(1, 3, 64, 64))
        gc.collect()
        assert world.logger is logger
        assert_clean(world)
