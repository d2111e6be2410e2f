# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The publishers of one camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from vision_msgs.msg import Detection2DArray

from ..image.drawing import draw_detections
from ..image.image import Image
from ..values.detections import Detections
from .messages import DetectionsMessage, make_compressed_image, make_image
from .topics import CameraTopics

__all__ = ['CameraPublisher']


class CameraPublisher:
    """
    Publishes what was found in the images of one camera.

    Made and closed by a lifecycle transition, used by the inference thread in between.

    :param node: the node that publishes.
    :param topics: the camera's topics.
    :param class_names: names for the labels of the debug image.
    :param class_ids: text that class_id of a detection holds, for each class.
    """

    def __init__(
        self,
        node: Node,
        topics: CameraTopics,
        class_names: Sequence[str],
        class_ids: Sequence[str],
    ) -> None:
        self._node = node
        self._class_names = class_names
        self._message = DetectionsMessage(class_ids)
        # Reliable suits every subscriber; a debug image is stale as soon as the next one is there.
        self._detections = node.create_publisher(
            Detection2DArray, topics.detections, QoSProfile(depth=10)
        )
        self._debug = node.create_publisher(ImageMessage, topics.debug_image, QoSProfile(depth=1))
        self._debug_compressed = node.create_publisher(
            CompressedImage, f'{topics.debug_image}/compressed', QoSProfile(depth=1)
        )

    def publish(self, header: Any, detections: Detections) -> None:
        """
        Publish the detections of one image.

        :param header: the image's own.
        :param detections: in pixels of the original image.
        """
        self._detections.publish(self._message.fill(header, detections))

    def publish_debug_image(self, header: Any, image: Image, detections: Detections) -> None:
        """Draw and publish the debug images that someone subscribes to."""
        raw_wanted = self._debug.get_subscription_count() > 0
        compressed_wanted = self._debug_compressed.get_subscription_count() > 0
        if not (raw_wanted or compressed_wanted):
            return
        picture = draw_detections(image.to_bgr(), detections, self._class_names)
        if raw_wanted:
            self._debug.publish(make_image(header, picture))
        if compressed_wanted:
            self._debug_compressed.publish(make_compressed_image(header, picture))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._detections, self._debug, self._debug_compressed):
            self._node.destroy_publisher(publisher)
