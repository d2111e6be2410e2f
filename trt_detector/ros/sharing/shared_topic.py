# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""One subscription whose messages several listeners get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import threading
import traceback
from typing import Any

from rclpy.subscription import Subscription

from .shared_message import SharedMessage

__all__ = ['Listener', 'SharedTopic']


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """
    One of the users of a shared subscription.

    :param topic: the subscription.
    :param on_message: called with each message and its message info.
    :param on_lost: called with the number of messages that the middleware lost.
    """

    topic: SharedTopic
    on_message: Callable[[Any, Mapping[str, Any]], None]
    on_lost: Callable[[int], None]

    @property
    def topic_name(self) -> str:
        """Full name of the topic, as that of a subscription of rclpy."""
        return self.topic.name


class SharedTopic:
    """
    Distributes the messages of one subscription; thread-safe.

    A listener runs in the thread that executes the subscription, never after :meth:`remove`.

    :param name: full name of the topic.
    :param log_error: called with a text if a listener raises.
    """

    def __init__(self, name: str, log_error: Callable[[str], None]) -> None:
        self.name = name
        self.entity: Subscription | None = None
        self._log_error = log_error
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    @property
    def users(self) -> int:
        """Number of listeners."""
        return len(self._listeners)

    def add(self, listener: Listener) -> None:
        """Let a listener get the messages from now on."""
        with self._lock:
            self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """Wait until a listener has returned, and call it no more."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def receive(self, message: Any, info: Mapping[str, Any]) -> None:
        """Give a message to every listener."""
        with self._lock:
            # For a single listener nothing is shared, and nothing is to be locked.
            given = message if len(self._listeners) == 1 else SharedMessage(message)
            for listener in self._listeners:
                try:
                    listener.on_message(given, info)
                except Exception:  # noqa: BLE001 logged; the other listeners get it, too
                    self._log_error(f'exception while receiving images:\n{traceback.format_exc()}')

    def lose(self, number: int) -> None:
        """Tell every listener about lost messages."""
        with self._lock:
            for listener in self._listeners:
                listener.on_lost(number)
