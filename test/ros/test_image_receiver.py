# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the end of the thread that receives images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from support.ros_graph import next_domain, StubFactory, WAIT_S, wait_until
from trt_detector.ros import image_receiver
from trt_detector.ros.image_receiver import ImageReceiver, UnsupportedEventTypeError
from trt_detector.ros.node import DetectorNode
from trt_detector.ros.serialized.image_message import ReceivedCompressedImage, ReceivedImage
from trt_detector.ros.sharing.shared_subscriptions import SharedSubscriptions
from trt_detector.ros.topics import CameraTopics


def shut_down_as_a_signal_does(context: Any) -> None:
    """Shut a context down as the signal handlers of rclpy do, without destroying its nodes."""
    with context.handle:
        context.handle.shutdown()


@pytest.mark.parametrize('shut_down', [rclpy.Context.shutdown, shut_down_as_a_signal_does])
@pytest.mark.parametrize('is_shared', [False, True])
def test_active_node_is_destroyed_with_its_context_or_afterwards(
    shut_down: Callable[[Any], None], is_shared: bool
) -> None:
    # No fixture ends this context: that would wait for the same lock if the test fails.
    context = rclpy.Context()
    # The other tests of the process configure the log.
    context.init([], domain_id=next_domain(), initialize_logging=False)
    shared = SharedSubscriptions(context) if is_shared else None
    node = DetectorNode(
        create=StubFactory(),
        context=context,
        receiver=shared,
        parameter_overrides=[Parameter('model_path', value='stub.onnx')],
        use_global_arguments=False,
    )
    node.trigger_configure()
    node.trigger_activate()
    (images,) = [thread for thread in threading.enumerate() if thread.name == 'images']
    shutting_down = threading.Thread(target=shut_down, args=(context,), daemon=True)
    shutting_down.start()
    shutting_down.join(WAIT_S)
    assert not shutting_down.is_alive()
    node.destroy_node()
    if shared is not None:
        shared.close()
    wait_until(lambda: not images.is_alive(), 'the end of the thread')


@pytest.fixture
def receiving() -> Iterator[tuple[ImageReceiver, Node, list[str]]]:
    """Yield a receiver, its node, and the errors that the node logs."""
    logged: list[str] = []
    context = rclpy.Context()
    # The other tests of the process configure the log.
    context.init([], domain_id=next_domain(), initialize_logging=False)
    with pytest.MonkeyPatch.context() as patch:
        node = Node('receiving', context=context, use_global_arguments=False)
        logger = node.get_logger()
        patch.setattr(logger, 'error', lambda text, **_: logged.append(text))
        patch.setattr(node, 'get_logger', lambda: logger)
        receiver = ImageReceiver(node)
        yield receiver, node, logged
        receiver.close()
        node.destroy_node()
    context.try_shutdown()


def subscribe(receiver: ImageReceiver, on_message: Callable[..., None]) -> Any:
    """Subscribe to strings, which rclpy converts, on the topic of :func:`publish`."""
    camera = CameraTopics(
        '/words',
        '/words',
        'words',
        '/words',
        compressed=False,
        detections='',
        debug_image='',
        annotations='',
    )
    return receiver.subscribe(String, camera, QoSProfile(depth=10), on_message, lambda _: None)


def wait_for_end(receiver: ImageReceiver) -> None:
    """Wait for the end of the thread."""
    thread = receiver._thread
    assert thread is not None
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_a_subscription_that_is_destroyed_with_its_context_ends_the_thread_without_an_error(
    receiving: tuple[ImageReceiver, Node, list[str]],
) -> None:
    receiver, _, logged = receiving
    subscription = subscribe(receiver, print)
    subscription.handle.destroy_when_not_in_use()
    receiver.start([subscription])
    wait_for_end(receiver)
    assert not logged


def test_a_context_that_is_shut_down_ends_the_thread_without_an_error(
    receiving: tuple[ImageReceiver, Node, list[str]],
) -> None:
    receiver, node, logged = receiving
    shut_down_as_a_signal_does(node.context)
    receiver.start([])
    wait_for_end(receiver)
    assert not logged


