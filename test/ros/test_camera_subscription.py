# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that the subscription follows the publishers, and what is said if no image arrives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import re
import threading
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.qos import qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import String
from support.ros_graph import (
    detector_node,
    image_message,
    RunningNode,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.image.loss_counter import LossCounter
from trt_detector.ros.camera_subscription import choose_reliability
from trt_detector.ros.image_queue import ImageQueue
from vision_msgs.msg import Detection2DArray

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize(
    ('offered', 'expected'),
    [
        ([], BEST_EFFORT),
        ([RELIABLE], RELIABLE),
        ([RELIABLE, RELIABLE], RELIABLE),
        ([RELIABLE, BEST_EFFORT], BEST_EFFORT),
        ([BEST_EFFORT], BEST_EFFORT),
        ([ReliabilityPolicy.SYSTEM_DEFAULT], BEST_EFFORT),
    ],
)
def test_choice_of_the_reliability(
    offered: list[ReliabilityPolicy], expected: ReliabilityPolicy
) -> None:
    chosen, reason = choose_reliability(offered)
    assert chosen == expected
    assert f'of {len(offered)} publishers' in reason or not offered


def activate(running: RunningNode) -> None:
    assert running.configure()
    assert running.activate()


def wait_for_reliability(running: RunningNode, name: str) -> None:
    running.status('camera /image_raw', lambda s: values_of(s)['reliability'] == name)


def publish_until_received(running: RunningNode, camera: Any) -> None:
    """Publish until the count of received images rises."""
    before = int(values_of(running.status('camera /image_raw'))['received'])

    def is_received(status: Any) -> bool:
        camera.publish(image_message())
        return int(values_of(status)['received']) > before

    running.status('camera /image_raw', is_received)


def test_auto_follows_the_publishers(capfd: pytest.CaptureFixture[str]) -> None:
    with detector_node() as running:
        reliable = running.publisher(ImageMessage, '/image_raw')
        activate(running)
        wait_for_reliability(running, 'reliable')
        publish_until_received(running, reliable)
        best_effort = running.publisher(ImageMessage, '/image_raw', qos_profile_sensor_data)
        wait_for_reliability(running, 'best_effort')
        values = values_of(running.status('camera /image_raw'))
        assert values['reliability chosen because'] == '1 of 2 publishers are reliable'
        publish_until_received(running, best_effort)
        publish_until_received(running, reliable)
        running.client.destroy_publisher(best_effort)
        wait_for_reliability(running, 'reliable')
        publish_until_received(running, reliable)
        assert running.deactivate()
        assert running.activate()
        publish_until_received(running, reliable)
    # rclpy says so, but the subscription follows.
    assert 'No messages will be received' not in capfd.readouterr().err


def test_reason_is_that_of_the_present_publishers() -> None:
    with detector_node() as running:
        activate(running)
        for number in (1, 2):
            running.publisher(ImageMessage, '/image_raw', qos_profile_sensor_data)
            text = f'0 of {number} publishers are reliable'
            status = running.status(
                'camera /image_raw',
                lambda s, text=text: values_of(s)['reliability chosen because'] == text,
            )
            assert values_of(status)['reliability'] == 'best_effort'


@pytest.mark.parametrize('name', ['reliable', 'best_effort'])
def test_given_reliability_is_kept(name: str) -> None:
    other = QoSProfile(depth=1, reliability=BEST_EFFORT if name == 'reliable' else RELIABLE)
    with detector_node(qos_reliability=name) as running:
        activate(running)
        running.publisher(ImageMessage, '/image_raw', other)
        wait_until(lambda: running.node.count_publishers('/image_raw'), 'the publisher')
        wait_for_reliability(running, name)


def test_lost_images_are_counted_and_reported_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    began, release = threading.Event(), threading.Event()
    put = ImageQueue.put

    def put_slowly(queue: ImageQueue, camera: int, message: Any) -> int:
        if message.header.stamp.sec == 1:
            began.set()
            assert release.wait(20)
        return put(queue, camera, message)

    monkeypatch.setattr(ImageQueue, 'put', put_slowly)
    with detector_node() as running:
        camera = running.publisher(ImageMessage, '/image_raw', 20)
        activate(running)
        wait_for_reliability(running, 'reliable')
        wait_until(camera.get_subscription_count, 'the subscription')
        # While the first is held, the middleware keeps the newest five of the others.
        camera.publish(image_message(stamp=(1, 0)))
        assert began.wait(20)
        for second in range(2, 16):
            camera.publish(image_message(stamp=(second, 0)))
        release.set()
        status = running.status('camera /image_raw', lambda s: values_of(s)['received'] == '6')
        assert values_of(status)['lost'] == '9'
        status = running.status('camera /image_raw', lambda s: s.level == b'\x01')
    assert '9 of 15 images were lost in transit' in status.message
    assert 'FASTDDS_DEFAULT_PROFILES_FILE=' in status.message
    # The camera is reliable already.
    assert 'config/fastdds_shm.xml, send compressed images' in status.message
    assert capfd.readouterr().err.count('9 of 15 images were lost in transit') == 1


def silence(running: RunningNode, part: str, text: str) -> Any:
    """Wait for a warning of a camera that holds a text."""
    return running.status(part, lambda s: s.level == b'\x01' and text in s.message)


def test_silence_names_the_other_transport() -> None:
    with detector_node(image_timeout=0.3) as running:
        running.publisher(CompressedImage, '/image_raw/compressed')
        activate(running)
        silence(running, 'camera /image_raw', 'set image_transport to compressed')
    with detector_node(image_timeout=0.3, image_transport='compressed') as running:
        running.publisher(ImageMessage, '/image_raw')
        activate(running)
        silence(running, 'camera /image_raw', 'but /image_raw is published')


@pytest.mark.parametrize(
    ('message_type', 'text'),
    [
        (CompressedImage, 'has the type sensor_msgs/msg/CompressedImage, but the node subscribes'),
        (String, 'has the type std_msgs/msg/String, but the node subscribes'),
    ],
)
def test_silence_names_a_type_mismatch(message_type: Any, text: str) -> None:
    with detector_node(image_timeout=0.3) as running:
        # In another participant: one participant cannot hold a topic with two types.
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=running.node.context.get_domain_id())
        camera = rclpy.create_node('camera', context=context, use_global_arguments=False)
        camera.create_publisher(message_type, '/image_raw', 1)
        activate(running)
        silence(running, 'camera /image_raw', text)
        camera.destroy_node()
        rclpy.try_shutdown(context=context)


