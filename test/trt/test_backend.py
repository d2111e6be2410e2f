# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""open_engine on doubles: precision, plans that are kept, builds that fail or are given up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import gc
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from doubles.api_records import PERSONALITIES
from doubles.machine import GPU, machine
from doubles.trt_double import World
import numpy as np
import onnx
import onnxruntime
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.errors import (
    BackendUnavailableError,
    BuildCancelledError,
    BuildError,
    CalibrationCacheError,
    ConfigError,
    EngineError,
    ModelError,
)
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.model_info import read_model_info
from trt_detector.plan import Manifest
from trt_detector.trt.backend import open_engine
from trt_detector.trt.builder import plan_job
from trt_detector.trt.engine import TensorRTEngine
from trt_detector.values.progress import Progress

BATCH = np.random.default_rng(3).random((2, 3, 64, 64), np.float32)
FLAGS = [name for name in PERSONALITIES if name not in ('tensorrt-11.4', 'tensorrt_rtx-1.7')]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model with a dynamic batch."""
    return networks.yolo(tmp_path / 'yolo.onnx')


@pytest.fixture
def cache(tmp_path: Path, model: Path) -> Path:
    """Return a calibration cache of the model, written by another TensorRT."""
    return networks.write_cache(tmp_path / 'yolo.cache', model)


@contextmanager
def opened(model: Path, **values: Any) -> Iterator[TensorRTEngine]:
    """Open a model, its plans kept beside it, and close it again."""
    settings = {
        'model_path': str(model), 'engine_cache_dir': str(model.parent / 'plans'), **values
    }  # fmt: skip
    hooks = {name: settings.pop(name, None) for name in ('on_progress', 'cancel')}
    info = None if model.suffix in ('.engine', '.plan') else read_model_info(model)
    config = DetectorConfig.from_mapping(settings)
    with open_engine(config, info, batch_size=config.batch_size or 2, **hooks) as engine:
        assert isinstance(engine, TensorRTEngine)
        yield engine


def open_once(model: Path, **values: Any) -> None:
    """Open a model and close it again."""
    with opened(model, **values):
        pass


def built(world: World) -> dict[str, Any]:
    """Return the only build that was made."""
    (header,) = world.builds
    return header


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('personality', PERSONALITIES)
def test_every_tensorrt_builds_every_precision_from_the_same_files(
    personality: str, precision: str, model: Path, cache: Path
) -> None:
    path = str(cache) if precision == 'int8' else ''
    expected = onnxruntime.InferenceSession(str(model)).run(None, {'images': BATCH})[0]
    with machine(personality) as world:
        with opened(model, precision=precision, calib_cache_path=path) as engine:
            assert engine.info.precision == precision
            (found,) = engine.run(BATCH)
            # The double runs Q/DQ graphs in INT8: boxes in cells of 0 to 3, scores 0 to 1.
            tolerance = {'fp32': 0.0, 'fp16': 1e-3, 'int8': 0.1}[precision]
            np.testing.assert_allclose(found, expected, atol=tolerance)
        precisions = {layer['name']: layer['precision'] for layer in built(world)['layers']}
        convolutions = [precisions[f'model.{number}'] for number in range(3)]
        wanted = {'fp32': 'Float', 'fp16': 'Half', 'int8': 'Int8'}[precision]
        assert convolutions == [wanted] * 3
        if precision == 'int8':
            head = [n for n in precisions if n.startswith(('model.3.dfl', 'model.3.cls.sigmoid'))]
            assert len(head) >= 5
            assert 'Int8' not in {precisions[name] for name in head}
        world.cuda.assert_clean()


@pytest.mark.parametrize('personality', FLAGS)
def test_flags_of_a_tensorrt_that_has_them(personality: str, model: Path, cache: Path) -> None:
    with machine(personality) as world:
        with opened(model, precision='int8', calib_cache_path=str(cache)) as engine:
            details = engine.info.report()
        flags = set(built(world)['flags'])
        assert flags == {'FP16', 'INT8', 'OBEY_PRECISION_CONSTRAINTS'}
        number = {'8': '8601', '1': '10'}[world.record.version[0]]
        assert (
            f'TRT-101401-EntropyCalibration2 rewritten to TRT-{number}'
            in details['calibration header']
        )
        assert 'layers' in details['kept at higher precision']


def test_auto_is_int8_with_a_cache_fp16_on_fast_devices_else_fp32(
    model: Path, cache: Path
) -> None:
    with machine('tensorrt-10.3'):
        with opened(model, calib_cache_path=str(cache)) as engine:
            assert engine.info.precision == 'int8'
        with opened(model) as engine:
            assert engine.info.precision == 'fp16'
    with machine('tensorrt-10.3', gpus=[{**GPU, 'cc': (6, 1)}]), opened(model) as engine:
        assert engine.info.precision == 'fp32'


def test_a_cache_path_without_file_is_a_warning_under_auto_each_time(model: Path) -> None:
    with machine('tensorrt-10.3'):
        for _ in range(2):
            with opened(model, calib_cache_path='/nowhere/yolo.cache') as engine:
                assert engine.info.precision == 'fp16'
                (warning, *_) = engine.info.warnings
                assert "'/nowhere/yolo.cache' does not exist" in warning
                assert 'FP16, not INT8' in warning


@pytest.mark.parametrize('personality', ['tensorrt-10.3', 'tensorrt-11.4'])
def test_int8_without_a_cache_that_fits_fails_with_the_reason(
    personality: str, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / 'other.cache'
    other.write_text('TRT-100300-EntropyCalibration2\nelsewhere: 3c010a14\n')
    with machine(personality) as world:
        with pytest.raises(ConfigError, match='calib_cache_path is empty.*calibrate'):
            open_once(model, precision='int8')
        with pytest.raises(CalibrationCacheError, match='/nowhere/x'):
            open_once(model, precision='int8', calib_cache_path='/nowhere/x')
        with pytest.raises(CalibrationCacheError, match=r'elsewhere.*matches one of.*images'):
            open_once(model, precision='int8', calib_cache_path=str(other))
        assert world.builds == []
        world.cuda.assert_clean()


def test_a_tensorrt_that_refuses_the_cache_fails_the_build(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('trt_detector.trt.library.TensorRTLibrary.cache_version', 9999)
    with machine('tensorrt-10.3') as world:
        with pytest.raises(CalibrationCacheError, match='did not accept .* asked for images'):
            open_once(model, precision='int8', calib_cache_path=str(cache))
        assert not list(model.parent.glob('plans/*/*.engine'))
        world.cuda.assert_clean()


def test_the_precision_that_was_really_built_is_reported(model: Path, cache: Path) -> None:
    with machine('tensorrt-10.3', ignore_int8=True):
        for _ in range(2):
            with opened(model, precision='int8', calib_cache_path=str(cache)) as engine:
                assert engine.info.precision == 'fp16'
                text = ' '.join(engine.info.warnings)
                assert 'precision int8 was requested, but TensorRT built fp16' in text
        (manifest,) = model.parent.glob('plans/*/*.json')
        assert json.loads(manifest.read_text())['built_precision'] == 'fp16'


@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-11.4'])
def test_a_quantized_model_is_int8_by_itself(
    personality: str, model: Path, cache: Path, tmp_path: Path
) -> None:
    from trt_detector.quantize import read_calibration_cache
    from trt_detector.quantize.qdq import insert_qdq

    quantized = tmp_path / 'quantized.onnx'
    result = insert_qdq(onnx.load(model), read_calibration_cache(cache))
    onnx.save(result.model, quantized)
    with machine(personality) as world:
        with opened(quantized, precision='fp16') as engine:
            assert 'it runs in INT8' in ' '.join(engine.info.warnings)
        has_flags = 'FP16' in world.record.classes['BuilderFlag']
        assert set(built(world)['flags']) == ({'FP16', 'INT8'} if has_flags else set())


def test_a_plan_is_built_once_and_then_loaded(model: Path) -> None:
    with machine('tensorrt-10.16') as world:
        for _ in range(3):
            with opened(model) as engine:
                engine.run(BATCH)
        assert len(world.builds) == 1
        assert world.builds[0]['workspace'] == int(0.9 * (24 << 30))
        timing = next(model.parent.glob('plans/timing/*'))
        assert timing.read_bytes() == b'timing 10.16.1.11 1'
        open_once(model, workspace_fraction=0.5)
        assert timing.read_bytes() == b'timing 10.16.1.11 2'
        timing.write_bytes(b'damaged')
        open_once(model, workspace_fraction=0.4)
        assert timing.read_bytes() == b'timing 10.16.1.11 1'


CHANGES = {
    'model_sha256': {'model': True},
    'TensorRT version': {'personality': 'tensorrt-10.13'},
    'device.name': {'gpu': {'name': 'Other'}},
    'device.compute_capability': {'gpu': {'cc': (8, 9)}},
    'device.sm_count': {'gpu': {'sm_count': 80}},
    'precision': {'config': {'precision': 'fp32'}},
    'min_shape': {'config': {'min_shape': (2, 3, 64, 64)}},
    'opt_shape': {'config': {'opt_shape': (1, 3, 64, 64), 'max_shape': (2, 3, 64, 64)}},
    'max_shape': {'config': {'opt_shape': (2, 3, 64, 64), 'max_shape': (8, 3, 64, 64)}},
    'flags': {'config': {'workspace_fraction': 0.5}},
    'plugin_sha256': {'plugin': True},
    'build_recipe': {'recipe': 9},
}


@pytest.mark.parametrize('field', CHANGES)
def test_each_field_changed_alone_builds_once_more_and_is_named(
    field: str, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with machine('tensorrt-10.3', steps=1):
        open_once(model, precision='fp16')
    change = CHANGES[field]
    values = {'precision': 'fp16', **change.get('config', {})}
    if 'model' in change:
        proto = onnx.load(model)
        proto.doc_string = 'changed'
        onnx.save(proto, model)
    if 'recipe' in change:
        monkeypatch.setattr(plan_job, 'BUILD_RECIPE', change['recipe'])
    if 'plugin' in change:
        values['plugin_libraries'] = [find_shared_library()]
    personality = change.get('personality', 'tensorrt-10.3')
    caplog.set_level('INFO', 'trt_detector')
    said: list[Progress] = []
    with machine(personality, gpus=[{**GPU, **change.get('gpu', {})}], steps=1) as world:
        for _ in range(2):
            with opened(model, on_progress=said.append, **values) as engine:
                engine.run(BATCH)
        assert len(world.builds) == 1
    lines = [record.message for record in caplog.records if 'rebuilding' in record.message]
    assert len(lines) == 1
    assert field in lines[0]
    assert any('rebuilding' in progress.phase for progress in said)


def find_shared_library() -> str:
    """Return a shared library that can be loaded anywhere: one of Python's own."""
    import _ctypes

    return str(_ctypes.__file__)


