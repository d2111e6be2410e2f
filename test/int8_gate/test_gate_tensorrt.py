# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The check of INT8 and quantize_exclude with TensorRT, on its doubles."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import shutil
from typing import Any

from doubles.machine import machine
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.errors import AccuracyError
from trt_detector.factory import create_detector
from trt_detector.pipeline import Detector
from trt_detector.quantize import CalibrationCache, read_calibration_cache
from trt_detector.tools import build_engine, calibrate

DEMO = Path(__file__).resolve().parents[2] / 'demo'
MODEL = DEMO / 'models' / 'demo_end2end.onnx'


@pytest.fixture(scope='module')
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with good.calib, x8.calib and frames."""
    folder = tmp_path_factory.mktemp('caches')
    (folder / 'frames').mkdir()
    pictures = sorted((DEMO / 'pictures').glob('*_1280x720.jpg'))
    for path in pictures[:3]:
        shutil.copy(path, folder / 'frames')
    arguments = ['--model', MODEL, '--output', folder / 'good.calib', '--method', 'minmax']
    arguments += ['--gate-frames', 0, '--images', *pictures]
    assert calibrate.main([str(argument) for argument in arguments]) == 0
    good = read_calibration_cache(folder / 'good.calib')
    wide = CalibrationCache(good.header, {n: 8 * s for n, s in good.scales.items()})
    (folder / 'x8.calib').write_bytes(wide.to_bytes())
    return folder


def settings(caches: Path, name: str, plans: Path, **changes: Any) -> dict[str, Any]:
    return {
        'model_path': str(MODEL),
        'backend': 'tensorrt',
        'precision': 'int8',
        'calib_cache_path': str(caches / f'{name}.calib'),
        'int8_gate_images': str(caches / 'frames'),
        'engine_cache_dir': str(plans),
        'warmup_iterations': 0,
        **changes,
    }


# TensorRT 11 gets a network with Q/DQ nodes, which its double runs as they stand.
@pytest.fixture
def world() -> Iterator[Any]:
    with machine('tensorrt-11.4') as world:
        yield world


def opened(**values: Any) -> Detector:
    return create_detector(DetectorConfig.from_mapping(values))


def test_a_good_engine_is_used(world: Any, caches: Path, tmp_path: Path) -> None:
    with opened(**settings(caches, 'good', tmp_path)) as detector:
        assert detector.info.precision == 'int8'
        assert not [w for w in detector.info.warnings if 'refused' in w]
        assert 'found again' in detector.info.report()['int8 check']
    world.cuda.assert_clean()


def test_a_bad_engine_is_replaced_by_fp16(world: Any, caches: Path, tmp_path: Path) -> None:
    with opened(**settings(caches, 'x8', tmp_path)) as detector:
        assert detector.info.backend == 'tensorrt'
        assert detector.info.precision == 'fp16'
        assert [w for w in detector.info.warnings if w.startswith('the INT8 engine is refused')]
    world.cuda.assert_clean()


def test_a_bad_engine_fails_with_action_fail(world: Any, caches: Path, tmp_path: Path) -> None:
    with pytest.raises(AccuracyError, match='refused'):
        opened(**settings(caches, 'x8', tmp_path, int8_gate_action='fail'))
    world.cuda.assert_clean()


@pytest.mark.parametrize(('name', 'precision'), [('good', 'int8'), ('x8', 'fp16')])
def test_build_engine_checks_as_the_node_does(
    name: str, precision: str, world: Any, caches: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    values = settings(caches, name, tmp_path)
    arguments = ['--json', '--model', values.pop('model_path')]
    for key, value in values.items():
        if key != 'warmup_iterations':
            arguments += ['--' + key.replace('_', '-'), value]
    assert build_engine.main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['precision'] == precision
    refused = [text for text in result['warnings'] if 'refused' in text]
    assert bool(refused) is (name == 'x8')
    assert 'found again' in result['details']['int8 check']


PERSONALITIES = ('tensorrt-8.6', 'tensorrt-10.3', 'tensorrt-11.4')


def int8_layers(personality: str, caches: Path, plans: Path, **changes: Any) -> set[str]:
    """Build the demo model in INT8 and return the names of its INT8 layers."""
    values = settings(caches, 'good', plans, int8_gate_images='', **changes)
    with machine(personality) as world, opened(**values):
        layers = world.builds[-1]['layers']
    return {layer['name'] for layer in layers if layer['precision'] == 'Int8'}


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_output_convolutions_are_not_int8(personality: str, caches: Path, tmp_path: Path) -> None:
    names = int8_layers(personality, caches, tmp_path)
    # '/one/scores.0/scores.0.1/...' is part of a branch, '/one/scores.0/scores.0.2/Conv' ends it.
    branches = {name for name in names if name.startswith(('/one/scores', '/one/sides'))}
    assert branches
    assert not [name for name in branches if name.endswith('.2/Conv') and name.count('/') == 4]


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_excluded_layers_are_not_int8(personality: str, caches: Path, tmp_path: Path) -> None:
    everything = int8_layers(personality, caches, tmp_path)
    fewer = int8_layers(personality, caches, tmp_path, quantize_exclude=['/stem/*'])
    left_out = everything - fewer
    assert left_out
    assert all(name.startswith('/stem/') for name in left_out)
    assert not [name for name in fewer if name.startswith('/stem/')]
