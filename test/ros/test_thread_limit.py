# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test transitions while the process can start no more threads, e.g. in a small container."""

from __future__ import annotations

import threading

import pytest
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import detector_node, wait_until
from vision_msgs.msg import Detection2DArray


@pytest.mark.parametrize('name', ['inference', 'images'])
def test_transition_without_a_thread_is_refused_in_one_line_and_works_later(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with detector_node() as running:
        if name == 'images':
            assert running.configure()
        monkeypatch.setattr(threading.Thread, 'start', refuse)
        step = running.activate if name == 'images' else running.configure
        assert not step()
        assert running.get_state() == ('inactive' if name == 'images' else 'unconfigured')
        message = running.status('detector', lambda status: 'thread' in status.message).message
        assert "can't start new thread; raise the limit of threads (ulimit -u" in message
        monkeypatch.setattr(threading.Thread, 'start', start)
        if name == 'inference':
            assert running.configure()
        assert running.activate()
    assert 'Traceback' not in capfd.readouterr().err


def test_debug_image_without_a_thread_is_left_out_and_detections_go_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start, refused = threading.Thread.start, list[str]()

    def refuse(thread: threading.Thread) -> None:
        if thread.name == 'debug images':
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    with detector_node(publish_debug_image=True) as running:
        assert running.configure()
        assert running.activate()
        debug_images = running.collect(ImageMessage, '/detector/debug_image')
        arrays = running.collect(Detection2DArray, '/detector/detections')
        monkeypatch.setattr(threading.Thread, 'start', refuse)
        with running.images():
            wait_until(lambda: len(refused) > 2, 'debug images that are left out')
            seen = len(arrays)
            wait_until(lambda: len(arrays) > seen + 3, 'detections')
            monkeypatch.setattr(threading.Thread, 'start', start)
            wait_until(lambda: debug_images, 'a debug image')
        assert running.deactivate()
        assert running.cleanup()
    logged = capfd.readouterr().err
    assert "no debug image: can't start new thread; raise the limit of threads" in logged
    assert 'Traceback' not in logged
