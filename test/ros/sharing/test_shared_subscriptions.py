# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that detectors of one process share their subscriptions, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, ExitStack
import os
import threading
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import (
    image_message,
    NodeHarness,
    ros_context,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.ros import messages
from trt_detector.ros.node import DetectorNode
from trt_detector.ros.sharing.shared_subscriptions import SharedSubscriptions
from vision_msgs.msg import Detection2DArray

TOPIC = '/image_raw'
RELIABLE_QOS = 10


class Member(NodeHarness):
    """
    One of the detectors of the process, with what it publishes.

    :param context: initialized context.
    :param shared: the subscriptions of the process.
    :param name: name of the node.
    :param parameters: of the node.
    """

    def __init__(self, context: Any, shared: SharedSubscriptions, name: str, **parameters: Any):
        values = {'model_path': 'stub.onnx', 'diagnostics_period': 0.2, **parameters}
        self.seen: list[Any] = []
        self.reduction = 1
        self.factory = StubFactory(behave=self.see)
        node = DetectorNode(
            name,
            create=self.factory,
            receiver=shared,
            context=context,
            parameter_overrides=[Parameter(key, value=value) for key, value in values.items()],
            use_global_arguments=False,
        )
        super().__init__(context, node)
        self.arrays = self.collect(Detection2DArray, f'/{name}/detections', 1000)

    def see(self, images: Sequence[Any]) -> None:
        self.seen += [image.decode(self.reduction) for image in images]

    def start(self) -> None:
        assert self.configure()
        assert self.activate()

    @property
    def counts(self) -> Any:
        return self.node._health.session.statistics.counts(0)

    @property
    def lost(self) -> int:
        return int(self.node._health.session.subscriptions[0].loss.lost)

    def is_done(self, received: int) -> bool:
        """Tell whether so many images are received and have had their outcome."""
        count = self.counts
        parts = count.published + count.dropped + count.malformed + count.failed
        return bool(count.received == parts == received)


@contextmanager
def members(*parameters: dict[str, Any]) -> Iterator[Sequence[Member]]:
    """Run detectors with these parameters, active, in one process."""
    with ros_context() as context, ExitStack() as undo:
        shared = SharedSubscriptions(context)
        undo.callback(shared.close)
        nodes = []
        for number, values in enumerate(parameters):
            nodes.append(Member(context, shared, f'detector_{number}', **values))
            undo.callback(nodes[-1].close)
            nodes[-1].start()
        yield nodes


def count_subscriptions(member: Member, topic: str = TOPIC) -> int:
    return len(member.client.get_subscriptions_info_by_topic(topic))


def wait_for_subscriptions(member: Member, number: int, topic: str = TOPIC) -> None:
    wait_until(lambda: count_subscriptions(member, topic) == number, f'{number} subscriptions')


def wait_until_matched(member: Member, publisher: Any, reliability: str) -> None:
    """Wait until the choice of the reliability is over and the publisher is matched."""
    name = f'camera {TOPIC}'
    member.status(name, lambda status: values_of(status)['reliability'] == reliability)
    wait_for_subscriptions(member, 1)
    wait_until(lambda: publisher.get_subscription_count() == 1, 'the subscription')


def send(publisher: Any, nodes: Sequence[Member], number: int, first: int = 1) -> None:
    """Publish images, each after all of these nodes are done with the one before."""
    for offset in range(number):
        before = [node.counts.received for node in nodes]
        publisher.publish(image_message(stamp=(first + offset, 0)))
        for node, count in zip(nodes, before, strict=True):
            wait_until(lambda node=node, count=count: node.is_done(count + 1), 'the outcome')


def stamps(member: Member) -> list[int]:
    return [array.header.stamp.sec for array in member.arrays]


def assert_nothing_but_images(client: Any) -> None:
    """Check that the hidden node needs no rights beside those of the detectors."""
    name = f'_trt_detector_images_{os.getpid()}'
    subscribed = {topic for topic, _ in client.get_subscriber_names_and_types_by_node(name, '/')}
    published = {topic for topic, _ in client.get_publisher_names_and_types_by_node(name, '/')}
    assert subscribed == {TOPIC}
    assert published <= {'/parameter_events'}
    assert not client.get_service_names_and_types_by_node(name, '/')


def test_two_detectors_share_one_subscription_and_each_answers_every_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Any] = []
    open_message = messages.open_message
    monkeypatch.setattr(
        messages,
        'open_message',
        lambda message, **limits: read.append(message) or open_message(message, **limits),
    )
    with members({}, {}) as nodes:
        camera = nodes[0].publisher(ImageMessage, TOPIC, RELIABLE_QOS)
        for node in nodes:
            wait_until_matched(node, camera, 'reliable')
        send(camera, nodes, 20)
        for node in nodes:
            wait_until(lambda node=node: len(node.arrays) == 20, 'the detections')
            assert stamps(node) == list(range(1, 21))
            assert node.lost == 0
            status = node.status(f'camera {TOPIC}')
            assert values_of(status)['image shared with'] == '2 detectors of this process'
        assert_nothing_but_images(nodes[0].client)
        assert len(read) == 20
        assert [id(image) for image in nodes[0].seen] == [id(image) for image in nodes[1].seen]


