# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribe to a CameraInfo, whether it is published once or with each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from ..camera_subscription import choose_reliability
from ..image_receiver import ImageGroup

__all__ = ['InfoSubscription']

_Policies = tuple[ReliabilityPolicy, DurabilityPolicy]


class InfoSubscription:
    """
    Subscription with the reliability and durability of the publishers.

    A latched CameraInfo, which is published once, is received if all publishers keep it.

    :param node: creates the subscription.
    :param topic: its name; remapping is still to be applied.
    :param on_info: called with each message.
    """

    def __init__(self, node: Node, topic: str, on_info: Callable[[Any], None]) -> None:
        self._node = node
        self._topic = topic
        self._on_info = on_info
        self._policies: _Policies | None = None
        self.entity: Subscription | None = None

    def open(self) -> None:
        """Subscribe as the present publishers offer it."""
        reliability, durability = self._policies = self._choose()
        self.entity = self._node.create_subscription(
            CameraInfo,
            self._topic,
            self._receive,
            QoSProfile(depth=1, reliability=reliability, durability=durability),
            callback_group=ImageGroup(),
        )

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""
        entity, self.entity = self.entity, None
        if entity is not None:
            self._node.destroy_subscription(entity)

    def is_outdated(self) -> bool:
        """Tell whether the publishers offer something else by now."""
        return self._list_publishers() != [] and self._choose() != self._policies

    def _receive(self, message: Any, _: Mapping[str, Any]) -> None:
        """Pass a message on without its message info."""
        self._on_info(message)

    def _list_publishers(self) -> list[Any]:
        """List the publishers of the topic."""
        return list(
            self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(self._topic))
        )

    def _choose(self) -> _Policies:
        """Choose what every publisher offers."""
        profiles = [info.qos_profile for info in self._list_publishers()]
        reliability, _ = choose_reliability([profile.reliability for profile in profiles])
        latched = DurabilityPolicy.TRANSIENT_LOCAL
        is_latched = bool(profiles) and all(each.durability == latched for each in profiles)
        return reliability, latched if is_latched else DurabilityPolicy.VOLATILE
