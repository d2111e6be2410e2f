# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the advice about arguments of ROS that it cannot read."""

from __future__ import annotations

import signal

import pytest
from support.ros_start import check_that_ros_reads, read_refusal
from trt_detector.process.ros_arguments import find_wrong_rules
from trt_detector.ros import main as main_module


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['-p', 'model_path:=m.onnx'], '-p is an argument of ROS: write --ros-args before it'),
        (['--params-file', 'x.yaml'], '--params-file is an argument of ROS: write --ros-args'),
        (['model_path:=/a/m.onnx'], 'write --ros-args -p model_path:=/a/m.onnx'),
        (['--ros-args', '--', '-r', 'a:=b'], '-r is an argument of ROS: write --ros-args'),
    ],
)
def test_arguments_of_ros_without_its_option_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as end:
        main_module.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ('option', 'rule', 'remedy'),
    [
        ('-p', 'model_path=m.onnx', 'write NAME:=VALUE, with a colon before the ='),
        ('-r', 'image_raw=/cam', 'write NAME:=VALUE'),
        ('-r', '__ns:=robot', 'a namespace starts with /, e.g. __ns:=/robot'),
        ('--remap', 'detector:__ns:=robot', 'e.g. detector:__ns:=/robot'),
        ('-r', '__node:=front-left', 'the name of a node has letters'),
        ('-r', '__node:=1st', 'the name of a node has letters'),
        ('-r', '__node:=', 'the name of a node has letters'),
        ('-r', '__node:=front_2', None),
        ('-r', '__ns:=/robot', None),
        ('-p', 'text:=a=b', None),
    ],
)
def test_rules_that_ros_cannot_read_have_a_remedy(
    option: str, rule: str, remedy: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['--ros-args', option, rule]
    if remedy is None:
        assert find_wrong_rules(arguments) == []
        check_that_ros_reads(arguments)
        return
    message = read_refusal(arguments, capsys)
    assert f'; {option} {rule}: ' in message
    assert remedy in message