def test_others_go_on_if_one_is_deactivated_cleaned_up_or_destroyed() -> None:
    with ros_context() as context, ExitStack() as undo:
        shared = SharedSubscriptions(context)
        undo.callback(shared.close)
        first = Member(context, shared, 'first')
        with ExitStack() as first_exit:
            first_exit.callback(first.close)
            second = Member(context, shared, 'second')
            undo.callback(second.close)
            first.start()
            second.start()
            camera = second.publisher(ImageMessage, TOPIC, RELIABLE_QOS)
            wait_until_matched(first, camera, 'reliable')
            wait_until_matched(second, camera, 'reliable')
            send(camera, [first, second], 3)
            assert first.deactivate()
            send(camera, [second], 3)
            assert first.is_done(3), 'images arrived while it was inactive'
            assert first.activate()
            send(camera, [first, second], 3)
            assert first.lost == second.lost == 0, 'what was sent while it was inactive counts'
            assert first.deactivate()
            assert first.cleanup()
            send(camera, [second], 3)
            first.start()
            send(camera, [first, second], 3)
        send(camera, [second], 3)
        assert second.is_done(18)
        assert second.lost == 0
        assert count_subscriptions(second) == 1
        assert 'image shared with' not in values_of(second.status(f'camera {TOPIC}'))
        assert second.deactivate()
        wait_for_subscriptions(second, 0)
        assert second.activate()
        wait_for_subscriptions(second, 1)


def test_reliability_follows_the_cameras_with_one_subscription() -> None:
    with members({}, {}) as nodes:
        client = nodes[0].client
        camera = nodes[0].publisher(ImageMessage, TOPIC, RELIABLE_QOS)
        for node in nodes:
            wait_until_matched(node, camera, 'reliable')
        send(camera, nodes, 2)
        client.destroy_publisher(camera)
        camera = nodes[0].publisher(ImageMessage, TOPIC, qos_profile_sensor_data)
        for node in nodes:
            wait_until_matched(node, camera, 'best_effort')
        send(camera, nodes, 2)
        client.destroy_publisher(camera)
        camera = nodes[0].publisher(ImageMessage, TOPIC, qos_profile_sensor_data)
        wait_until(lambda: camera.get_subscription_count() == 1, 'the subscription')
        send(camera, nodes, 2)
        for node in nodes:
            assert node.is_done(6)
            assert node.lost == 0