def test_a_plan_that_the_runtime_refuses_is_built_again(
    model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine('tensorrt-10.3'):
        open_once(model)
    # A change that no key tells: the plan is right by its manifest and refused all the same.
    with machine('tensorrt-10.3') as world:
        monkeypatch.setattr(world, 'compute_capability', (8, 7))
        with opened(model) as engine:
            engine.run(BATCH)
        assert len(world.builds) == 1
        world.cuda.assert_clean()
    assert 'mismatch' in caplog.text


def test_parser_errors_are_all_reported(tmp_path: Path) -> None:
    broken = networks.broken('operators', tmp_path / 'broken.onnx')
    for personality in PERSONALITIES:
        with machine(personality) as world:
            with pytest.raises(BuildError) as caught, opened(broken, precision='fp32'):
                pass
            text = str(caught.value)
            assert "1. node 'head.nms' (FancyNms)" in text
            assert "2. node 'head.sorcery' (Sorcery)" in text
            assert text.count('plugin_libraries') == 2
            world.cuda.assert_clean()


def test_a_failed_build_gives_tensorrts_reason(model: Path) -> None:
    with machine('tensorrt-10.3', fail_build='Error Code 10: no implementation for conv') as world:
        with pytest.raises(BuildError, match=r'could not build yolo\.onnx \(fp16.*Error Code 10'):
            open_once(model)
        world.cuda.assert_clean()


@pytest.mark.parametrize('personality', PERSONALITIES[1:])
def test_a_build_is_cancelled_within_a_step(personality: str, model: Path) -> None:
    cancel = threading.Event()
    with machine(personality, steps=1000, step_seconds=0.01) as world:
        world.on_step = cancel.set
        with pytest.raises(BuildCancelledError, match='cancelled after'):
            open_once(model, cancel=cancel)
        assert world.builds == []
        world.cuda.assert_clean()
        world.on_step = None
    with machine(personality) as world, opened(model):
        assert len(world.builds) == 1


def test_progress_rises_to_the_end_and_not_too_often(model: Path) -> None:
    said: list[tuple[float, Progress]] = []
    with machine('tensorrt-10.3', steps=20, step_seconds=0.02):
        open_once(model, on_progress=lambda p: said.append((time.monotonic(), p)))
    in_build = [p for _, p in said if p.phase in ('Optimizing graph', 'Timing tactics')]
    fractions = [p.fraction for p in in_build if p.fraction is not None]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 3
    assert 0.0 <= fractions[0] < 0.3 < 0.7 < fractions[-1] <= 1.0
    assert [p.elapsed_s for p in in_build] == sorted(p.elapsed_s for p in in_build)
    # Steps are 20 ms apart; one report in 100 ms passes.
    assert len(in_build) < 20


def test_a_tensorrt_without_monitor_still_shows_that_it_lives(model: Path) -> None:
    said: list[Progress] = []
    with machine('tensorrt-8.6', steps=15, step_seconds=0.1):
        open_once(model, on_progress=said.append)
    building = [p for p in said if p.phase.startswith('building the FP16')]
    assert len(building) >= 2
    assert building[-1].elapsed_s > building[0].elapsed_s


def test_a_callback_that_fails_ends_the_build_and_is_raised(model: Path) -> None:
    def fail(progress: Progress) -> None:
        if progress.phase == 'Timing tactics':
            raise ZeroDivisionError

    with machine('tensorrt-10.3', steps=50, step_seconds=0.01) as world:
        with pytest.raises(ZeroDivisionError), opened(model, on_progress=fail):
            pass
        assert world.builds == []
        world.cuda.assert_clean()


@pytest.mark.parametrize('suffix', ['.engine', '.plan'])
def test_a_prebuilt_plan_is_loaded_with_a_warning(
    suffix: str, model: Path, tmp_path: Path
) -> None:
    with machine('tensorrt-10.3'):
        open_once(model, precision='fp16')
        (plan,) = model.parent.glob('plans/*/*.engine')
        prebuilt = tmp_path / f'prebuilt{suffix}'
        prebuilt.write_bytes(plan.read_bytes())
        prebuilt.chmod(0o644)
        with opened(prebuilt, backend='auto') as engine:
            assert engine.info.precision == 'fp16'
            assert 'loaded without verification' in engine.info.warnings[0]
            engine.run(BATCH)
        prebuilt.write_bytes(b'no plan')
        with pytest.raises(EngineError, match='rejects the plan of 7 bytes'):
            open_once(prebuilt)


def test_dla_is_used_where_there_is_one_and_refused_where_not(model: Path) -> None:
    with machine('tensorrt-10.3', dla_cores=2) as world:
        with opened(model, dla_core=1) as engine:
            engine.run(BATCH)
        header = built(world)
        assert (header['device_type'], header['dla_core']) == ('DLA', 1)
        assert {'GPU_FALLBACK', 'FP16', 'PREFER_PRECISION_CONSTRAINTS'} == set(header['flags'])
        with pytest.raises(ConfigError, match='dla_core is 2, .* 2 DLA core'):
            open_once(model, dla_core=2)
        with pytest.raises(ConfigError, match='fp32, which a DLA cannot run'):
            open_once(model, dla_core=0, precision='fp32')
    for personality in ('tensorrt-10.16', 'tensorrt-11.4', 'tensorrt_rtx-1.7'):
        with machine(personality) as world:
            with pytest.raises(ConfigError, match='finds no DLA core.*-1 for the GPU'):
                open_once(model, dla_core=0)
            world.cuda.assert_clean()


def test_plugin_libraries_are_loaded_first_or_refused(model: Path, tmp_path: Path) -> None:
    missing = tmp_path / 'libmissing.so'
    text = tmp_path / 'libtext.so'
    text.write_text('no library')
    with machine('tensorrt-10.3') as world:
        open_once(model, plugin_libraries=[find_shared_library()])
        with pytest.raises(ConfigError, match=r'libmissing\.so.*cannot be read'):
            open_once(model, plugin_libraries=[str(missing)])
        with pytest.raises(ConfigError, match=r'libtext\.so.*cannot be loaded'):
            open_once(model, plugin_libraries=[str(text)])
        world.cuda.assert_clean()
    refused = pytest.raises(ConfigError, match='supports no plugins; set backend to tensorrt')
    with machine('tensorrt_rtx-1.7'), refused:
        open_once(model, plugin_libraries=[find_shared_library()])


def test_a_batch_that_does_not_fit_is_refused(model: Path, tmp_path: Path) -> None:
    fixed = networks.yolo(tmp_path / 'fixed.onnx', batch=2)
    with machine('tensorrt-10.3'):
        with pytest.raises(ConfigError, match='batch_size is 3, but fixed.onnx has .* batch of 2'):
            open_once(fixed, batch_size=3)
        with pytest.raises(ConfigError, match=r'batch_size is 3, but max_shape .* takes 2 image'):
            open_once(model, batch_size=3, max_shape=[2, 3, 64, 64])
        with opened(model, batch_size=3) as engine:
            assert engine.get_batch_size() == 3
        with opened(fixed) as engine:
            assert engine.get_batch_size() == 2


def test_the_input_shape_is_chosen_within_the_profile(tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'open.onnx', size=('h', 'w'))
    profile = {'min_shape': [1, 3, 32, 32], 'max_shape': [2, 3, 96, 96]}
    with machine('tensorrt-10.3') as world:
        with opened(model, input_shape='48x64') as engine:
            assert engine.get_input_shape() == (48, 64)
            assert engine.profile.maximum == (2, 3, 48, 64)
        for size in ('48x64', '96x32'):
            with opened(model, input_shape=size, **profile) as engine:
                assert f'{engine.get_input_shape()[0]}x{engine.get_input_shape()[1]}' == size
        assert len(world.builds) == 2
        with pytest.raises(ConfigError, match=r'input_shape is 97x96, .* \[2, 3, 96, 96\]'):
            open_once(model, input_shape='97x96', **profile)


@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-11.4'])
@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_the_sizes_that_a_deployed_detr_asks_for_become_a_constant(
    precision: str, personality: str, tmp_path: Path
) -> None:
    model = networks.deployed_detr(tmp_path / 'detr.onnx')
    batch = np.zeros((2, 3, 40, 80), np.float32)
    with machine(personality) as world:
        with opened(model, precision=precision, input_shape='40x80') as engine:
            assert [spec.name for spec in engine.output_specs] == ['scores', 'boxes']
            boxes = engine.run(batch)[1]
            np.testing.assert_allclose(boxes, [[[20, 20, 60, 40]]] * 2)
        with opened(model, precision=precision, input_shape='80x40') as engine:
            boxes = engine.run(batch.reshape(2, 3, 80, 40))[1]
            np.testing.assert_allclose(boxes, [[[10, 40, 30, 80]]] * 2)
        assert len(world.builds) == 2
        world.cuda.assert_clean()


def test_no_gpu_and_no_library_are_reported(model: Path) -> None:
    with machine('tensorrt-10.3', gpus=[]), pytest.raises(BackendUnavailableError, match='GPU'):
        open_once(model)
    with machine(None), pytest.raises(BackendUnavailableError, match='nvidia-jetpack'):
        open_once(model, backend='tensorrt')


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from doubles.machine import machine
from trt_detector.config import DetectorConfig
from trt_detector.trt.backend import open_engine
from trt_detector.image.image import Image
from trt_detector.model_info import read_model_info
model = Path({model!r})
config = DetectorConfig(model_path=str(model), engine_cache_dir={plans!r})
with machine('tensorrt-10.3', steps={steps}, step_seconds=0.05) as world:
    world.on_step = lambda: print('step', flush=True)
    print('ready', flush=True)
    with open_engine(config, read_model_info(model), batch_size=2) as engine:
        engine.warm_up(1)
    print('builds', len(world.builds), flush=True)
"""


def start(model: Path, steps: int) -> subprocess.Popen[str]:
    """Start a process that opens a model."""
    code = SCRIPT.format(
        tests=str(Path(__file__).parents[1]),
        model=str(model),
        plans=str(model.parent / 'plans'),
        steps=steps,
    )
    return subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_build_one_plan(model: Path) -> None:
    processes = [start(model, steps=10) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(text.split()[-1] for text in outputs) == ['0', '1']


def test_a_killed_build_leaves_nothing_that_stops_the_next(model: Path) -> None:
    process = start(model, steps=10_000)
    assert process.stdout is not None
    while process.stdout.readline().strip() != 'step':
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not list(model.parent.glob('plans/*/*.engine'))
    with machine('tensorrt-10.3') as world, opened(model):
        assert len(world.builds) == 1
    assert len(list(model.parent.glob('plans/*/*.engine'))) == 1
    assert not list(model.parent.glob('plans/**/*.partial'))


@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-11.4', 'tensorrt_rtx-1.7'])
def test_the_whole_detector_finds_the_same_with_both_runtimes(
    personality: str, tmp_path: Path
) -> None:
    demo = Path(__file__).parents[2] / 'demo' / 'models' / 'demo_end2end.onnx'
    random = np.random.default_rng(5)
    # Not scaled: a gray level more or less would change the order of what scores next to nothing.
    images = [
        Image.from_array(random.integers(0, 255, (*size, 3), np.uint8), 'bgr8')
        for size in ((320, 512), (300, 512))
    ]
    values = {
        'model_path': str(demo), 'precision': 'fp32', 'batch_size': 2, 'warmup_iterations': 1,
        'engine_cache_dir': str(tmp_path), 'score_threshold': 0.0,
    }  # fmt: skip
    with create_detector(DetectorConfig(backend='onnxruntime', **values)) as detector:
        expected = detector.detect(images).detections
    with machine(personality) as world:
        backend = world.record.module
        with create_detector(DetectorConfig(backend=backend, **values)) as detector:
            assert detector.info.backend == backend
            found = detector.detect(images).detections
        gc.collect()
        world.cuda.assert_clean()
    assert [len(item.scores) for item in found] == [len(item.scores) for item in expected]
    assert all(len(item.scores) for item in expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-3)
        np.testing.assert_array_equal(one.class_ids, other.class_ids)


def test_the_bytes_that_were_hashed_are_built(model: Path) -> None:
    info = read_model_info(model)
    expected = onnxruntime.InferenceSession(str(model)).run(None, {'images': BATCH})[0]
    networks.yolo(model, classes=5)
    config = DetectorConfig(
        model_path=str(model), engine_cache_dir=str(model.parent / 'plans'), precision='fp32'
    )
    with machine('tensorrt-10.3'), open_engine(config, info, batch_size=2) as engine:
        np.testing.assert_array_equal(engine.run(BATCH)[0], expected)
    (path,) = model.parent.glob('plans/*/*.json')
    assert Manifest.from_bytes(path.read_bytes()).key.model_sha256 == info.sha256
    # The plan is enough once it is there.
    assert info.content.data is None


def test_a_model_that_changes_before_it_is_read_again_is_not_built(model: Path) -> None:
    info = read_model_info(model)
    info.content.release()
    networks.yolo(model, classes=5)
    config = DetectorConfig(model_path=str(model), engine_cache_dir=str(model.parent / 'plans'))
    with machine('tensorrt-10.3') as world:
        with pytest.raises(ModelError, match='changed on disk while it was being opened'):
            open_engine(config, info, batch_size=2)
        assert world.builds == []
    assert list(model.parent.glob('plans/*/*.engine')) == []


def test_the_calibration_cache_is_read_once(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = []
    genuine = os.open

    def open_file(path: Any, *arguments: Any, **named: Any) -> int:
        opens.append(Path(path))
        return genuine(path, *arguments, **named)

    monkeypatch.setattr(os, 'open', open_file)
    with machine('tensorrt-10.3'):
        open_once(model, precision='int8', calib_cache_path=str(cache))
    assert opens.count(cache) == 1
