# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribe to a CameraInfo, whether it is published once or with each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from ..camera_subscription import SubscriptionEventCallbacks
from ..image_receiver import ImageGroup

__all__ = ['InfoSubscription']


class InfoSubscription:
    """
    One of two subscriptions to a CameraInfo.

    A subscription to latched messages gets nothing from a publisher that does not keep them, and
    the other kind gets nothing from one that published before: the node has one of each kind.

    :param node: creates the subscription.
    :param topic: its name.
    :param on_info: called with each message.
    :param is_latched: subscribe to messages of the past, too.
    """

    def __init__(
        self, node: Node, topic: str, on_info: Callable[[Any], None], *, is_latched: bool
    ) -> None:
        self._node = node
        self._topic = topic
        self._on_info = on_info
        self._qos = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.VOLATILE,
        )
        if is_latched:
            self._qos.reliability = ReliabilityPolicy.RELIABLE
            self._qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
        self.entity: Subscription | None = None

    def open(self) -> None:
        """Subscribe."""
        self.entity = self._node.create_subscription(
            CameraInfo,
            self._topic,
            self._on_info,
            self._qos,
            callback_group=ImageGroup(),
            # Without the warning about publishers that only the other one fits.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""
        entity, self.entity = self.entity, None
        if entity is not None:
            self._node.destroy_subscription(entity)

    def is_outdated(self) -> bool:
        """Tell that both kinds together fit every publisher."""
        return False
