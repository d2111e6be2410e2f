# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that images arrive as they were sent, in memory that is used again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import errno
import mmap
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from support.ros_graph import ros_context, WAIT_S, wait_until
from trt_detector.errors import ImageError
from trt_detector.image.reusable_memory import ReusableMemory
from trt_detector.ros.image_receiver import ImageReceiver
from trt_detector.ros.messages import read_image
from trt_detector.ros.serialized import buffer_pool, taker
from trt_detector.ros.serialized.image_message import DamagedMessage, ReceivedImage
from trt_detector.ros.topics import CameraTopics

DEPTH = 50


@dataclass
class Cameras:
    """Node that publishes, and a receiver with what it received."""

    node: Node
    receiver: ImageReceiver
    messages: list[Any] = field(default_factory=list)
    infos: list[Any] = field(default_factory=list)

    def subscribe(self, message_type: Any, topic: str) -> Any:
        """Subscribe and wait for the publisher; return subscription and publisher."""
        publisher = self.node.create_publisher(message_type, topic, DEPTH)
        camera = CameraTopics(
            topic, topic, topic, topic, message_type is CompressedImage, '', '', ''
        )
        subscription = self.receiver.subscribe(
            message_type, camera, QoSProfile(depth=DEPTH), self.add, print
        )
        self.receiver.start([subscription])
        wait_until(lambda: publisher.get_subscription_count() == 1, 'the publisher')
        return subscription, publisher

    def add(self, message: Any, info: Any) -> None:
        """Note a message."""
        self.messages.append(message)
        self.infos.append(info)

    def wait(self, count: int) -> None:
        """Wait for messages."""
        wait_until(lambda: len(self.messages) >= count, f'{count} messages')


@pytest.fixture
def cameras() -> Iterator[Cameras]:
    """Node and receiver."""
    with ros_context() as context:
        node = Node('cameras', context=context, use_global_arguments=False)
        receiver = ImageReceiver(node)
        yield Cameras(node, receiver)
        receiver.close()
        node.destroy_node()


def picture(width: int, height: int, seed: int) -> Image:
    """Make a message with random pixels."""
    message = Image(width=width, height=height, encoding='bgr8', step=width * 3)
    message.header.stamp.sec = seed
    message.data.frombytes(np.random.default_rng(seed).bytes(width * height * 3))
    return message


def test_images_of_changing_sizes_are_those_that_were_sent(cameras: Cameras) -> None:
    _, publisher = cameras.subscribe(Image, '/sizes')
    sizes = [(4, 3), (640, 480), (8, 8), (1280, 720), (1280, 721), (320, 240)]
    sent = [picture(*size, seed) for seed, size in enumerate(sizes * 2, 1)]
    for number, message in enumerate(sent, 1):
        publisher.publish(message)
        cameras.wait(number)
    for message, received in zip(sent, cameras.messages, strict=True):
        assert isinstance(received, ReceivedImage)
        assert received.header == message.header
        assert received.data.tobytes() == message.data.tobytes()
        assert read_image(received).memory is received.memory


def test_memory_is_used_again_but_not_while_an_image_exists(cameras: Cameras) -> None:
    _, publisher = cameras.subscribe(Image, '/memory')
    kept = []
    memories = set()
    for seed in range(1, 41):
        publisher.publish(picture(64, 48, seed))
        wait_until(lambda: cameras.messages, 'a message')
        received = cameras.messages.pop()
        memories.add(received.memory)
        if seed % 8 == 0:
            kept.append((seed, read_image(received)))
        del received
    assert len(memories) <= len(kept) + buffer_pool._MOST_FREE
    for seed, image in kept:
        assert image.data.tobytes() == picture(64, 48, seed).data.tobytes()


def test_message_info_has_what_rclpy_gives(cameras: Cameras) -> None:
    typed: list[Any] = []

    def add(message: Image, info: Any) -> None:
        typed.append(info)

    _, publisher = cameras.subscribe(Image, '/info')
    control = cameras.node.create_subscription(
        Image, '/info', lambda _: None, QoSProfile(depth=DEPTH)
    )
    wait_until(lambda: publisher.get_subscription_count() == 2, 'both')
    for seed in range(3):
        publisher.publish(picture(8, 8, seed))
    cameras.wait(3)
    for _ in range(3):
        with control.handle:
            _, info = control.handle.take_message(Image, False)
        add(Image(), info)
    for ours, theirs in zip(cameras.infos, typed, strict=True):
        # The time of reception is that of each subscription; Humble gives less.
        assert set(theirs) <= set(ours)
        for name in set(theirs) - {'received_timestamp', 'publisher_gid'}:
            assert ours[name] == theirs[name], name
        assert 0 < ours['source_timestamp'] < ours['received_timestamp']
        if 'publisher_gid' in theirs:
            assert ours['publisher_gid']['data'] == bytes(theirs['publisher_gid']['data'])