def test_topic_of_another_type_in_the_same_process_is_a_one_line_error() -> None:
    with detector_node() as running:
        running.publisher(String, '/image_raw')
        assert running.configure()
        assert not running.activate()
        assert running.get_state() == 'inactive'
        error = values_of(running.status('detector'))['last error']
        assert error.startswith('cannot activate: cannot subscribe to /image_raw')


def test_silence_names_similar_topics_and_remapping() -> None:
    with detector_node(image_timeout=0.3, cli_args=['-r', 'image_raw:=/cam/image']) as running:
        running.publisher(ImageMessage, '/cam/image_color')
        activate(running)
        status = silence(running, 'camera /cam/image', 'no publisher of /cam/image')
        assert '(/image_raw is remapped to /cam/image)' in status.message
        silence(running, 'camera /cam/image', 'image topics with a publisher: /cam/image_color')


def test_silence_does_not_suggest_debug_images() -> None:
    with detector_node(image_timeout=0.3) as running:
        for topic in ('/image_raw2/debug_image', '/image_raw3/debug_image/compressed'):
            running.publisher(CompressedImage, topic)
        running.publisher(ImageMessage, '/camera/color')
        activate(running)
        text = silence(running, 'camera /image_raw', 'topics with a publisher').message
        assert text.endswith('topics with a publisher: /camera/color')


