# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that are opened together and follow the reliability of their publishers."""

from __future__ import annotations

from collections.abc import Sequence
import threading
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.subscription import Subscription

from ..image_receiver import ImageReceiver
from ..steady_timer import create_steady_timer

__all__ = ['FollowingSubscription', 'SubscriptionGroup']

# Time between two looks at the publishers of the topics.
_FOLLOW_PERIOD_S = 0.5


class FollowingSubscription(Protocol):
    """Subscription as the group uses it; entity is that of rclpy while it is open."""

    entity: Subscription | None

    def open(self) -> None:
        """Subscribe."""

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""

    def is_outdated(self) -> bool:
        """Tell whether another reliability fits the publishers better by now."""


class SubscriptionGroup:
    """
    Subscriptions whose callbacks one receiver runs.

    :param node: creates the timer.
    :param receiver: runs the callbacks.
    :param subscriptions: opened and closed together.
    """

    def __init__(
        self,
        node: Node,
        receiver: ImageReceiver,
        subscriptions: Sequence[FollowingSubscription],
    ) -> None:
        self._node = node
        self._receiver = receiver
        self._subscriptions = tuple(subscriptions)
        self._timer: Any = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """
        Subscribe.

        :raises ConfigError: if the middleware refuses; :meth:`close` is still needed.
        """
        with self._lock:
            for subscription in self._subscriptions:
                subscription.open()
            self._receiver.start(self._list_entities())
            self._timer = create_steady_timer(
                self._node, _FOLLOW_PERIOD_S, self._follow_publishers
            )

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                self._node.destroy_timer(timer)
            self._receiver.stop()
            for subscription in self._subscriptions:
                subscription.close()

    def _follow_publishers(self) -> None:
        """Subscribe again to topics whose publishers are better served by another reliability."""
        with self._lock:
            if self._timer is None:
                return
            outdated = [each for each in self._subscriptions if each.is_outdated()]
            if not outdated:
                return
            self._receiver.stop()
            for subscription in outdated:
                subscription.close()
                subscription.open()
            self._receiver.start(self._list_entities())

    def _list_entities(self) -> list[Subscription]:
        """List the rclpy subscriptions."""
        return [each.entity for each in self._subscriptions if each.entity is not None]