def test_messages_after_an_exception_in_a_callback_are_received(
    receiving: tuple[ImageReceiver, Node, list[str]],
) -> None:
    receiver, node, logged = receiving
    words: list[str] = []

    def on_message(message: Any, info: Mapping[str, Any]) -> None:
        words.append(message.data)
        assert info['source_timestamp'] > 0
        if len(words) == 1:
            raise ValueError('bad word')

    subscription = subscribe(receiver, on_message)
    receiver.start([subscription])
    publisher = node.create_publisher(String, '/words', 10)
    wait_until(lambda: publisher.get_subscription_count() == 1, 'the subscription')
    for word in ('one', 'two'):
        publisher.publish(String(data=word))
    wait_until(lambda: len(words) == 2, 'both messages')
    assert words == ['one', 'two']
    (text,) = logged
    assert 'ValueError: bad word' in text
    receiver.stop()
    publisher.publish(String(data='three'))
    receiver.start([subscription])
    wait_until(lambda: len(words) == 3, 'the message that waited')
    receiver.stop()
    receiver.unsubscribe(subscription)


def test_a_wait_that_fails_is_logged_and_tried_again(
    receiving: tuple[ImageReceiver, Node, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, node, logged = receiving
    wait = receiver._wait_and_execute
    failed = threading.Event()

    def fail_once(*arguments: Any) -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError('no wait set')
        wait(*arguments)

    monkeypatch.setattr(receiver, '_wait_and_execute', fail_once)
    words: list[str] = []
    subscription = subscribe(receiver, lambda message, _: words.append(message.data))
    receiver.start([subscription])
    assert failed.wait(WAIT_S)
    publisher = node.create_publisher(String, '/words', 10)
    wait_until(lambda: publisher.get_subscription_count() == 1, 'the subscription')
    publisher.publish(String(data='one'))
    wait_until(lambda: words == ['one'], 'the message')
    (text,) = logged
    assert 'RuntimeError: no wait set' in text
    receiver.stop()
    # Nothing is taken that was ready before the stop.
    receiver._execute(words.append, 'late')
    assert words == ['one']


@pytest.mark.parametrize('are_known', [True, False])
def test_lost_messages_are_counted_if_the_middleware_tells(
    receiving: tuple[ImageReceiver, Node, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    are_known: bool,
) -> None:
    receiver, node, _ = receiving
    create = node.create_subscription
    tried: list[Any] = []

    def create_subscription(*arguments: Any, event_callbacks: Any, **options: Any) -> Any:
        tried.append(event_callbacks)
        if not are_known and event_callbacks.message_lost is not None:
            raise UnsupportedEventTypeError('message_lost')
        return create(*arguments, event_callbacks=event_callbacks, **options)

    monkeypatch.setattr(node, 'create_subscription', create_subscription)
    lost: list[int] = []
    camera = CameraTopics('/words', '/words', 'words', '/words', False, '', '', '')
    subscription = receiver.subscribe(String, camera, QoSProfile(depth=10), print, lost.append)
    assert len(tried) == (1 if are_known else 2)
    tried[0].message_lost(SimpleNamespace(total_count=9, total_count_change=2))
    assert lost == [2]
    receiver.unsubscribe(subscription)


@pytest.mark.parametrize('error', [OSError, AttributeError])
@pytest.mark.parametrize('message_type', [Image, CompressedImage])
def test_images_are_received_as_rclpy_converts_them_without_rcl(
    receiving: tuple[ImageReceiver, Node, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    message_type: Any,
    error: type[Exception],
) -> None:
    receiver, node, _ = receiving
    warned: list[str] = []
    monkeypatch.setattr(node.get_logger(), 'warning', lambda text, **_: warned.append(text))

    def refuse(*_: Any) -> Any:
        raise error('no librcl.so')

    camera = CameraTopics('/images', '/images', 'images', '/images', False, '', '', '')
    received: list[Any] = []

    def receive(topic_type: Any) -> Any:
        """Receive one message."""
        received.clear()
        subscription = receiver.subscribe(
            topic_type, camera, QoSProfile(depth=10), lambda m, _: received.append(m), print
        )
        receiver.start([subscription])
        publisher = node.create_publisher(topic_type, '/images', 10)
        wait_until(lambda: publisher.get_subscription_count() == 1, 'the subscription')
        publisher.publish(topic_type())
        wait_until(lambda: received, 'the message')
        receiver.stop()
        receiver.unsubscribe(subscription)
        node.destroy_publisher(publisher)
        return received[0]

    kinds = (ReceivedImage, ReceivedCompressedImage)
    assert isinstance(receive(message_type), kinds)
    assert not warned
    monkeypatch.setattr(image_receiver, 'SerializedWaitable', refuse)
    assert isinstance(receive(message_type), message_type)
    assert warned == ['images are converted by rclpy, which is slower: no librcl.so']