def test_detectors_with_other_qos_transport_or_topic_share_nothing() -> None:
    compressed = {'image_transport': 'compressed'}
    with members({}, {'qos_reliability': 'best_effort'}, compressed) as nodes:
        raw, best_effort, jpeg = nodes
        camera = raw.publisher(ImageMessage, TOPIC, RELIABLE_QOS)
        jpeg_camera = raw.publisher(CompressedImage, f'{TOPIC}/compressed', RELIABLE_QOS)
        raw.status(f'camera {TOPIC}', lambda s: values_of(s)['reliability'] == 'reliable')
        jpeg.status(f'camera {TOPIC}', lambda s: values_of(s)['reliability'] == 'reliable')
        wait_for_subscriptions(raw, 2)
        wait_for_subscriptions(raw, 1, f'{TOPIC}/compressed')
        wait_until(lambda: camera.get_subscription_count() == 2, 'the subscriptions')
        wait_until(lambda: jpeg_camera.get_subscription_count() == 1, 'the subscription')
        send(camera, [raw, best_effort], 3)
        data = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        jpeg_camera.publish(CompressedImage(format='jpeg', data=data))
        wait_until(lambda: jpeg.is_done(1), 'the compressed image')
        assert raw.is_done(3)
        for node in nodes:
            assert 'image shared with' not in values_of(node.status(f'camera {TOPIC}'))


def test_jpeg_is_decoded_once_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    compressed = {'image_transport': 'compressed'}
    decoded: list[Any] = []
    imdecode = cv2.imdecode
    monkeypatch.setattr(
        cv2, 'imdecode', lambda data, flags: decoded.append(data) or imdecode(data, flags)
    )
    with members(compressed, compressed, compressed) as nodes:
        nodes[2].reduction = 2
        camera = nodes[0].publisher(CompressedImage, f'{TOPIC}/compressed', RELIABLE_QOS)
        for node in nodes:
            node.status(f'camera {TOPIC}', lambda s: values_of(s)['reliability'] == 'reliable')
        wait_until(lambda: camera.get_subscription_count() == 1, 'the subscription')
        data = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        for number in range(1, 6):
            camera.publish(CompressedImage(format='jpeg', data=data))
            for node in nodes:
                wait_until(lambda node=node, number=number: node.is_done(number), 'the image')
        assert len(decoded) == 10
        assert [node.counts.published for node in nodes] == [5, 5, 5]
        assert [image.width for node in nodes for image in node.seen] == [64] * 10 + [32] * 5
        assert [id(image) for image in nodes[0].seen] == [id(image) for image in nodes[1].seen]
        camera.publish(CompressedImage(format='jpeg', data=data[:100]))
        for node in nodes:
            wait_until(lambda node=node: node.is_done(6), 'the damaged image')
            assert node.counts.malformed == 1


def test_limits_of_rate_and_size_are_those_of_each_detector() -> None:
    rate, size = {'max_rate': [0.01]}, {'max_image_pixels': 64 * 48 - 1}
    with members({}, rate, size) as nodes:
        free, rare, small = nodes
        camera = free.publisher(ImageMessage, TOPIC, RELIABLE_QOS)
        for node in nodes:
            wait_until_matched(node, camera, 'reliable')
        send(camera, nodes, 4)
        assert free.counts.published == 4
        assert (rare.counts.published, rare.counts.dropped, rare.counts.skipped) == (1, 3, 3)
        assert small.counts.malformed == 4


def test_slow_detector_does_not_hold_another_back() -> None:
    with members({}, {}) as nodes:
        quick, slow = nodes
        camera = quick.publisher(ImageMessage, TOPIC, RELIABLE_QOS)
        for node in nodes:
            wait_until_matched(node, camera, 'reliable')
        released = threading.Event()
        slow.factory.behave = lambda _: released.wait(20)
        send(camera, [quick], 5)
        wait_until(lambda: slow.counts.received == 5, 'the images of the slow detector')
        assert quick.counts.published == 5
        assert slow.counts.published == 0
        released.set()
        wait_until(lambda: slow.is_done(5), 'the outcome')
        # The first one ran, the newest waited, and the others were dropped.
        assert (slow.counts.published, slow.counts.dropped) == (2, 3)
