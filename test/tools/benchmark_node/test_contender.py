# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Commands and topics of the nodes that benchmark_node starts."""

from __future__ import annotations

import json
from pathlib import Path
import re

import pytest
from support.ros_graph import detector_node
from trt_detector.tools.benchmark_node.contender import (
    Bare,
    Case,
    Command,
    DetectorNodes,
    OtherNode,
)  # fmt: skip

TOPICS = tuple(f'/camera_{number}/image_raw' for number in range(4))


def case(cameras: int) -> Case:
    """Return a load."""
    return Case((640, 480), 10.0, cameras)


def read_topics(command: Command) -> list[list[str]]:
    """Read the image topics of each node from its parameter file."""
    topics = []
    for words in command.commands:
        file = Path(words[words.index('--params-file') + 1])
        parameters = json.loads(file.read_text(encoding='utf-8'))['/**']['ros__parameters']
        assert parameters['model_path'] == 'm.onnx'
        topics.append(parameters['image_topics'])
    return topics


@pytest.mark.parametrize(
    ('cameras', 'nodes', 'images', 'detections'),
    [
        (1, 1, [[0]], ['/detector/detections']),
        (2, 1, [[0, 1]], ['/camera_0/detections', '/camera_1/detections']),
        (2, 2, [[0], [1]], ['/detector_0/detections', '/detector_1/detections']),
        (
            3, 2, [[0, 2], [1]],
            ['/camera_0/detections', '/detector_1/detections', '/camera_2/detections'],
        ),
    ],
)  # fmt: skip
def test_nodes_share_the_cameras(
    tmp_path: Path, cameras: int, nodes: int, images: list[list[int]], detections: list[str]
) -> None:
    contender = DetectorNodes('a', {'model_path': 'm.onnx'}, nodes)
    command = contender.prepare(case(cameras), tmp_path)
    assert read_topics(command) == [[TOPICS[number] for number in own] for own in images]
    assert list(command.topics) == detections
    names = [re.search(r'__node:=(\w+)', ' '.join(words)) for words in command.commands]
    assert len({name[1] for name in names if name}) == nodes


@pytest.mark.parametrize('cameras', [1, 2])
def test_topics_are_those_that_a_node_publishes(tmp_path: Path, cameras: int) -> None:
    command = DetectorNodes('a', {'model_path': 'm.onnx'}).prepare(case(cameras), tmp_path)
    with detector_node(image_topics=list(TOPICS[:cameras])) as running:
        assert running.configure()
        published = {
            name
            for name, types in running.node.get_publisher_names_and_types_by_node('detector', '/')
            if types == ['vision_msgs/msg/Detection2DArray']
        }
    assert set(command.topics) == published


@pytest.mark.parametrize(('cameras', 'spaces'), [(1, ['detector']), (2, ['camera_0', 'camera_1'])])
def test_readers_of_a_variant_get_their_topics(
    tmp_path: Path, cameras: int, spaces: list[str]
) -> None:
    page = 'http://127.0.0.1:9100/metrics'
    nodes = DetectorNodes('a', {'model_path': 'm.onnx'}, readers=('~/debug_image', page))
    command = nodes.prepare(case(cameras), tmp_path)
    assert command.subscribed == tuple(f'/{space}/debug_image' for space in spaces)
    assert command.pages == (page,)


def test_command_of_the_user_gets_the_topics(tmp_path: Path) -> None:
    one = OtherNode('b', 'run "my node" -r image:={image} --list {images}', '/{camera}/boxes')
    command = one.prepare(case(2), tmp_path)
    images = '["/camera_0/image_raw","/camera_1/image_raw"]'
    assert command.commands == (
        ('run', 'my node', '-r', f'image:={TOPICS[0]}', '--list', images),
        ('run', 'my node', '-r', f'image:={TOPICS[1]}', '--list', images),
    )
    assert command.topics == ('/camera_0/boxes', '/camera_1/boxes')
    # One process for all cameras.
    command = OtherNode('b', 'run --list {images}', '/boxes').prepare(case(2), tmp_path)
    assert command.commands == (('run', '--list', images),)
    assert command.topics == ('/boxes', '/boxes')


@pytest.mark.parametrize(('paced', 'rate_hz'), [(True, 40.0), (False, 0.0)])
def test_bare_model_has_the_parameters_of_the_node(
    tmp_path: Path, paced: bool, rate_hz: float
) -> None:
    contender = Bare('bare', {'model_path': 'm.onnx'}, Path('p.png'), paced)
    command = contender.prepare(case(4), tmp_path)
    settings, result = map(Path, command.commands[0][-2:])
    assert json.loads(settings.read_text(encoding='utf-8')) == {
        'parameters': {'model_path': 'm.onnx', 'image_topics': list(TOPICS)},
        'picture': 'p.png',
        'rate_hz': rate_hz,
    }
    assert result == contender.result(tmp_path)
    assert command.topics == ()
