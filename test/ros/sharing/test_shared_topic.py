# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that the listeners of a topic do not affect each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import threading
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip(
    'rclpy', reason='rclpy is missing: source ROS 2, or bringup/env.sh after bringup/prepare.sh'
)

from trt_detector.ros.sharing.shared_message import SharedMessage
from trt_detector.ros.sharing.shared_topic import Listener, SharedTopic

MESSAGE = SimpleNamespace(header='header')


def listen(
    topic: SharedTopic, on_message: Callable[[Any], object], lost: list[int] | None = None
) -> Listener:
    def receive(message: Any, _: Mapping[str, Any]) -> None:
        on_message(message)

    listener = Listener(topic, receive, (lost if lost is not None else []).append)
    topic.add(listener)
    return listener


def test_exception_of_one_listener_is_logged_and_the_others_get_the_message() -> None:
    errors: list[str] = []
    got: list[Any] = []
    topic = SharedTopic('/camera', errors.append)

    def fail(_: Any) -> None:
        raise ValueError('of the first listener')

    listen(topic, fail)
    listen(topic, got.append)
    topic.receive(MESSAGE, {})
    assert [message.header for message in got] == ['header']
    assert len(errors) == 1
    assert 'of the first listener' in errors[0]


def test_single_listener_gets_the_message_itself() -> None:
    got: list[Any] = []
    topic = SharedTopic('/camera', got.append)
    first = listen(topic, got.append)
    topic.receive(MESSAGE, {})
    second = listen(topic, got.append)
    topic.receive(MESSAGE, {})
    topic.remove(first)
    topic.remove(first)
    topic.receive(MESSAGE, {})
    assert got[0] is got[3] is MESSAGE
    assert isinstance(got[1], SharedMessage)
    assert got[1] is got[2]
    assert topic.users == 1
    topic.remove(second)
    topic.receive(MESSAGE, {})
    assert len(got) == 4


def test_removing_a_listener_waits_for_its_callback() -> None:
    entered, released, order = threading.Event(), threading.Event(), []
    topic = SharedTopic('/camera', order.append)

    def receive(_: Any) -> None:
        entered.set()
        released.wait(20)
        order.append('returned')

    listener = listen(topic, receive)
    receiving = threading.Thread(target=topic.receive, args=(MESSAGE, {}))
    receiving.start()
    assert entered.wait(20)

    def remove() -> None:
        topic.remove(listener)
        order.append('removed')

    removing = threading.Thread(target=remove)
    removing.start()
    released.set()
    removing.join(20)
    receiving.join(20)
    assert order == ['returned', 'removed']


def test_every_listener_counts_lost_messages() -> None:
    lost: tuple[list[int], list[int]] = ([], [])
    topic = SharedTopic('/camera', print)
    for numbers in lost:
        listen(topic, print, numbers)
    topic.lose(3)
    assert lost == ([3], [3])
