# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Image subscriptions of several nodes in one process: one per topic, type and QoS."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
import os
import threading
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from ..image_receiver import ImageReceiver
from ..topics import CameraTopics
from .shared_topic import Listener, SharedTopic

__all__ = ['SharedSubscriptions']


class SharedSubscriptions:
    """
    Receiver for several nodes: those that need the same images share a subscription; thread-safe.

    The subscriptions belong to a hidden node, so that each of the other nodes can be deactivated
    or destroyed while images arrive for the others. One thread receives all of them.

    :param context: context of the nodes; None is the default one.
    """

    def __init__(self, context: Any = None) -> None:
        self._node = Node(
            f'_trt_detector_images_{os.getpid()}',
            context=context,
            # The topics are remapped already.
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
            # Without services it needs no rights beside those of the detectors in SROS 2.
            parameter_overrides=[Parameter('start_type_description_service', value=False)],
        )
        self._receiver = ImageReceiver(self._node)
        self._topics: dict[Hashable, SharedTopic] = {}
        self._lock = threading.Lock()

    def subscribe(
        self,
        message_type: Any,
        camera: CameraTopics,
        qos: QoSProfile,
        on_message: Callable[[Any, Mapping[str, Any]], None],
        on_lost: Callable[[int], None],
    ) -> Listener:
        """
        Listen to a topic from now on.

        For the parameters and errors see :meth:`ImageReceiver.subscribe`; the message can be a
        :class:`.shared_message.SharedMessage`.
        """
        name = camera.full_subscription
        # The hidden node has another namespace, and remaps nothing.
        camera = replace(camera, subscription=name)
        key = (message_type, name, qos.reliability, qos.depth)
        with self._lock:
            topic = self._topics.get(key)
            if topic is None:
                topic = SharedTopic(name, self._log_error)
            listener = Listener(topic, on_message, on_lost)
            topic.add(listener)
            if topic.entity is None:
                self._open(key, topic, message_type, camera, qos)
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        """Wait until a listener has returned, and end the subscription after the last one."""
        topic = listener.topic
        with self._lock:
            topic.remove(listener)
            if topic.users or topic.entity is None:
                return
            self._receiver.stop()
            self._topics = {key: each for key, each in self._topics.items() if each is not topic}
            self._receiver.unsubscribe(topic.entity)
            topic.entity = None
            self._resume()

    def count_users(self, listener: Listener) -> int:
        """Count the listeners of a subscription."""
        return listener.topic.users

    def start(self, listeners: Sequence[Listener]) -> None:
        """Do nothing: images arrive from :meth:`subscribe` to :meth:`unsubscribe`."""

    def stop(self) -> None:
        """Do nothing, as :meth:`start`."""

    def close(self) -> None:
        """Release the hidden node; the other nodes must be destroyed before."""
        self._receiver.close()
        self._node.destroy_node()

    def _open(
        self,
        key: Hashable,
        topic: SharedTopic,
        message_type: Any,
        camera: CameraTopics,
        qos: QoSProfile,
    ) -> None:
        """Create the subscription of a topic; the other topics pause for that time."""
        self._receiver.stop()
        try:
            topic.entity = self._receiver.subscribe(
                message_type, camera, qos, topic.receive, topic.lose
            )
            self._topics[key] = topic
        finally:
            self._resume()

    def _resume(self) -> None:
        """Run the callbacks of all subscriptions again."""
        self._receiver.start(
            [topic.entity for topic in self._topics.values() if topic.entity is not None]
        )

    def _log_error(self, text: str) -> None:
        """Log an error from time to time."""
        self._node.get_logger().error(text, throttle_duration_sec=5.0)
