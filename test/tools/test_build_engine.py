# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The tools build_engine, inspect_engine and doctor."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from types import ModuleType
from typing import Any

from doubles.machine import machine
from doubles.nvml_double import DISCRETE, make_nvml
from doubles.onnxruntime_double import cuda_provider
import pytest
from support import networks
from support.requirements import require_rtx_builder
from trt_detector.tools import build_engine, doctor, inspect_engine
from trt_detector.tools.doctor import middleware

TOOLS = ('build_engine', 'inspect_engine', 'doctor', 'play_images')
ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model with a dynamic batch."""
    return networks.yolo(tmp_path / 'yolo.onnx')


@pytest.mark.parametrize('tool', TOOLS)
def test_help_needs_no_gpu_library(tool: str) -> None:
    blocked = dict.fromkeys(('tensorrt', 'tensorrt_rtx', 'pycuda', 'pynvml', 'rclpy'))
    code = (
        f'import sys; sys.modules.update({blocked!r})\n'
        f'from trt_detector.tools.{tool} import main\nmain(["--help"])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f'usage: {tool}' in done.stdout


def build(model: Path, *options: str) -> int:
    """Run build_engine with its plans beside the model."""
    folder = str(model.parent / 'plans')
    return build_engine.main(['--model', str(model), '--engine-cache-dir', folder, *options])


def test_build_engine_builds_once_and_reports_the_engine(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = networks.write_cache(model.parent / 'yolo.cache', model)
    with machine('tensorrt-10.3') as world:
        assert build(model, '--calib-cache-path', str(cache), '--json') == 0
        first = json.loads(capsys.readouterr().out)
        assert build(model, '--calib-cache-path', str(cache), '--json') == 0
        second = json.loads(capsys.readouterr().out)
        assert build(model, '--calib-cache-path', str(cache)) == 0
        assert 'INT8 engine of' in capsys.readouterr().out
        assert len(world.builds) == 1
        world.cuda.assert_clean()
    assert (first['from_cache'], second['from_cache']) == (False, True)
    assert first['precision'] == 'int8'
    assert first['version'] == '10.3.0'
    assert Path(first['plan']).name == 'yolo.cc_8.6_sm_82.int8.engine'
    assert Path(first['plan']).stat().st_size == first['bytes']
    assert '4 int8' in first['details']['precision of layers']


def test_the_key_file_is_read_once(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / 'plan.key'
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    opened: list[str] = []
    real_open = os.open

    def record(path: Any, *arguments: Any, **named: Any) -> int:
        opened.append(os.fspath(path))
        return real_open(path, *arguments, **named)

    monkeypatch.setattr(os, 'open', record)
    options = ['--precision', 'fp32', '--plan-key-path', str(key)]
    with machine('tensorrt-10.3'):
        assert build(model, *options, '--output', str(tmp_path / 'copy.engine')) == 0
    assert opened.count(str(key)) == 1
    assert (tmp_path / 'copy.engine.hmac').is_file()


def test_build_engine_takes_the_parameters_of_the_node(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / 'copy.engine'
    options = ['--min-shape', '1', '3', '64', '64', '--opt-shape', '3', '3', '64', '64']
    options += ['--max-shape', '5', '3', '64', '64', '--workspace-fraction', '0.25']
    with machine('tensorrt-10.16') as world:
        assert build(model, '--precision', 'fp32', '--output', str(copy), *options) == 0
        (header,) = world.builds
    assert header['profile']['images'] == [[n, 3, 64, 64] for n in (1, 3, 5)]
    assert header['workspace'] == 6 << 30
    assert copy.read_bytes() == next(tmp_path.glob('plans/*/*.engine')).read_bytes()


def test_build_engine_reports_warnings_and_errors(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine('tensorrt-10.3'):
        assert build(model, '--calib-cache-path', '/nowhere/x', '--json') == 0
        captured = capsys.readouterr()
        assert 'does not exist' in captured.err
        assert 'does not exist' in json.loads(captured.out)['warnings'][0]
        assert build(model, '--precision', 'int8') == 1
        assert 'calib_cache_path is empty' in capsys.readouterr().err
        assert build(model.with_name('none.onnx')) == 1
        assert 'none.onnx' in capsys.readouterr().err
        with pytest.raises(SystemExit, match='2'):
            build(model, '--compute-capability', '8.6')
        assert 'needs --output' in capsys.readouterr().err
    with machine('tensorrt-10.3', fail_build='Error Code 10: no implementation'):
        assert build(model, '--precision', 'fp32') == 1
        assert 'Error Code 10' in capsys.readouterr().err
    with machine(None, gpus=[]):
        assert build(model) == 1
        assert 'GPU' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('output', 'reason'),
    [
        ('.', 'is a folder'),
        ('yolo.onnx', 'is the model itself'),
        ('link.onnx', 'is the model itself'),
        ('absent/model.engine', 'No such file or directory; choose a folder that exists'),
        ('yolo.onnx/model.engine', 'Not a directory; choose a folder that exists'),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_build(
    model: Path, output: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.read_bytes()
    (model.parent / 'link.onnx').symlink_to(model)
    with machine('tensorrt-10.3'):
        assert build(model, '--precision', 'fp32', '--output', str(model.parent / output)) == 1
    captured = capsys.readouterr().err
    assert f'--output {model.parent / output}' in captured
    assert reason in captured
    assert model.read_bytes() == before
    assert not (model.parent / 'plans').exists()


def test_the_output_may_be_in_the_home_folder(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('HOME', str(model.parent))
    with machine('tensorrt-10.3'):
        assert build(model, '--precision', 'fp32', '--output', '~/model.engine') == 0
    assert (model.parent / 'model.engine').is_file()


def test_build_engine_builds_for_a_gpu_that_is_not_here(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_rtx_builder()
    output = tmp_path / 'elsewhere.engine'
    options = ['--compute-capability', '8.9', '--output', str(output), '--json']
    assert build(model, '--precision', 'fp16', *options) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report['compute_capability'] == [8, 9]
    assert report['backend'] == 'tensorrt_rtx'
    assert output.read_bytes().startswith(b'vtrt')
    assert '% ' in captured.err or ' s  ' in captured.err
    assert build(model, '--compute-capability', '8.7', '--output', str(output)) == 1
    assert '8.6, 8.9' in capsys.readouterr().err


INTERRUPTED = """
import sys
sys.path.insert(0, {tests!r})
from doubles.machine import machine
from trt_detector.tools.build_engine import main
with machine('tensorrt-10.3', steps=100_000, step_seconds=0.01) as world:
    world.on_step = lambda: print('step', flush=True)
    sys.exit(main(['--model', {model!r}, '--engine-cache-dir', {plans!r}]))