def test_silence_is_logged_and_warned_of_by_the_node(capfd: pytest.CaptureFixture[str]) -> None:
    with detector_node(image_topics=['/a/image', '/b/image'], image_timeout=0.5) as running:
        camera = running.publisher(ImageMessage, '/a/image')
        activate(running)
        status = silence(running, 'detector', 'no images from any of the 2 cameras')
        assert status.message.startswith('active; ')
        # With one camera alive the node is fine, and the other camera is not.
        assert running.set_parameter('image_timeout', 30.0).successful
        running.status('detector', lambda s: s.level == b'\x00')
        camera.publish(image_message())
        assert running.set_parameter('image_timeout', 0.5).successful

        def is_fine(status: Any) -> bool:
            camera.publish(image_message())
            return bool(status.level == b'\x00')

        running.status('detector', is_fine)
    logged = capfd.readouterr().err
    assert logged.count('/b/image: no image for') == 1


def test_loss_long_ago_is_no_reason_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    with detector_node(image_timeout=0.3) as running:
        running.publisher(ImageMessage, '/image_raw')
        activate(running)
        monkeypatch.setattr(LossCounter, 'lost', 1)
        silence(running, 'camera /image_raw', '1 publisher(s) of /image_raw send nothing')


@contextmanager
def other_camera(running: Any, topic: str) -> Iterator[Any]:
    """Publish compressed images in another participant."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=running.node.context.get_domain_id())
    camera = rclpy.create_node('camera', context=context, use_global_arguments=False)
    try:
        yield camera.create_publisher(CompressedImage, topic, 1)
    finally:
        camera.destroy_node()
        rclpy.try_shutdown(context=context)


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_remedy_for_compressed_images_of_another_name_works(transport: str) -> None:
    settings: Any = {'image_timeout': 0.3, 'image_transport': transport}
    with (
        detector_node(image_topics=['/cam/jpeg'], **settings) as running,
        other_camera(running, '/cam/jpeg'),
    ):
        activate(running)
        text = silence(running, 'camera /cam/jpeg', 'in image_topics, and start').message
    remedy = re.search(r'name it (\S+) in image_topics.*--ros-args (-r) (\S+)"', text)
    assert remedy is not None, text
    topic, *arguments = remedy.groups()
    with detector_node(image_topics=[topic], cli_args=arguments, **settings) as running:
        arrays = running.collect(Detection2DArray, '/detector/detections')
        with other_camera(running, '/cam/jpeg') as camera:
            activate(running)
            status = silence(running, 'camera /cam/jpeg', 'publisher(s) of /cam/jpeg')
            assert '/cam/jpeg/compressed is remapped to /cam/jpeg' in status.message
            data = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
            camera.publish(CompressedImage(format='jpeg', data=data))
            wait_until(lambda: len(arrays) == 1, 'the detections')


def test_silence_refuses_depth() -> None:
    topic = '/depth/compressedDepth'
    with (
        detector_node(image_topics=[topic], image_timeout=0.3) as running,
        other_camera(running, topic),
    ):
        activate(running)
        silence(running, f'camera {topic}', 'name a topic with color, gray or Bayer images')


def test_silence_names_the_topic_that_the_appended_suffix_is_remapped_to() -> None:
    arguments = ['-r', 'image_raw/compressed:=/cam/jpeg']
    settings: Any = {'image_timeout': 0.3, 'image_transport': 'compressed'}
    with detector_node(cli_args=arguments, **settings) as running:
        activate(running)
        status = silence(running, 'camera /image_raw', 'no publisher of /cam/jpeg')
        assert '(/image_raw/compressed is remapped to /cam/jpeg)' in status.message


def test_camera_that_sends_nothing_is_told_from_a_missing_one() -> None:
    with detector_node(image_timeout=0.3) as running:
        running.publisher(ImageMessage, '/image_raw')
        activate(running)
        silence(running, 'camera /image_raw', '1 publisher(s) of /image_raw send nothing')


@pytest.mark.parametrize(
    ('offset_s', 'text'), [(-3600, '3600 s in the past'), (3600, '3600 s in the future')]
)
def test_stamps_far_from_now_are_reported(offset_s: int, text: str) -> None:
    with detector_node() as running:
        camera = running.publisher(ImageMessage, '/image_raw')
        activate(running)
        now = running.node.get_clock().now().to_msg()

        def is_told(status: Any) -> bool:
            camera.publish(image_message(stamp=(now.sec + offset_s, 0)))
            place = status.message.partition('header stamps are ')[2]
            number = place.partition(' ')[0]
            return number.isdecimal() and abs(int(number) - 3600) < 60

        status = running.status('camera /image_raw', is_told)
        assert text.partition('s ')[2] in status.message
        assert status.level == b'\x01'


@pytest.mark.parametrize('second', [0, -5])
def test_missing_stamps_are_reported(second: int) -> None:
    with detector_node() as running:
        camera = running.publisher(ImageMessage, '/image_raw')
        activate(running)

        def is_told(status: Any) -> bool:
            camera.publish(image_message(stamp=(second, 0)))
            return 'header stamp that is zero or negative' in status.message

        assert running.status('camera /image_raw', is_told).level == b'\x01'


def test_simulated_time_without_clock_is_reported() -> None:
    with detector_node(use_sim_time=True) as running:
        camera = running.publisher(ImageMessage, '/image_raw')
        activate(running)

        def is_told(status: Any) -> bool:
            camera.publish(image_message(stamp=(1000, 0)))
            return 'use_sim_time is true, but no time arrives on /clock' in status.message

        assert running.status('camera /image_raw', is_told).level == b'\x01'


def test_malformed_image_is_reported_with_the_reason() -> None:
    message = image_message()
    message.step = 7
    with detector_node() as running:
        camera = running.publisher(ImageMessage, '/image_raw')
        activate(running)

        def is_told(status: Any) -> bool:
            camera.publish(message)
            return 'dropped as unreadable: step is 7; expected' in status.message

        assert running.status('camera /image_raw', is_told).level == b'\x01'


def test_reliability_stays_if_the_camera_is_started_again() -> None:
    with detector_node(image_timeout=0.3) as running:
        camera = running.publisher(ImageMessage, '/image_raw')
        activate(running)
        wait_for_reliability(running, 'reliable')
        running.client.destroy_publisher(camera)
        wait_until(lambda: not running.node.count_publishers('/image_raw'), 'its end')
        # Longer than the period in which the publishers are looked at.
        silence(running, 'camera /image_raw', 'no publisher of /image_raw')
        session = running.node._health.session
        assert session is not None
        assert not session.subscriptions[0].is_outdated()
        wait_for_reliability(running, 'reliable')
        best_effort = running.publisher(ImageMessage, '/image_raw', qos_profile_sensor_data)
        wait_for_reliability(running, 'best_effort')
        publish_until_received(running, best_effort)


def test_high_share_of_dropped_images_is_told() -> None:
    release = threading.Event()

    def wait(_images: Any) -> None:
        release.wait(0.4)

    with detector_node(StubFactory(behave=wait)) as running:
        camera = running.publisher(ImageMessage, '/image_raw')
        activate(running)

        def is_told(status: Any) -> bool:
            now = running.node.get_clock().now().to_msg()
            camera.publish(image_message(stamp=(now.sec, now.nanosec)))
            return 'dropped: the detector is slower than the camera' in status.message

        status = running.status('camera /image_raw', is_told)
        release.set()
        assert status.level == b'\x00'


def test_mixed_transports_and_encodings() -> None:
    topics = ['/a/image', '/b/image/compressed']
    with detector_node(image_topics=topics) as running:
        raw = running.publisher(ImageMessage, '/a/image')
        compressed = running.publisher(CompressedImage, '/b/image/compressed')
        activate(running)
        data = cv2.imencode('.png', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        picture = CompressedImage(format='png', data=data)
        for camera, topic, message in (
            (raw, '/a/image', image_message()),
            (compressed, '/b/image/compressed', picture),
        ):

            def is_published(status: Any, camera: Any = camera, message: Any = message) -> bool:
                camera.publish(message)
                return int(values_of(status)['published']) > 0

            status = running.status(f'camera {topic}', is_published)
            assert values_of(status)['malformed'] == '0'
