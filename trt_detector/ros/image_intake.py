# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Intake of images: the subscriptions of all cameras, and the gate before the image queue."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import threading
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from ..config import DetectorConfig
from ..demand import ImageGate
from .camera_subscription import CameraSubscription
from .image_queue import ImageQueue
from .image_receiver import ImageReceiver
from .monitoring.statistics import SessionStatistics
from .steady_timer import create_steady_timer
from .topics import CameraTopics

__all__ = ['ImageIntake']

# Time between two looks at the publishers of the image topics.
_FOLLOW_PERIOD_S = 0.5


class ImageIntake:
    """
    Subscribes to the cameras and queues those of their images that are to be processed.

    :param node: creates the subscriptions, and logs.
    :param config: parameters of the node.
    :param cameras: topics of each camera.
    :param receiver: runs the callbacks of the subscriptions.
    :param image_queue: gets the images.
    :param statistics: counts the images.
    """

    def __init__(
        self,
        node: Node,
        config: DetectorConfig,
        cameras: Sequence[CameraTopics],
        receiver: ImageReceiver,
        image_queue: ImageQueue,
        statistics: SessionStatistics,
    ) -> None:
        self._node = node
        self._config = config
        self._receiver = receiver
        self._image_queue = image_queue
        self._statistics = statistics
        self._follow_timer: Any = None
        self._lock = threading.Lock()
        self._gate = ImageGate(len(cameras))
        # None while every image passes: then the path of an image has one check for None more.
        self._closed_gate: ImageGate | None = None
        self.subscriptions = tuple(
            CameraSubscription(
                node, camera, config.qos_reliability, partial(self._receive, number)
            )
            for number, camera in enumerate(cameras)
        )
        self.apply(config)

    def apply(self, config: DetectorConfig) -> None:
        """Apply the parameters that are live."""
        rates_hz = config.max_rates_hz(len(self.subscriptions))
        self._gate.configure(paused=not config.enabled, rates_hz=rates_hz)
        self._use_gate()
        if not config.enabled:
            self._gate.forget_admitted(self._drop(self._image_queue.drop_queued()))
        self._config = config

    def open(self) -> None:
        """Subscribe to the cameras, and follow their publishers if qos_reliability is auto."""
        self._image_queue.open()
        with self._lock:
            for subscription in self.subscriptions:
                subscription.open()
            self._receiver.start(self._list_entities())
            if self._config.qos_reliability == 'auto':
                self._follow_timer = create_steady_timer(
                    self._node, _FOLLOW_PERIOD_S, self._follow_publishers
                )

    def close(self) -> None:
        """Unsubscribe, and drop the queued images; calling it again does nothing."""
        with self._lock:
            timer, self._follow_timer = self._follow_timer, None
            if timer is not None:
                self._node.destroy_timer(timer)
            self._receiver.stop()
            for subscription in self.subscriptions:
                subscription.close()
        self._drop(self._image_queue.stop_accepting())

    def _use_gate(self) -> None:
        """Ask the gate about each image only while it is not open."""
        self._closed_gate = None if self._gate.is_open else self._gate

    def _drop(self, cameras: list[int]) -> list[int]:
        """Count queued images of cameras that were dropped; return the cameras."""
        for camera in cameras:
            self._statistics.count(camera, 'dropped')
        return cameras

    def _follow_publishers(self) -> None:
        """Subscribe again to cameras whose publishers are better served by another reliability."""
        with self._lock:
            if self._follow_timer is None:
                return
            outdated = [each for each in self.subscriptions if each.is_outdated()]
            if not outdated:
                return
            self._receiver.stop()
            for subscription in outdated:
                subscription.close()
                subscription.open()
            self._receiver.start(self._list_entities())

    def _list_entities(self) -> list[Subscription]:
        """List the rclpy subscriptions of all cameras."""
        return [each.entity for each in self.subscriptions if each.entity is not None]

    def _receive(self, camera: int, message: Any) -> None:
        """Put a message into the queue; called in the thread of the receiver."""
        gate = self._closed_gate
        if gate is not None and not gate.admit(camera):
            self._statistics.count_skipped(camera)
            return
        dropped = self._image_queue.put(camera, message)
        self._statistics.count_received(camera, dropped)
