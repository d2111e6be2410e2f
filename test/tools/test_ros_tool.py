# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that tools tell in one line why ROS cannot be started."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest
from support.ros_graph import PICTURES, ROOT
from trt_detector.errors import ConfigError
from trt_detector.tools.calibrate.sources import TopicSource
from trt_detector.tools.topic_check import observe_topic

PLAY = ('play_images.main', '--images', str(PICTURES), '--count', '1')
DASHBOARD = ('dashboard', '--port', '0')


def run(arguments: tuple[str, ...], **environment: str) -> subprocess.CompletedProcess[str]:
    module, *options = arguments
    return subprocess.run(
        [sys.executable, '-m', f'trt_detector.tools.{module}', *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ('options', 'code', 'message'),
    [
        (('--topic', 'bad topic'), 1, "--topic 'bad topic' is not the name of a topic"),
        (('--ros-args', '-r', '__ns:=bad'), 2, 'a namespace starts with /, e.g. __ns:=/bad'),
        (('-r', '__ns:=/robot'), 2, '-r is an argument of ROS: write --ros-args before it'),
    ],
)
def test_arguments_that_ros_refuses(options: tuple[str, ...], code: int, message: str) -> None:
    finished = run((*PLAY, *options))
    assert finished.returncode == code
    assert message in finished.stderr
    assert 'Traceback' not in finished.stderr


@pytest.mark.parametrize('tool', [PLAY, DASHBOARD])
@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('ROS_DOMAIN_ID', 'abc', "ROS_DOMAIN_ID is 'abc'; set it to a number from 0 to 101"),
        ('ROS_LOG_DIR', __file__, 'set ROS_LOG_DIR to a folder that can be written'),
    ],
)
def test_environment_that_ros_refuses(
    tool: tuple[str, ...], name: str, value: str, message: str
) -> None:
    if tool is DASHBOARD:
        pytest.importorskip('nicegui', reason='pip install nicegui')
    finished = run(tool, **{name: value})
    assert finished.returncode == 1
    assert f'{tool[0].partition(".")[0]}: ROS 2 cannot be started: ' in finished.stderr
    assert message in finished.stderr
    assert 'Traceback' not in finished.stderr


@pytest.mark.parametrize(
    'start', [lambda: TopicSource('/camera', 1, 1.0), lambda: observe_topic('/camera', 1.0)]
)
def test_tools_with_a_context_of_their_own_have_the_reason_in_the_error(
    start: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', 'abc')
    with pytest.raises(ConfigError, match="ROS_DOMAIN_ID is 'abc'"):
        start()


def test_a_program_that_cannot_start_leaves_the_handlers_of_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_images = import_module('trt_detector.tools.play_images.main')
    monkeypatch.setattr(play_images, 'tune_process', list)
    before = signal.getsignal(signal.SIGINT)
    assert play_images.main(['--images', str(tmp_path)]) == 1
    assert signal.getsignal(signal.SIGINT) is before
