# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the node that need no graph: image_queue, statistics, topics, set-up of the process."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import threading

import pytest
from support.ros_graph import ROOT
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError
from trt_detector.process import tuning as dds
from trt_detector.ros.image_queue import ImageQueue
from trt_detector.ros.statistics import SessionStatistics
from trt_detector.ros.topics import name_camera_topics


def open_mailbox(cameras: int) -> ImageQueue:
    image_queue = ImageQueue(cameras)
    image_queue.open()
    return image_queue


def test_mailbox_keeps_the_newest_and_says_what_it_lost() -> None:
    image_queue = open_mailbox(1)
    assert [image_queue.put(0, name) for name in 'abc'] == [0, 1, 1]
    assert [queued_image.message for queued_image in image_queue.take(1)] == ['c']


def test_mailbox_serves_cameras_in_turn() -> None:
    image_queue = open_mailbox(3)
    served = []
    for _ in range(3):
        for camera in range(3):
            image_queue.put(camera, 'image')
        served.append([queued_image.camera for queued_image in image_queue.take(2)])
    assert served == [[0, 1], [2, 0], [1, 2]]


def test_mailbox_that_is_shut_takes_nothing_in_and_gives_nothing_out() -> None:
    image_queue = ImageQueue(2)
    assert image_queue.put(0, 'too early') == 1
    image_queue.open()
    image_queue.put(1, 'waiting')
    assert image_queue.shut() == [1]
    assert image_queue.put(0, 'too late') == 1
    image_queue.close()
    assert image_queue.take(2) == []
    image_queue.open()
    assert image_queue.put(0, 'after the end') == 1


def test_mailbox_is_idle_only_when_the_taker_comes_back() -> None:
    image_queue = open_mailbox(1)
    image_queue.put(0, 'image')
    image_queue.take(1)
    assert not image_queue.wait_idle(0.05)
    threading.Thread(target=image_queue.take, args=(1,), daemon=True).start()
    assert image_queue.wait_idle(20)
    image_queue.close()


def test_percentiles_of_a_stage() -> None:
    statistics = SessionStatistics(1)
    for value in range(101):
        statistics.add_times({'infer': float(value)})
    assert statistics.percentiles_ms() == {'infer': (50.0, 95.0, 99.0)}


def name_topics(*topics: str, transport: str = 'raw') -> list[tuple[str, str, str]]:
    """Return subscription, detections and debug image of each camera, in the namespace /ns."""
    config = DetectorConfig(image_topics=topics, image_transport=transport)

    def resolve(topic: str) -> str:
        return topic if topic.startswith('/') else f'/ns/{topic}'

    return [
        (camera.subscription, camera.detections, camera.debug_image)
        for camera in name_camera_topics(config, resolve)
    ]


def test_topics_of_one_camera() -> None:
    assert name_topics('image_raw') == [('image_raw', '~/detections', '~/debug_image')]
    assert name_topics('image_raw', transport='compressed')[0][0] == '/ns/image_raw/compressed'
    assert name_topics('/a/b/compressed', transport='compressed')[0][0] == '/a/b/compressed'


def test_topics_of_several_cameras() -> None:
    assert name_topics('left/image_raw', '/right/image_raw') == [
        ('left/image_raw', '/ns/left/detections', '/ns/left/debug_image'),
        ('/right/image_raw', '/right/detections', '/right/debug_image'),
    ]
    with pytest.raises(ConfigError, match='both publish to /ns/detections'):
        name_topics('left_image', 'right_image')


def test_shared_memory_profile_is_chosen_only_where_the_user_chose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    free: dict[str, str] = {}
    assert dds.use_shared_memory(free) == []
    assert free == {'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds_shm.xml')}
    for chosen in (
        {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'},
        {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'},
    ):
        environ = dict(chosen)
        assert dds.use_shared_memory(environ) == []
        assert environ == chosen
    (tmp_path / 'DEFAULT_FASTDDS_PROFILES.xml').touch()
    environ = {}
    assert dds.use_shared_memory(environ) == []
    assert environ == {}


def test_fast_dds_2_gets_the_variable_of_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'lib').mkdir()
    (tmp_path / 'lib' / 'libfastrtps.so.2.6').touch()
    environ = {'AMENT_PREFIX_PATH': str(tmp_path)}
    dds.use_shared_memory(environ)
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' in environ
    assert 'FASTDDS_DEFAULT_PROFILES_FILE' not in environ


def test_too_little_shared_memory_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dds.shutil, 'disk_usage', lambda _path: type('Usage', (), {'free': 2**26}))
    environ: dict[str, str] = {}
    (note,) = dds.use_shared_memory(environ)
    assert '64 MiB free of the 256 MiB needed' in note
    assert '--shm-size' in note
    assert environ == {}


def test_memory_is_kept_unless_the_user_set_malloc_up() -> None:
    # In a process of its own: it cannot be taken back.
    code = (
        'from trt_detector.process.tuning import keep_image_memory as keep;'
        "print(keep({'MALLOC_ARENA_MAX': '1'}), keep({}))"
    )
    finished = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    glibc = 'glibc' in os.confstr('CS_GNU_LIBC_VERSION') if os.name == 'posix' else False
    assert finished.stdout.split() == ['False', str(glibc)]
