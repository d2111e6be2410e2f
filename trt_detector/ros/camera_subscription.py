# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribe to the images of one camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from ..errors import ConfigError
from ..image.loss_counter import LossCounter
from ..image.message import read_stamp_ns
from ..process.tuning import choose_image_depth
from .image_receiver import Receiver
from .topics import CameraTopics

__all__ = ['CameraSubscription', 'choose_reliability']

OnImage = Callable[[Any], None]

_NO_PUBLISHER = 'there is no publisher yet'


class CameraSubscription:
    """
    Intake of the images of one camera.

    Its receiver is the only place that creates image subscriptions, and
    :func:`trt_detector.ros.messages.read_image` the only one that looks into their messages; in
    between a message is passed on as it is. A middleware that delivers images in device memory
    needs changes in these two places only.

    Opened and closed while no callback runs.

    :param node: looks at the publishers, and logs.
    :param receiver: creates the subscription and runs its callback.
    :param camera: topics of the camera.
    :param qos_reliability: 'auto', 'best_effort' or 'reliable'.
    :param on_image: called with each message, in the thread that executes the subscription.
    :param message_type: type of the messages, which have a header; None is that of images.
    """

    def __init__(
        self,
        node: Node,
        receiver: Receiver,
        camera: CameraTopics,
        qos_reliability: str,
        on_image: OnImage,
        message_type: Any = None,
    ) -> None:
        self._node = node
        self._receiver = receiver
        self._qos_reliability = qos_reliability
        self._on_image = on_image
        self.camera = camera
        image_type = CompressedImage if camera.compressed else ImageMessage
        self.message_type: Any = message_type or image_type
        self.loss = LossCounter()
        self.reliability = ReliabilityPolicy.BEST_EFFORT
        self.reason = 'not subscribed yet'
        self.entity: Any = None
        #: time.monotonic() of the latest open().
        self.opened_s = 0.0

    def open(self) -> None:
        """
        Subscribe, with the reliability that fits the present publishers.

        :raises ConfigError: if the middleware refuses.
        """
        self.reliability, self.reason = self._choose()
        self.loss.restart()
        self.opened_s = time.monotonic()
        try:
            self.entity = self._receiver.subscribe(
                self.message_type,
                self.camera,
                _make_qos(self.reliability),
                self._receive,
                self.loss.add_event,
            )
        except RuntimeError as error:  # RCLError derives from it
            raise ConfigError(
                f'cannot subscribe to {self.camera.full_subscription}: {error}; check '
                'image_topics and image_transport'
            ) from error
        users = self.users
        self._node.get_logger().info(
            f'subscribed to {self.topic} with reliability {self.reliability.name.lower()}: '
            f'{self.reason}'
            + (f'; shared by {users} detectors of this process' if users > 1 else '')
        )

    def close(self) -> None:
        """Unsubscribe; calling it again does nothing."""
        entity, self.entity = self.entity, None
        if entity is not None:
            self._receiver.unsubscribe(entity)

    def is_outdated(self) -> bool:
        """Tell whether another reliability fits the publishers better by now."""
        if self.entity is None:
            return False
        reliability, reason = self._choose()
        # Without a publisher it stays: a camera that is started again most likely sends as before.
        if reason == _NO_PUBLISHER:
            return False
        if reliability == self.reliability:
            self.reason = reason
        return bool(reliability != self.reliability)

    @property
    def topic(self) -> str:
        """Full name of the subscribed topic."""
        entity = self.entity
        return self.camera.subscription if entity is None else str(entity.topic_name)

    @property
    def is_reliable(self) -> bool:
        """Whether the subscription is reliable."""
        return bool(self.reliability == ReliabilityPolicy.RELIABLE)

    @property
    def users(self) -> int:
        """Number of detectors of this process that share the subscription; 0 without one."""
        entity = self.entity
        return 0 if entity is None else self._receiver.count_users(entity)

    def _choose(self) -> tuple[ReliabilityPolicy, str]:
        """Choose the reliability by the parameter and the publishers."""
        if self._qos_reliability != 'auto':
            chosen = ReliabilityPolicy[self._qos_reliability.upper()]
            return chosen, f'qos_reliability is {self._qos_reliability}'
        publishers = self._node.get_publishers_info_by_topic(self.camera.full_subscription)
        return choose_reliability([info.qos_profile.reliability for info in publishers])

    def _receive(self, message: Any, info: Mapping[str, Any]) -> None:
        """Count a message and pass it on."""
        self.loss.add_image(info, read_stamp_ns(message))
        self._on_image(message)


def _make_qos(reliability: ReliabilityPolicy) -> QoSProfile:
    """Create the quality of service of a subscription."""
    is_reliable = reliability == ReliabilityPolicy.RELIABLE
    depth = choose_image_depth(is_reliable=is_reliable)
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability)


def choose_reliability(offered: list[ReliabilityPolicy]) -> tuple[ReliabilityPolicy, str]:
    """
    Choose the reliability of a subscription.

    A reliable subscription gets nothing from a best-effort publisher; a best-effort one loses
    large images of a reliable publisher.

    :param offered: reliability of each publisher of the topic.
    :return: the reliability, and the reason for the log.
    """
    if not offered:
        return ReliabilityPolicy.BEST_EFFORT, _NO_PUBLISHER
    count = sum(policy == ReliabilityPolicy.RELIABLE for policy in offered)
    reason = f'{count} of {len(offered)} publishers are reliable'
    if count == len(offered):
        return ReliabilityPolicy.RELIABLE, reason
    return ReliabilityPolicy.BEST_EFFORT, reason
