# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Intake of images: the subscriptions of all cameras, and the gate before the image queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
import threading
from typing import Any

from rclpy.node import Node

from ..config import DetectorConfig
from ..demand import DetectRequest, ImageGate, RequestAnswer
from .batch_processor import BatchProcessor
from .camera_subscription import CameraSubscription
from .image_queue import ImageQueue
from .image_receiver import Receiver
from .monitoring.statistics import SessionStatistics
from .subscription_group import SubscriptionGroup
from .topics import CameraTopics

__all__ = ['ImageIntake']


class ImageIntake:
    """
    Subscribes to the cameras and queues those of their images that are to be processed.

    :param node: looks at the publishers, and logs.
    :param config: parameters of the node.
    :param cameras: topics of each camera.
    :param receiver: creates the subscriptions and runs their callbacks.
    :param image_queue: gets the images.
    :param statistics: counts the images.
    :param processor: answers the requests, and has the publishers that others listen to.
    """

    def __init__(
        self,
        node: Node,
        config: DetectorConfig,
        cameras: Sequence[CameraTopics],
        receiver: Receiver,
        image_queue: ImageQueue,
        statistics: SessionStatistics,
        processor: BatchProcessor,
    ) -> None:
        self._config = config
        self._image_queue = image_queue
        self._statistics = statistics
        self._processor = processor
        self._gate = ImageGate(len(cameras))
        self._gate_lock = threading.Lock()
        # None while every image passes: then the path of an image has one check for None more.
        self._closed_gate: ImageGate | None = None
        self.subscriptions = tuple(
            CameraSubscription(
                node, receiver, camera, config.qos_reliability, partial(self._receive, number)
            )
            for number, camera in enumerate(cameras)
        )
        self._group = SubscriptionGroup(
            node,
            receiver,
            self.subscriptions,
            follows=config.qos_reliability == 'auto' or config.lazy,
            is_needed=self._is_needed if config.lazy else None,
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
        """
        Subscribe to the cameras, unless nobody needs them.

        Their publishers are followed if qos_reliability is auto, and the listeners if lazy is set.
        """
        self._image_queue.open()
        self._group.open()

    def close(self) -> None:
        """Unsubscribe, drop the queued images and refuse the requests; may be called again."""
        self._group.close()
        self._drop(self._image_queue.stop_accepting())
        self._gate.answer_all(RequestAnswer('the node was deactivated meanwhile'))

    @contextmanager
    def requests(self, cameras: Sequence[int]) -> Iterator[list[DetectRequest]]:
        """
        Request the next image of each camera, until the end of the block.

        A lazy camera is subscribed for the time of the block.
        """
        requests = [DetectRequest(camera) for camera in cameras]
        try:
            for request in requests:
                self._gate.add(request)
            self._use_gate()
            if self._config.lazy:
                self._group.follow()
            if not self._group.is_open:
                # The node was deactivated before the requests could be seen.
                self._gate.answer_all(RequestAnswer('the node was deactivated meanwhile'))
            yield requests
        finally:
            for request in requests:
                self._gate.remove(request)
            self._use_gate()
            if self._config.lazy:
                self._group.follow()

    def _use_gate(self) -> None:
        """Ask the gate about images, and for requests, only while that can matter."""
        # Of two threads the later one has to see what the earlier one changed.
        with self._gate_lock:
            self._processor.requests = self._gate if self._gate.has_requests else None
            self._closed_gate = None if self._gate.is_open else self._gate

    def _drop(self, cameras: list[int]) -> list[int]:
        """Count queued images of cameras that were dropped; return the cameras."""
        for camera in cameras:
            self._statistics.count(camera, 'dropped')
        return cameras

    def _is_needed(self, camera: int) -> bool:
        """Tell whether anybody needs the images of a camera; for lazy."""
        wanted = self._processor.publishers[camera].has_listeners()
        self._gate.set_wanted(camera, wanted)
        self._use_gate()
        return wanted or self._gate.is_requested(camera)

    def _receive(self, camera: int, message: Any) -> None:
        """Put a message into the queue; called in the thread of the receiver."""
        gate = self._closed_gate
        if gate is not None and not gate.admit(camera):
            self._statistics.count_skipped(camera)
            return
        dropped = self._image_queue.put(camera, message)
        self._statistics.count_received(camera, dropped)
