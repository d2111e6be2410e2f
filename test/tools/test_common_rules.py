# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rules that every tool keeps when it is used wrongly or its files are missing."""

from __future__ import annotations

import importlib
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import pytest
from trt_detector.__main__ import _TOOLS

DEMO = Path(__file__).parents[2] / 'demo' / 'models' / 'demo_raw.onnx'
NEEDS_ROS = {'benchmark_node', 'dashboard', 'play_images'}
MODEL = ('--model', 'missing.onnx')
# Arguments of which a file is missing, and the text that names what.
FAILING: dict[str, tuple[tuple[str, ...], str]] = {
    'benchmark': (MODEL, 'missing.onnx'),
    'benchmark_node': (('--against', 'cat', '--topic', '/a', '--json', '/proc/a/b.json'), '/proc'),
    'build_engine': (MODEL, 'missing.onnx'),
    'calibrate': ((*MODEL, '--images', '.', '--output', 'a.calib'), 'missing.onnx'),
    'dashboard': (('--address', '203.0.113.1', '--port', '0'), '203.0.113.1'),
    'detect': ((*MODEL, '--images', 'missing.jpg'), 'missing.jpg'),
    'doctor': (('--json', '/proc/a/report.json'), '/proc/a/report.json'),
    'evaluate': ((*MODEL, '--data', 'missing.json'), 'missing'),
    'inspect_engine': (('missing.engine',), 'missing.engine'),
    'play_images': (('--images', 'missing'), 'missing'),
    'run_bag': ((*MODEL, '--bag', 'missing', '--output', 'out'), 'missing'),
}
# A table, or the findings, come whatever fails.
PRINT_A_RESULT = {'benchmark', 'doctor', 'inspect_engine'}


def load(tool: str) -> Any:
    """Import the module of a tool, as python3 -m trt_detector does."""
    return importlib.import_module(f'trt_detector.tools.{tool}')


def test_each_tool_is_tried() -> None:
    assert set(FAILING) == set(_TOOLS)


@pytest.mark.parametrize('tool', _TOOLS)
def test_unknown_option_is_named_with_code_2(
    tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if tool in NEEDS_ROS:
        pytest.importorskip('rclpy', reason='rclpy is missing: source ROS 2')
    arguments = [*FAILING[tool][0], '--no-such-option']
    with pytest.raises(SystemExit) as caught:
        load(tool).main(arguments)
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.out == ''
    assert '--no-such-option' in printed.err
    assert f'usage: {tool} ' in printed.err


@pytest.mark.parametrize('tool', _TOOLS)
def test_missing_file_is_named_and_nothing_else_is_printed(
    tool: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if tool in NEEDS_ROS:
        pytest.importorskip('rclpy', reason='rclpy is missing: source ROS 2')
    else:
        monkeypatch.setitem(sys.modules, 'rclpy', None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    arguments, named = FAILING[tool]
    assert load(tool).main(list(arguments)) == 1
    printed = capsys.readouterr()
    assert named in (printed.err + printed.out if tool in PRINT_A_RESULT else printed.err)
    assert f'{tool}: ' in printed.err
    # No progress bar without a terminal, no traceback, no table without a result.
    assert '\r' not in printed.err + printed.out
    assert 'Traceback' not in printed.err
    assert tool in PRINT_A_RESULT or printed.out == ''


@pytest.mark.parametrize(
    ('tool', 'arguments'),
    [
        ('play_images', ['--images', '.']),
        ('dashboard', []),
        ('doctor', ['--topic', '/image']),
        ('calibrate', ['--model', 'm.onnx', '--output', 'm.calib', '--topic', '/image']),
    ],
)
def test_ros_that_is_missing_is_told_with_the_file_to_source(
    tool: str,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    monkeypatch.setitem(sys.modules, 'rclpy.utilities', None)
    Path('m.onnx').write_bytes(DEMO.read_bytes())
    assert load(tool).main(arguments) == 1
    printed = capsys.readouterr()
    told = [line for line in (printed.err + printed.out).splitlines() if 'ROS 2' in line]
    assert any(line.endswith('or bringup/env.sh if there is no ROS 2') for line in told)
    assert any('/opt/ros/<distro>/setup.bash' in line for line in told)


@pytest.mark.parametrize('port', ['-1', '65536', '99999', 'http', '²'])
def test_a_port_is_one_of_tcp(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('rclpy', reason='rclpy is missing: source ROS 2')
    with pytest.raises(SystemExit) as caught:
        load('dashboard').main([f'--port={port}'])
    assert caught.value.code == 2
    assert 'from 0 to 65535' in capsys.readouterr().err


@pytest.mark.parametrize('error', ['KeyboardInterrupt', 'ValueError'])
def test_ctrl_c_ends_with_one_line(error: str) -> None:
    code = (
        'from trt_detector.tools.command_line import make_parser, parse_arguments\n'
        "parse_arguments(make_parser('tool', '', examples=[], exit_codes={}), None)\n"
        f'raise {error}'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    interrupted = error == 'KeyboardInterrupt'
    assert done.returncode == (-signal.SIGINT if interrupted else 1)
    assert (done.stderr == 'tool: interrupted\n') is interrupted
    assert ('Traceback' in done.stderr) is not interrupted
