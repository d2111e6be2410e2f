# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test reports of parameter files that do not match the node, or that ROS cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node
from support.ros_graph import next_domain
from support.ros_start import check_that_ros_reads, read_refusal
from trt_detector.ros import main as main_module
from trt_detector.ros.lifecycle import executable
from trt_detector.ros.parameter_files import (
    find_unmatched_files,
    find_unreadable_lists,
    find_wrong_layouts,
)

VALUES = '{ros__parameters: {score_threshold: 0.5}}'
KEYS = [
    '/**',
    '**',
    '/*',
    '/*/detector',
    '/**/detector',
    '/ns/*',
    'detector',
    '/detector',
    'ns/detector',
    '/ns/detector',
    '/other/detector',
    'ns/other',
    '/ns/detect',
]


@pytest.mark.parametrize('namespace', ['/', '/ns', '/a/ns'])
@pytest.mark.parametrize('key', KEYS)
def test_verdict_is_that_of_ros(tmp_path: Path, key: str, namespace: str) -> None:
    file = tmp_path / 'file.yaml'
    file.write_text(f"'{key}': {VALUES}\n")
    arguments = ['--ros-args', '--params-file', str(file), '-r', f'__ns:={namespace}']
    context = rclpy.Context()
    rclpy.init(args=arguments, context=context, domain_id=next_domain())
    node = Node('detector', context=context)
    # The independent verdict: does rclpy give the node the value?
    node.declare_parameter('score_threshold', 0.1)
    is_used = node.get_parameter('score_threshold').value == 0.5
    name = node.get_fully_qualified_name()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    assert (find_unmatched_files(arguments, name) == []) == is_used


def test_sentence_names_both(tmp_path: Path) -> None:
    file = tmp_path / 'file.yaml'
    file.write_text(f'ns: {{detector: {VALUES}}}\n/other: {VALUES}\n')
    (sentence,) = find_unmatched_files(['--params-file', str(file)], '/detector')
    assert 'has parameters for /ns/detector, /other, but this node is /detector' in sentence
    assert 'rename the key in the file to /detector or /**' in sentence


def test_files_without_parameters_and_missing_files_are_left_to_ros(tmp_path: Path) -> None:
    file = tmp_path / 'file.yaml'
    for text in ('', 'just text', '[1, 2]', '{', 'detector: {other: 1}'):
        file.write_text(text)
        assert find_unmatched_files(['--params-file', str(file)], '/detector') == []
    assert find_unmatched_files(['--params-file', '/no/such.yaml'], '/detector') == []
    assert find_unmatched_files(['--params-file'], '/detector') == []


@pytest.mark.parametrize(
    ('values', 'pair'),
    [
        ('[2:0.3]', '2:0.3'),
        ("['1:0.5', 2:30]", '2:30'),
        ('[person:0.5, car:0.3]', 'person:0.5'),
        ('[\'2:0.3\', "car:0.5"]  # not [2:0.3]', None),
    ],
)
def test_pairs_that_ros_cannot_read_are_to_be_quoted(
    tmp_path: Path,
    values: str,
    pair: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / 'file.yaml'
    file.write_text(f'/**:\n  ros__parameters:\n    class_score_thresholds: {values}\n')
    arguments = ['--ros-args', '--params-file', str(file)]
    remedy = f"{file}, line 3: write '{pair}' in quotes, not {pair}"
    assert find_unreadable_lists(arguments) == ([] if pair is None else [remedy])

    def refuse(**_: object) -> None:
        raise RuntimeError("Couldn't parse params file")

    monkeypatch.setattr(executable.rclpy, 'init', refuse)
    assert main_module.main(arguments) == 1
    assert (remedy in capfd.readouterr().err) == (pair is not None)


def test_file_of_another_node_of_the_process_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / 'front.yaml'
    file.write_text(f"'/front/detector': {VALUES}\n")
    arguments = ['--ros-args', '--params-file', str(file)]
    assert find_unmatched_files(arguments, '/front/detector', '/rear/detector') == []
    assert find_unmatched_files(arguments, '/rear/detector', '/front/detector') == []
    (sentence,) = find_unmatched_files(arguments, '/left/detector', '/right/detector')
    assert 'this node is /left/detector or /right/detector: none of them is used' in sentence


@pytest.mark.parametrize(
    ('line', 'remedy'),
    [
        ('class_map: [car:vehicle, truck:vehicle]', "write 'car:vehicle' in quotes"),
        ("class_map: ['car:vehicle', 'truck:vehicle']", None),
        ('regions: [include 0,0 1,0 1,1]', 'write each region in quotes'),
        ('regions: [ /cam/image: exclude 0,0 1,0 1,1]', 'write each region in quotes'),
        ("regions: ['/cam/image: exclude 0,0 1,0 1,1']", None),
        ('regions: ["include 0,0 1,0 1,1", \'exclude 0,0 0.5,0 1,1\']', None),
        ('min_size: [16, 0.1]', 'write all numbers of a list with a point, e.g. 16.0 for 16'),
        ('min_size: [0.5, -3]', 'e.g. -3.0 for -3'),
        ('min_size: [16.0, 0.1]', None),
        ('min_shape: [1, 3, 640, 640]', None),
    ],
)
def test_lists_that_ros_cannot_read_have_a_remedy(
    tmp_path: Path, line: str, remedy: str | None
) -> None:
    file = tmp_path / 'file.yaml'
    file.write_text(f'/**:\n  ros__parameters:\n    {line}\n')
    arguments = ['--ros-args', '--params-file', str(file)]
    found = find_unreadable_lists(arguments)
    assert len(found) == (remedy is not None)
    if remedy is not None:
        assert found[0].startswith(f'{file}, line 3: ')
        assert remedy in found[0]
    rule = ':='.join(line.split(': ', 1))
    given = ['--ros-args', '-p', rule]
    found = find_unreadable_lists(given)
    assert len(found) == (remedy is not None)
    assert remedy is None or (found[0].startswith(f'-p {rule}: ') and remedy in found[0])
    for each in (arguments, given):
        context = rclpy.Context()
        try:
            rclpy.init(args=each, context=context)
            is_read = True
        except Exception:
            is_read = False
        finally:
            rclpy.try_shutdown(context=context)
        assert is_read == (remedy is None), 'ROS itself decides what needs a remedy'


@pytest.mark.parametrize(
    ('text', 'remedy'),
    [
        ('model_path: m.onnx\n', 'it has no ros__parameters: write "/**:"'),
        ('detector:\n  model_path: m.onnx\n', 'it has no ros__parameters'),
        ('detector:\n  ros_parameters:\n    model_path: m.onnx\n', 'it has no ros__parameters'),
        ('ns:\n  detector:\n    ros__parameters:\n', 'ros__parameters of /ns/detector is empty'),
        ('/**:\n  ros__parameters:\n\t\tmodel_path: m\n', 'line 3 begins with a tab: indent with'),
        ('/**:\n  ros__parameters: {}\n', None),
        ('/**:\n  ros__parameters:\n    model_path: m\n', None),
    ],
)
def test_files_that_are_not_laid_out_as_ros_expects_have_a_remedy(
    tmp_path: Path, text: str, remedy: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'file.yaml'
    file.write_text(text)
    arguments = ['--ros-args', '--params-file', str(file)]
    if remedy is None:
        assert find_wrong_layouts(arguments) == []
        check_that_ros_reads(arguments)
        return
    message = read_refusal(arguments, capsys)
    assert f'{file}: {remedy}' in message
