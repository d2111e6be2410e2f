# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that one receiver serves, and that follow their publishers and the need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import threading
from typing import Any, Protocol

from rclpy.node import Node

from .image_receiver import Receiver
from .steady_timer import create_steady_timer

__all__ = ['FollowingSubscription', 'SubscriptionGroup']

# Time between two looks at the publishers of the topics, and at the need.
_FOLLOW_PERIOD_S = 0.5


class FollowingSubscription(Protocol):
    """Subscription as the group uses it; entity is that of the receiver while it is open."""

    entity: Any

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
    :param follows: look at the publishers and the need from time to time.
    :param is_needed: tells by its index whether a subscription is needed; None for all.
    """

    def __init__(
        self,
        node: Node,
        receiver: Receiver,
        subscriptions: Sequence[FollowingSubscription],
        *,
        follows: bool = True,
        is_needed: Callable[[int], bool] | None = None,
    ) -> None:
        self._node = node
        self._receiver = receiver
        self._subscriptions = tuple(subscriptions)
        self._follows = follows
        self._is_needed = is_needed
        self._timer: Any = None
        self._lock = threading.Lock()
        self.is_open = False

    def open(self) -> None:
        """
        Subscribe to what is needed.

        :raises ConfigError: if the middleware refuses; :meth:`close` is still needed.
        """
        with self._lock:
            self.is_open = True
            self._update(self._find_outdated())
            if self._follows:
                self._timer = create_steady_timer(self._node, _FOLLOW_PERIOD_S, self.follow)

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""
        with self._lock:
            self.is_open = False
            timer, self._timer = self._timer, None
            if timer is not None:
                self._node.destroy_timer(timer)
            self._receiver.stop()
            for subscription in self._subscriptions:
                subscription.close()

    def follow(self) -> None:
        """Subscribe, unsubscribe or subscribe again as the publishers and the need ask."""
        with self._lock:
            if self.is_open and (outdated := self._find_outdated()):
                self._receiver.stop()
                self._update(outdated)

    def _find_outdated(self) -> list[tuple[FollowingSubscription, bool]]:
        """Find the subscriptions to change, and whether each is needed."""
        outdated = []
        for number, subscription in enumerate(self._subscriptions):
            is_needed = self._is_needed is None or self._is_needed(number)
            if is_needed != (subscription.entity is not None) or subscription.is_outdated():
                outdated.append((subscription, is_needed))
        return outdated

    def _update(self, outdated: Sequence[tuple[FollowingSubscription, bool]]) -> None:
        """Close subscriptions, and open those that are needed; the receiver is stopped."""
        for subscription, is_needed in outdated:
            subscription.close()
            if is_needed:
                subscription.open()
        entities = [each.entity for each in self._subscriptions if each.entity is not None]
        self._receiver.start(entities)
