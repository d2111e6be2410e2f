# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Portable plans: built by TensorRT, run by its lean runtime."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
from typing import Any

from doubles.api_records import LEAN
from doubles.machine import GPU, machine
import numpy as np
import onnx
import onnxruntime
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError, EngineError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.tools import build_engine, doctor
from trt_detector.trt.backend import open_engine

BATCH = np.random.default_rng(3).random((2, 3, 64, 64), np.float32)
BUILDER = 'tensorrt-11.4'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model with a dynamic batch."""
    return networks.yolo(tmp_path / 'yolo.onnx')


def build(model: Path, *arguments: str) -> tuple[int, Path]:
    """Run build_engine; return its exit status and the path of the plan."""
    plan = model.with_suffix('.engine')
    folder = str(model.parent / 'plans')
    status = build_engine.main([
        '--model', str(model), '--output', str(plan), '--engine-cache-dir', folder,
        '--batch-size', '2', '--precision', 'fp32', *arguments,
    ])  # fmt: skip
    return status, plan


def exit_code(run: Callable[[], int]) -> int:
    """Return the exit code of a program that may end itself."""
    try:
        return run()
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize('backend', ['auto', 'tensorrt_lean'])
def test_the_lean_runtime_of_the_same_version_runs_a_portable_plan(
    backend: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine(BUILDER) as world:
        status, plan = build(model, '--portable', '--json')
        assert status == 0
        flags = set(world.builds[0]['flags'])
        assert flags == {'VERSION_COMPATIBLE', 'EXCLUDE_LEAN_RUNTIME'}
        assert world.builds[0]['hardware'] == 'NONE'
    report = json.loads(capsys.readouterr().out)
    assert (report['plan'], report['device']) == (str(plan), 'Double 0')
    # A portable plan is for another machine: the store keeps none.
    assert not list(model.parent.glob('plans/*/*.engine'))
    expected = onnxruntime.InferenceSession(str(model)).run(None, {'images': BATCH})[0]
    config = DetectorConfig(model_path=str(plan), backend=backend)
    with machine(LEAN) as world:
        with open_engine(config, None, batch_size=2) as engine:
            np.testing.assert_array_equal(engine.run(BATCH)[0], expected)
            assert engine.info.backend == 'tensorrt_lean'
            # The lean runtime has no inspector.
            assert engine.info.precision == 'unknown'
        world.cuda.assert_clean()


def test_class_names_come_with_the_plan(model: Path) -> None:
    proto = onnx.load(model)
    proto.metadata_props.add(key='names', value="{0: 'cat', 1: 'dog', 2: 'cow'}")
    onnx.save(proto, model)
    with machine(BUILDER):
        status, plan = build(model, '--portable')
        assert status == 0
    # Nothing of the model but the plan is on the other machine.
    moved = plan.rename(model.parent / 'elsewhere.engine')
    model.unlink()
    config = DetectorConfig(model_path=str(moved), warmup_iterations=0)
    with machine(LEAN), create_detector(config) as detector:
        assert detector.class_names == ('cat', 'dog', 'cow')
        image = Image.from_array(np.zeros((64, 64, 3), np.uint8))
        assert len(detector.detect([image]).detections) == 1


def test_a_plan_that_is_not_portable_is_refused_with_the_remedy(model: Path) -> None:
    with machine(BUILDER):
        assert build(model)[0] == 0
    config = DetectorConfig(model_path=str(model.with_suffix('.engine')), backend='tensorrt_lean')
    with machine(LEAN) as world:
        with pytest.raises(EngineError) as caught:
            create_detector(config)
        world.cuda.assert_clean()
    text = str(caught.value)
    assert 'magicTag == kEXPECTED_MAGIC_TAG failed' in text
    assert 'build_engine --portable' in text


@pytest.mark.parametrize(
    ('builder', 'runner'),
    [('tensorrt-10.16', LEAN), (BUILDER, 'tensorrt-10.16'), ('tensorrt-10.16', BUILDER)],
)
def test_a_portable_plan_of_another_version_is_refused(
    builder: str, runner: str, model: Path
) -> None:
    # It does not bring the lean runtime of its version, and no other runs it.
    with machine(builder):
        assert build(model, '--portable')[0] == 0
    config = DetectorConfig(model_path=str(model.with_suffix('.engine')))
    with machine(runner), pytest.raises(EngineError, match='incompatible ser') as caught:
        create_detector(config)
    if runner == LEAN:
        assert 'portable plans of its own TensorRT version only' in str(caught.value)


def test_the_tool_names_the_lean_runtime_that_runs_the_plan(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine(BUILDER):
        assert build(model, '--portable')[0] == 0
        assert 'pip install tensorrt-lean-cu13==11.4.0.106' in capsys.readouterr().err
        assert build(model)[0] == 0
        assert 'lean runtime' not in capsys.readouterr().err


@pytest.mark.parametrize('any_ampere', [False, True])
def test_any_ampere_runs_on_another_gpu(any_ampere: bool, model: Path) -> None:
    with machine(BUILDER) as world:
        arguments = ['--portable', '--any-ampere'] if any_ampere else ['--portable']
        assert build(model, *arguments)[0] == 0
        assert world.builds[0]['hardware'] == ('AMPERE_PLUS' if any_ampere else 'NONE')
    config = DetectorConfig(model_path=str(model.with_suffix('.engine')))
    other: dict[str, Any] = {**GPU, 'cc': (8, 9)}
    with machine(LEAN, gpus=[other]):
        if any_ampere:
            with open_engine(config, None, batch_size=2) as engine:
                engine.run(BATCH)
        else:
            with pytest.raises(EngineError, match='mismatch'):
                open_engine(config, None, batch_size=2)


def test_the_lean_runtime_builds_nothing(model: Path) -> None:
    config = DetectorConfig(model_path=str(model), backend='tensorrt_lean')
    with machine(LEAN), pytest.raises(ConfigError, match='build_engine --portable --output FILE'):
        create_detector(config)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--any-ampere'], '--any-ampere needs --portable'),
        (['--portable', '--compute-capability', '8.6'], 'leave out --compute-capability'),
        (['--portable', '--backend', 'tensorrt_rtx'], 'only tensorrt builds portable plans'),
        (['--portable', '--plugin-libraries', 'x.so'], 'cannot use plugin libraries'),
        (['--portable', '--dla-core', '0'], 'set it to -1'),
    ],
)
def test_what_does_not_go_with_a_portable_plan(
    arguments: list[str], said: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine('tensorrt-10.16', dla_cores=1) as world:
        assert exit_code(lambda: build(model, *arguments)[0]) == 2
        assert world.builds == []
    assert said in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--batch-size', '-3'], ['--backend', 'nonsense']])
def test_a_wrong_value_ends_with_the_status_of_the_help(
    arguments: list[str], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine('tensorrt-10.16'):
        assert exit_code(lambda: build(model, *arguments)[0]) == 2
    assert arguments[0].strip('-').split('-')[0] in capsys.readouterr().err


def test_the_built_precision_of_a_portable_plan_is_reported(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = networks.write_cache(model.parent / 'yolo.cache', model)
    arguments = ['--portable', '--precision', 'int8', '--calib-cache-path', str(cache), '--json']
    with machine('tensorrt-10.3', ignore_int8=True):
        assert build(model, *arguments)[0] == 0
    report = json.loads(capsys.readouterr().out)
    assert report['precision'] == 'fp16'
    assert any('TensorRT built fp16' in text for text in report['warnings'])


def test_a_portable_plan_needs_an_output(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with machine('tensorrt-10.16'):
        assert exit_code(lambda: build_engine.main(['--model', str(model), '--portable'])) == 2
    assert '--portable needs --output' in capsys.readouterr().err


def test_doctor_tells_when_to_use_the_lean_runtime(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with machine('tensorrt-11.4'):
        doctor.main([])
    assert (
        'for a robot that only runs plans of "build_engine --portable"' in capsys.readouterr().out
    )
    with machine(LEAN):
        doctor.main([])
    output = capsys.readouterr().out
    assert 'prebuilt plans of "build_engine --portable" only' in output
    # It builds nothing, so it is no backend for an ONNX file.
    assert 'takes onnxruntime' in output