def test_taking_without_a_message_uses_one_memory(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def make(size: int) -> ReusableMemory:
        made.append(size)
        return ReusableMemory(size)

    monkeypatch.setattr(buffer_pool, 'ReusableMemory', make)
    subscription = cameras.node.create_subscription(Image, '/none', lambda _: None, 1)
    one = taker.SerializedTaker(subscription)
    assert [one.take() for _ in range(3)] == [None] * 3
    assert len(made) == 1
    one.close()


def test_an_error_of_the_middleware_is_raised_with_its_text(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = cameras.node.create_subscription(Image, '/none', lambda _: None, 1)
    one = taker.SerializedTaker(subscription)
    rcl = SimpleNamespace(take=lambda *_: 10, take_error=lambda: 'out of resources')
    monkeypatch.setattr(one, '_rcl', rcl)
    with pytest.raises(RuntimeError, match=r'message \(rcl error 10\): out of resources'):
        one.take()
    one.close()


def test_a_number_that_the_middleware_does_not_have_is_none(cameras: Cameras) -> None:
    subscription = cameras.node.create_subscription(Image, '/none', lambda _: None, 1)
    one = taker.SerializedTaker(subscription)
    # From rmw/types.h: RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED is UINT64_MAX.
    one._info.publication_sequence_number = 2**64 - 1
    one._info.reception_sequence_number = 7
    info = one._make_info()
    assert info['publication_sequence_number'] is None
    assert info['reception_sequence_number'] == 7
    one.close()


def test_a_damaged_message_arrives_with_the_reason(cameras: Cameras) -> None:
    _, publisher = cameras.subscribe(Image, '/damaged')
    encoded = bytearray(serialize_message(picture(4, 4, 1)))
    encoded[12:16] = b'\xff\xff\xff\xff'
    publisher.publish(bytes(encoded))
    publisher.publish(picture(4, 4, 2))
    cameras.wait(2)
    damaged, good = cameras.messages
    assert isinstance(damaged, DamagedMessage)
    with pytest.raises(ImageError, match='it is damaged'):
        read_image(damaged)
    assert read_image(good).width == 4


def test_compressed_images_arrive(cameras: Cameras) -> None:
    _, publisher = cameras.subscribe(CompressedImage, '/compressed')
    sent = CompressedImage(format='jpeg')
    sent.data.frombytes(b'\xff\xd8\xff')
    publisher.publish(sent)
    cameras.wait(1)
    (received,) = cameras.messages
    assert (received.format, received.data.tobytes()) == ('jpeg', b'\xff\xd8\xff')


def test_missing_memory_loses_one_message_only(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, publisher = cameras.subscribe(Image, '/missing')
    publisher.publish(picture(4, 4, 1))
    cameras.wait(1)

    def refuse(self: Any, size: int = 0) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        # The message is larger than the last one.
        take = buffer_pool.BufferPool.take
        patch.setattr(
            buffer_pool.BufferPool,
            'take',
            lambda self, size=0: refuse(self) if size else take(self, size),
        )
        publisher.publish(picture(640, 480, 2))
        publisher.publish(picture(4, 4, 3))
        cameras.wait(2)
    publisher.publish(picture(640, 480, 4))
    cameras.wait(3)
    assert [message.header.stamp.sec for message in cameras.messages] == [1, 3, 4]


def test_memory_that_cannot_be_mapped_for_a_while_is_reported_and_images_arrive_later(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    logger = cameras.node.get_logger()
    monkeypatch.setattr(logger, 'error', lambda text, **_: logged.append(text))
    monkeypatch.setattr(cameras.node, 'get_logger', lambda: logger)

    def refuse(*_: Any) -> Any:
        raise OSError(errno.ENOMEM, 'Cannot allocate memory')

    _, publisher = cameras.subscribe(Image, '/unmapped')
    with monkeypatch.context() as patch:
        patch.setattr(mmap, 'mmap', refuse)
        publisher.publish(picture(8, 8, 1))
        wait_until(lambda: logged, 'the error')
    cameras.wait(1)
    assert 'Cannot allocate memory' in logged[0]


def test_memory_is_released_with_the_subscription(cameras: Cameras) -> None:
    subscription, publisher = cameras.subscribe(Image, '/released')
    publisher.publish(picture(8, 8, 1))
    cameras.wait(1)
    (received,) = cameras.messages
    cameras.receiver.stop()
    cameras.receiver.unsubscribe(subscription)
    assert not received.memory.retired
    memory = received.memory
    assert received.data.tobytes() == picture(8, 8, 1).data.tobytes()
    cameras.messages.clear()
    del received
    assert memory.retired


def test_a_subscription_ends_although_its_callback_runs_while_the_receiver_stops(
    cameras: Cameras,
) -> None:
    is_running, may_end = threading.Event(), threading.Event()

    def wait(message: Any, info: Any) -> None:
        is_running.set()
        assert may_end.wait(WAIT_S)
        cameras.messages.append(message)

    cameras.add = wait  # type: ignore[method-assign]
    subscription, publisher = cameras.subscribe(Image, '/stopped')
    publisher.publish(picture(8, 8, 1))
    assert is_running.wait(WAIT_S)
    is_stopped = cameras.receiver._is_stopped
    stopping = threading.Thread(target=cameras.receiver.stop)
    stopping.start()
    wait_until(is_stopped.is_set, 'the request to stop')
    may_end.set()
    stopping.join(WAIT_S)
    assert len(cameras.messages) == 1
    cameras.receiver.unsubscribe(subscription)
    wait_until(lambda: publisher.get_subscription_count() == 0, 'the end of the subscription')


def test_without_rcl_the_images_arrive_by_rclpy(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Any:
        raise OSError('librcl.so: cannot open shared object file')

    monkeypatch.setattr(taker, '_load_rcl', refuse)
    logged: list[str] = []
    logger = cameras.node.get_logger()
    monkeypatch.setattr(logger, 'warning', lambda text, **_: logged.append(text))
    monkeypatch.setattr(cameras.node, 'get_logger', lambda: logger)
    _, publisher = cameras.subscribe(Image, '/typed')
    publisher.publish(picture(8, 8, 1))
    cameras.wait(1)
    assert isinstance(cameras.messages[0], Image)
    assert read_image(cameras.messages[0]).data.tobytes() == picture(8, 8, 1).data.tobytes()
    assert logged == [
        'images are converted by rclpy, which is slower: librcl.so: cannot open shared object file'
    ]