"""


def test_ctrl_c_cancels_the_build(model: Path) -> None:
    tests, plans = str(Path(__file__).parents[1]), str(model.parent / 'plans')
    code = INTERRUPTED.format(tests=tests, model=str(model), plans=plans)
    process = subprocess.Popen(
        [sys.executable, '-c', code], cwd=ROOT, text=True, bufsize=1,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    while process.stdout.readline().strip() != 'step':
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert 'the build was cancelled after' in errors
    assert not list(model.parent.glob('plans/*/*.engine'))


def test_inspect_engine_shows_manifest_tensors_and_layers(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = networks.write_cache(model.parent / 'yolo.cache', model)
    with machine('tensorrt-10.3') as world:
        build(model, '--calib-cache-path', str(cache))
        capsys.readouterr()
        (plan,) = model.parent.glob('plans/*/*.engine')
        assert inspect_engine.main([str(plan), '--json']) == 0
        report = json.loads(capsys.readouterr().out)
        assert inspect_engine.main([str(plan), '--layers']) == 0
        text = capsys.readouterr().out
        world.cuda.assert_clean()
    assert report['input'] == 'images [?, 3, 64, 64] float32'
    assert report['outputs'] == ['output0 [?, 7, 64] float32']
    assert report['manifest']['model_name'] == 'yolo'
    assert report['precision'] == 'int8'
    layers = {layer['name']: layer['precision'] for layer in report['layers']}
    assert layers['model.0'] == 'int8'
    assert layers['model.3.cls.sigmoid'] == 'fp32'
    assert 'int8  Conv                 model.0' in text
    assert '  precision: int8' in text


def test_inspect_engine_without_a_gpu_still_shows_the_manifest(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine('tensorrt-10.3'):
        build(model, '--precision', 'fp32')
        capsys.readouterr()
    (plan,) = model.parent.glob('plans/*/*.engine')
    with machine(None, gpus=[]):
        assert inspect_engine.main([str(plan), '--json']) == 1
    report = json.loads(capsys.readouterr().out)
    assert report['manifest']['built_precision'] == 'fp32'
    assert 'GPU' in report['error']


def test_inspect_engine_names_a_manifest_of_an_earlier_version(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine('tensorrt-10.3'):
        build(model, '--precision', 'fp32')
        (beside,) = model.parent.glob('plans/*/*.json')
        beside.write_text(json.dumps(json.loads(beside.read_text()) | {'format': 1}))
        assert inspect_engine.main([str(beside.with_suffix(''))]) == 1
    message = capsys.readouterr().err
    assert f'{beside} cannot be used: format of the manifest is 1; expected 2' in message
    assert 'build the engine again' in message


def test_inspect_engine_shows_the_manifest_and_rejects_a_file_that_is_no_engine(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine('tensorrt-10.3'):
        build(model, '--precision', 'fp32')
        capsys.readouterr()
        (beside,) = model.parent.glob('plans/*/*.json')
        values = json.loads(beside.read_text())
        assert inspect_engine.main([str(beside.with_suffix('')), '--json']) == 0
        assert json.loads(capsys.readouterr().out)['manifest'] == values
        nothing = tmp_path / 'nothing.engine'
        nothing.write_bytes(b'nothing')
        nothing.chmod(0o600)
        assert inspect_engine.main([str(nothing)]) == 1
        captured = capsys.readouterr()
        assert 'manifest: none beside the engine' in captured.out
        assert 'rejects the plan of 7 bytes' in captured.err
        assert inspect_engine.main([str(tmp_path / 'absent.engine')]) == 1


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ROS 2 importable, as on a machine that has it."""
    for name in middleware._ROS_MODULES:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')


