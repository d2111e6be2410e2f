# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Debug images never delay detections."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import detector_node, image_message, StubFactory, wait_until
from trt_detector.image.image import Image
from trt_detector.ros.overlays.debug_images import DebugImages
from trt_detector.values.detections import Detections
from vision_msgs.msg import Detection2DArray


class Publisher:
    """
    Stand-in for the publisher of a camera.

    :param started: set when drawing begins.
    :param go_on: drawing ends when it is set.
    """

    def __init__(self) -> None:
        self.is_wanted = True
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.drawn: list[Any] = []
        self.error: Exception | None = None

    def wants_debug_image(self) -> bool:
        return self.is_wanted

    def publish_debug_image(self, header: Any, _image: Image, _detections: Detections) -> None:
        self.started.set()
        assert self.go_on.wait(20)
        self.drawn.append(header)
        if self.error is not None:
            raise self.error


class Log:
    """Stand-in for a node that logs."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def get_logger(self) -> Log:
        return self

    def error(self, text: str, **_: Any) -> None:
        self.lines.append(text)


IMAGE = Image.from_array(np.zeros((4, 4, 3), np.uint8))
NOTHING = Detections.empty()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def images(log: Log) -> Any:
    made = DebugImages(log)
    yield made
    made.close()


def test_the_newest_image_of_each_camera_is_drawn(images: DebugImages) -> None:
    publisher = Publisher()
    images.put(0, publisher, 'first', IMAGE, NOTHING)
    assert publisher.started.wait(20)
    # These return at once, although the first one is still being drawn.
    for header in ('old', 'newer', 'newest'):
        images.put(0, publisher, header, IMAGE, NOTHING)
    images.put(1, publisher, 'other camera', IMAGE, NOTHING)
    publisher.go_on.set()
    wait_until(lambda: len(publisher.drawn) == 3, 'three images')
    images.clear()
    assert publisher.drawn == ['first', 'newest', 'other camera']


def test_without_a_subscriber_there_is_not_even_a_thread(images: DebugImages) -> None:
    before = threading.active_count()
    publisher = Publisher()
    publisher.is_wanted = False
    images.put(0, publisher, 'header', IMAGE, NOTHING)
    assert threading.active_count() == before
    assert not publisher.started.is_set()


def test_a_failure_is_logged_and_the_next_image_drawn(images: DebugImages, log: Log) -> None:
    publisher = Publisher()
    publisher.go_on.set()
    publisher.error = ValueError('no memory')
    images.put(0, publisher, 'first', IMAGE, NOTHING)
    wait_until(lambda: log.lines == ['no debug image: ValueError: no memory'], 'the log line')
    publisher.error = None
    images.put(0, publisher, 'second', IMAGE, NOTHING)
    wait_until(lambda: publisher.drawn == ['first', 'second'], 'the second image')


def test_after_clear_nothing_is_drawn_and_after_close_nothing_is_taken(
    images: DebugImages,
) -> None:
    publisher = Publisher()
    images.put(0, publisher, 'first', IMAGE, NOTHING)
    assert publisher.started.wait(20)
    images.put(0, publisher, 'second', IMAGE, NOTHING)
    threading.Timer(0.1, publisher.go_on.set).start()
    images.clear()
    assert publisher.drawn == ['first']
    images.close()
    images.put(0, publisher, 'third', IMAGE, NOTHING)
    assert publisher.drawn == ['first']


def test_detections_arrive_while_a_debug_image_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def draw(picture: Any, *_: Any) -> Any:
        started.set()
        assert go_on.wait(20)
        return picture

    monkeypatch.setattr('trt_detector.ros.camera_publisher.draw_detections', draw)
    with detector_node(StubFactory()) as running:
        assert running.configure()
        assert running.activate()
        arrays = running.collect(Detection2DArray, '/detector/detections')
        pictures = running.collect(ImageMessage, '/detector/debug_image')
        camera = running.publisher(ImageMessage, '/image_raw')
        publisher = running.node._health.session._publishers[0]
        wait_until(publisher.wants_debug_image, 'a subscriber')
        wait_until(camera.get_subscription_count, 'the node')
        try:
            for second in range(1, 6):
                camera.publish(image_message(stamp=(second, 0)))
                wait_until(lambda: len(arrays) == second, f'array {second}')  # noqa: B023
            assert started.is_set()
            assert not pictures
        finally:
            go_on.set()
        wait_until(lambda: pictures and pictures[-1].header.stamp.sec == 5, 'the newest image')
        assert [picture.header.stamp.sec for picture in pictures] == [1, 5]
