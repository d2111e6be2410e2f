# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that every image of several cameras is accounted for, exactly."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

import cv2
import numpy as np
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import detector_node, image_message, RunningNode, StubFactory, wait_until
from trt_detector.errors import EngineError
from vision_msgs.msg import Detection2DArray

FAILING_WIDTH = 66
BURST = 40


class Camera:
    """
    Publisher that counts what it sends while the node is subscribed.

    :param running: the node.
    :param number: index of the camera.
    :param message_type: type of its messages.
    :param topic: its topic.
    :param qos: of the publisher.
    :param make: creates the message of a number.
    """

    def __init__(
        self,
        running: RunningNode,
        number: int,
        message_type: Any,
        topic: str,
        qos: Any,
        make: Callable[[int], Any],
    ) -> None:
        self._running, self._number, self._make = running, number, make
        self._create = lambda: running.publisher(message_type, topic, qos)
        self._publisher = self._create()
        self._made = 0
        self.sent = 0

    def restart(self) -> None:
        """Destroy the publisher and create another, as a camera that died does."""
        self._running.client.destroy_publisher(self._publisher)
        self._publisher = self._create()

    def publish(self) -> None:
        """Publish the next image."""
        self._publisher.publish(self._make(self._made))
        self._made += 1

    def get_counts(self) -> Any:
        session = self._running.node._health.session
        assert session is not None
        return session.statistics.counts(self._number)

    def get_accounted(self) -> int:
        """Add up received and lost images."""
        session = self._running.node._health.session
        assert session is not None
        return int(self.get_counts().received + session.subscriptions[self._number].loss.lost)

    def start(self) -> None:
        """Publish until the first image is received: from then on every image counts."""
        before = self.get_counts().received

        def is_received() -> bool:
            self.publish()
            deadline_s = time.monotonic() + 0.5
            while self.get_counts().received == before and time.monotonic() < deadline_s:
                time.sleep(0.01)
            return bool(self.get_counts().received > before)

        wait_until(is_received, 'the first image')
        self.sent += 1
        assert self.get_accounted() == self.sent

    def send(self, number: int, pause_s: float) -> None:
        """Publish images that count."""
        for _ in range(number):
            self.publish()
            self.sent += 1
            time.sleep(pause_s)

    def finish(self) -> None:
        """Publish until received + lost = sent; a last image that is lost shows with the next."""

        def is_accounted() -> bool:
            deadline_s = time.monotonic() + 0.5
            while self.get_accounted() != self.sent and time.monotonic() < deadline_s:
                time.sleep(0.01)
            if self.get_accounted() == self.sent:
                return True
            self.send(1, 0.0)
            return False

        wait_until(is_accounted, f'received + lost = {self.sent}; is {self.get_accounted()}')


def make_raw(number: int) -> Any:
    """Create images of changing size and encoding: some malformed, some whose inference fails."""
    message = image_message(64 + 4 * (number % 5), 48, stamp=(number, 0))
    if number % 7 == 3:
        message.encoding, message.step = 'mono8', message.width
        message.data = bytes(message.width * message.height)
    elif number % 7 == 4:
        message.encoding = 'sepia'
    elif number % 7 == 5:
        return image_message(FAILING_WIDTH, 48, stamp=(-number, 0))
    return message


def make_compressed(number: int) -> Any:
    """Create JPEG and PNG images, some of them cut off."""
    suffix = ('jpeg', 'png')[number % 2]
    data = cv2.imencode(f'.{suffix}', np.full((48, 64, 3), number % 256, np.uint8))[1].tobytes()
    return CompressedImage(format=suffix, data=data[: 50 if number % 5 == 4 else len(data)])


def test_every_image_is_accounted_for() -> None:
    def behave(images: Any) -> None:
        time.sleep(0.005)
        if any(image.width == FAILING_WIDTH for image in images):
            raise EngineError('this width fails')

    topics = ['/left/image', '/right/image', '/rear/image/compressed']
    with detector_node(StubFactory(behave=behave), image_topics=topics) as running:
        assert running.configure()
        cameras = [
            Camera(running, 0, ImageMessage, topics[0], 10, make_raw),
            Camera(running, 1, ImageMessage, topics[1], qos_profile_sensor_data, make_raw),
            Camera(running, 2, CompressedImage, topics[2], 10, make_compressed),
        ]
        arrays = [
            running.collect(Detection2DArray, f'/{name}/detections', 1000)
            for name in ('left', 'right', 'rear')
        ]
        for pause_s in (0.01, 0.0, 0.003):
            assert running.activate()
            # The choice of the reliability is over before images count.
            time.sleep(1.2)
            for camera in cameras:
                camera.start()
            for _ in range(BURST):
                for camera in cameras:
                    camera.send(1, 0.0)
                time.sleep(pause_s)
            for camera in cameras:
                camera.finish()
            assert running.deactivate()
            for camera in cameras:
                camera.publish()  # while nobody is subscribed: neither sent nor lost
            cameras[0].restart()
        counts = [camera.get_counts() for camera in cameras]
        for camera, count in zip(cameras, counts, strict=True):
            assert camera.get_accounted() == camera.sent > 3 * BURST
            parts = count.published + count.dropped + count.malformed + count.failed
            assert count.received == parts, count
        # Each fate occurs, or the test would say less than it seems to.
        for name in ('published', 'dropped', 'malformed', 'failed'):
            assert sum(getattr(count, name) for count in counts) > 0, name
        wait_until(
            lambda: [len(a) for a in arrays] == [count.published for count in counts],
            'an array for each image that counts as published',
        )


def test_images_of_two_publishers_of_a_topic_are_accounted_for() -> None:
    with detector_node(qos_reliability='best_effort') as running:
        received: dict[int, int] = {1: 0, 2: 0}
        publishers = [
            running.publisher(ImageMessage, '/image_raw', qos)
            for qos in (10, qos_profile_sensor_data)
        ]
        assert running.configure()
        assert running.activate()
        (subscription,) = running.node._health.session.subscriptions
        add_image = subscription.loss.add_image

        def add(info: Any, stamp_ns: int) -> None:
            received[stamp_ns // 10**9] += 1
            add_image(info, stamp_ns)

        subscription.loss.add_image = add
        for publisher in publishers:
            wait_until(publisher.get_subscription_count, 'the subscription')

        def publish() -> None:
            """Publish an image of each at the same moment."""
            for number, publisher in enumerate(publishers, 1):
                publisher.publish(image_message(640, 480, stamp=(number, 0)))
            time.sleep(0.02)

        def is_received() -> bool:
            publish()
            return min(received.values()) > 0

        wait_until(is_received, 'an image of each publisher')
        sent = sum(received.values()) + subscription.loss.lost
        for _ in range(BURST):
            publish()
            sent += 2

        def is_accounted() -> bool:
            nonlocal sent
            if sum(received.values()) + subscription.loss.lost == sent:
                return True
            publish()
            sent += 2
            return False

        wait_until(is_accounted, 'received + lost = sent')
        # Under load both lose images, but equally.
        assert 2 * min(received.values()) > max(received.values()), received