def diagnose(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    """Run doctor and return its exit code and findings by name."""
    code = doctor.main(['--json', *options])
    report = json.loads(capsys.readouterr().out)
    assert report['can_run'] is (code == 0)
    return code, {finding['name']: finding for finding in report['findings']}


def test_doctor_of_a_healthy_machine(
    ros: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine('tensorrt-10.3'):
        code, found = diagnose(capsys, '--engine-cache-dir', str(tmp_path / 'plans'))
    assert code == 0
    assert found['gpu']['text'].startswith('Double 0: compute capability 8.6, 82 multiproc')
    assert found['gpu memory']['text'] == '24.0 GiB'
    assert found['tensorrt'] == {
        'name': 'tensorrt', 'status': 'ok', 'text': 'TensorRT 10.3.0 (precision flags)',
        'remedy': '',
    }  # fmt: skip
    assert found['tensorrt_rtx']['status'] == 'note'
    assert found['backend auto']['text'] == 'takes tensorrt'
    assert found['ros 2']['text'] == 'jazzy'
    assert '0 engine(s)' in found['engine folder']['text']
    assert not (tmp_path / 'plans').exists()


@pytest.mark.parametrize(('bits', 'status'), [(0x4, 'ok'), (0x40, 'note')])
def test_doctor_reports_the_state_of_the_gpu(
    bits: int, status: str, ros: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {**DISCRETE, 'nvmlDeviceGetCurrentClocksEventReasons': bits}
    with machine('tensorrt-10.3'):
        sys.modules['pynvml'] = make_nvml(answers)
        code, found = diagnose(capsys, '--engine-cache-dir', str(tmp_path))
    assert code == 0
    state = found['gpu state']
    assert state['status'] == status
    assert 'temperature C 61; GPU load % 87' in state['text']
    assert ('too hot' in state['remedy']) is (status == 'note')


def test_doctor_recognizes_an_onnxruntime_for_cuda(
    ros: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine(None) as world, cuda_provider(world.cuda):
        _, found = diagnose(capsys, '--engine-cache-dir', str(tmp_path))
    assert found['onnxruntime']['text'].endswith(' for CUDA')


def test_doctor_without_gpu_falls_back_and_gives_remedies(
    ros: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with machine(None, gpus=[]):
        code, found = diagnose(capsys, '--engine-cache-dir', str(tmp_path))
    assert code == 0
    assert found['backend auto']['text'] == 'takes onnxruntime'
    assert found['onnxruntime']['text'].endswith(' for the CPU')
    assert 'gpu memory' not in found
    for name in ('gpu', 'tensorrt', 'tensorrt_rtx', 'cuda bindings'):
        assert found[name]['status'] == 'note'
        assert found[name]['remedy']


@pytest.mark.parametrize('broken', ['ros 2', 'onnx', 'backend auto'])
def test_doctor_fails_if_the_node_cannot_run(
    broken: str, ros: None, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    missing = {'ros 2': 'vision_msgs', 'onnx': 'onnx', 'backend auto': 'onnxruntime'}[broken]
    with machine(None, gpus=[]):
        monkeypatch.setitem(sys.modules, missing, None)
        code, found = diagnose(capsys, '--engine-cache-dir', str(tmp_path))
        assert doctor.main(['--engine-cache-dir', str(tmp_path)]) == 1
    text = capsys.readouterr().out
    problems = [name for name, finding in found.items() if finding['status'] == 'problem']
    assert code == 1
    assert problems == [broken]
    assert found[problems[0]]['remedy'] in text
    assert 'the node cannot run here' in text
    if broken == 'ros 2':
        assert found['ros 2']['remedy'] == 'sudo apt install ros-jazzy-vision-msgs'


def test_doctor_reports_a_read_only_folder(
    ros: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / 'file'
    blocked.write_text('')
    with machine('tensorrt-10.3'):
        code, found = diagnose(capsys, '--engine-cache-dir', str(blocked / 'plans'))
    assert code == 0
    assert found['engine folder']['status'] == 'note'
    assert 'set engine_cache_dir' in found['engine folder']['remedy']
