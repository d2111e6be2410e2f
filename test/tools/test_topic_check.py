# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Check of a live image topic by doctor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import pytest
from trt_detector.tools.doctor import middleware
from trt_detector.tools.finding import Finding, NOTE, OK, PROBLEM
from trt_detector.tools.topic_check import judge_topic, TopicReport

RAW = 'sensor_msgs/msg/Image'


def report(**changes: Any) -> TopicReport:
    """Return a report of a healthy camera, with changes."""
    values: dict[str, Any] = {
        'topic': '/camera/image_raw',
        'publishers': (f'/camera ({RAW}, reliable volatile)',),
        'types': frozenset({RAW}),
        'reliability': 'reliable',
        'seconds': 5.0,
        'received': 150,
        'bytes_mean': 921600.0,
        'loss_method': 'sequence numbers',
        'content': '640x480 bgr8',
    }
    return TopicReport(**{**values, **changes})


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_healthy_camera_has_no_remedies() -> None:
    findings = judge_topic(report())
    assert [(f.name, f.status, f.remedy) for f in findings] == [
        ('publishers', OK, ''),
        ('rate', OK, ''),
        ('image', OK, ''),
        ('loss', OK, ''),
    ]
    assert '150 images in 5.0 s, 30.0 Hz, 0.92 MB each' in by_name(findings)['rate'].text


def test_several_publishers_of_a_topic_are_told() -> None:
    publishers = tuple(f'/{name} ({RAW}, reliable volatile)' for name in ('left', 'right'))
    cameras = by_name(judge_topic(report(publishers=publishers)))['cameras']
    assert cameras.status == NOTE
    assert cameras.text.startswith('2 publishers: the node detects in the images of all of them')
    assert 'remap the topic of all but one' in cameras.remedy


@pytest.mark.parametrize(('content', 'is_told'), [('64x48 16UC1', True), ('64x48 mono16', False)])
def test_an_encoding_of_depth_images_is_told(content: str, is_told: bool) -> None:
    findings = by_name(judge_topic(report(content=content)))
    assert findings['image'] == Finding('image', OK, content)
    assert ('encoding' in findings) == is_told
    assert not is_told or 'choose the topic of the color image' in findings['encoding'].remedy


def test_loss_names_the_settings_of_the_camera() -> None:
    loss = by_name(judge_topic(report(received=100, lost=50)))['loss']
    assert (loss.status, loss.text) == (NOTE, '50 of 150 images lost, by sequence numbers')
    assert 'start the camera with ' in loss.remedy


def test_a_topic_that_delivers_nothing_is_a_problem() -> None:
    rate = by_name(judge_topic(report(received=0)))['rate']
    assert rate.status == PROBLEM
    assert 'start the camera with ' in rate.remedy


def test_an_unknown_topic_names_the_nearest() -> None:
    topics = ('/camera/image_raw', '/rear/image_raw')
    (finding,) = judge_topic(TopicReport('/camera/image', image_topics=topics))
    assert finding.status == PROBLEM
    assert finding.text == (
        'no publisher of /camera/image; image topics here: /camera/image_raw, /rear/image_raw'
    )
    assert finding.remedy == 'use /camera/image_raw'


@pytest.mark.parametrize('types', [{'std_msgs/msg/String'}, {RAW, 'std_msgs/msg/String'}])
def test_other_types_are_a_problem(types: set[str]) -> None:
    finding = by_name(judge_topic(report(types=frozenset(types))))['type']
    assert finding.status == PROBLEM
    assert 'std_msgs/msg/String' in finding.text


@pytest.mark.parametrize('topic', ['/camera/jpeg', '/camera/jpeg/compressed'])
def test_compressed_images_of_another_name_need_a_remapping(topic: str) -> None:
    types = frozenset({'sensor_msgs/msg/CompressedImage'})
    found = by_name(judge_topic(report(topic=topic, types=types)))
    if topic.endswith('/compressed'):
        assert 'name' not in found
        return
    assert found['name'].status == NOTE
    assert f'-r {topic}/compressed:={topic}' in found['name'].remedy


def test_an_image_that_cannot_be_read_is_a_problem() -> None:
    assert by_name(judge_topic(report(error='encoding is 32FC1')))['image'].status == PROBLEM


@contextmanager
def camera(environment: dict[str, str], *options: str) -> Iterator[None]:
    """Publish the demo pictures in a process of its own."""
    from support.ros_graph import PICTURES

    picture = PICTURES / 'scene_03_320x240.png'
    command = [sys.executable, '-m', 'trt_detector.tools.play_images.main', '--loop']
    command += ['--images', str(picture), '--rate', '20', '--topic', '/lens/image_raw', *options]
    process = subprocess.Popen(command, env=environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


@pytest.mark.parametrize(
    ('options', 'qos', 'topic', 'content'),
    [
        (['--reliable'], f'({RAW}, reliable volatile)', 'lens/image_raw', '320x240 bgr8'),
        ([], f'({RAW}, best effort volatile)', '/lens/image_raw', '320x240 bgr8'),
    ],
)
def test_doctor_checks_a_live_topic(
    options: list[str], qos: str, topic: str, content: str
) -> None:
    from support.ros_graph import next_domain

    environment = {**os.environ, 'ROS_DOMAIN_ID': str(next_domain())}
    command = [sys.executable, '-m', 'trt_detector.tools.doctor.main', '--json', '--topic', topic]
    command += ['--seconds', '2']
    with camera(environment, *options):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stdout + done.stderr
    findings = {f['name']: f for f in json.loads(done.stdout)['findings']}
    assert qos in findings['publishers']['text']
    assert findings['image']['text'] == content
    assert findings['rate']['status'] == OK


def test_doctor_names_the_topics_of_the_graph() -> None:
    from support.ros_graph import next_domain

    environment = {**os.environ, 'ROS_DOMAIN_ID': str(next_domain())}
    command = [sys.executable, '-m', 'trt_detector.tools.doctor.main', '--topic', '/lens/image']
    with camera(environment):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert 'no publisher of /lens/image; image topics here: ' in done.stdout
    assert 'the node cannot detect in /lens/image; fix the problems above' in done.stdout


def test_doctor_tells_of_fast_dds_of_other_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, '_SHARED_MEMORY', tmp_path)
    assert middleware._shared_memory().status == OK
    (tmp_path / 'fastdds_1').write_bytes(b'')
    (tmp_path / 'other').write_bytes(b'')
    assert middleware._shared_memory().status == OK
    monkeypatch.setattr(os, 'getuid', lambda: tmp_path.stat().st_uid + 1)
    finding = middleware._shared_memory()
    assert finding.status == NOTE
    assert f'uid {tmp_path.stat().st_uid})' in finding.text
    assert 'FASTDDS_BUILTIN_TRANSPORTS=UDPv4' in finding.remedy
