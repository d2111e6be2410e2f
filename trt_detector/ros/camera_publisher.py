# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the detections and debug images of one camera."""

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
from ..image.message import stamp_to_ns
from ..regions.camera_regions import CameraRegions
from ..regions.drawing import draw_regions
from ..tracking.trails import Trails
from ..values.detections import Detections
from .detections_cdr import choose_encoder
from .messages import make_compressed_image, make_image
from .overlays.annotations import AnnotationPublisher
from .topics import CameraTopics

__all__ = ['CameraPublisher']


class CameraPublisher:
    """
    Publishers of one camera.

    Created and closed by lifecycle transitions. In between, the inference thread publishes the
    detections, and the thread of the debug images publishes those.

    :param node: creates the publishers.
    :param topics: topics of the camera.
    :param class_names: labels in the debug image.
    :param class_ids: class_id text of each class.
    :param publish_empty: publish arrays without detections, too; any thread may replace it.
    :param foxglove_msgs: messages of the overlay, see :func:`load_foxglove_msgs`; None for none.
    """

    def __init__(
        self,
        node: Node,
        topics: CameraTopics,
        class_names: Sequence[str],
        class_ids: Sequence[str],
        *,
        publish_empty: bool = True,
        foxglove_msgs: Any = None,
    ) -> None:
        self._node = node
        self.publish_empty = publish_empty
        #: Drawn into the debug images; None without any. Any thread may replace it.
        self.regions: CameraRegions | None = None
        self._class_names = class_names
        # Of the images that are drawn; used in the thread that draws.
        self._trails = Trails()
        self._encode = choose_encoder(class_ids)
        # Reliable publishers match every subscriber; of debug images only the newest counts.
        self._detections = node.create_publisher(
            Detection2DArray, topics.detections, QoSProfile(depth=10)
        )
        self._debug = node.create_publisher(ImageMessage, topics.debug_image, QoSProfile(depth=1))
        self._debug_compressed = node.create_publisher(
            CompressedImage, f'{topics.debug_image}/compressed', QoSProfile(depth=1)
        )
        self.annotations: AnnotationPublisher | None = None
        if foxglove_msgs is not None:
            self.annotations = AnnotationPublisher(
                node, topics.annotations, foxglove_msgs, class_names
            )

    def publish(self, header: Any, detections: Detections) -> bool:
        """
        Publish the detections of one image.

        :param header: header of the image.
        :param detections: in pixels of the original image.
        :return: False if there are none, and an empty array is not to be published.
        """
        if not (self.publish_empty or len(detections)):
            return False
        self._detections.publish(self._encode(header, detections))
        return True

    def wants_debug_image(self) -> bool:
        """Tell whether anybody subscribes to the debug images."""
        publishers = self._debug, self._debug_compressed
        return any(publisher.get_subscription_count() for publisher in publishers)

    def publish_debug_image(self, header: Any, image: Image, detections: Detections) -> None:
        """Draw and publish the debug images that have a subscriber."""
        raw_wanted = self._debug.get_subscription_count() > 0
        compressed_wanted = self._debug_compressed.get_subscription_count() > 0
        picture = draw_regions(image.to_bgr(), self.regions)
        trails = self._trails.update(detections, stamp_to_ns(header.stamp))
        picture = draw_detections(picture, detections, self._class_names, trails)
        if raw_wanted:
            self._debug.publish(make_image(header, picture))
        if compressed_wanted:
            self._debug_compressed.publish(make_compressed_image(header, picture))

    def has_listeners(self) -> bool:
        """Tell whether anybody subscribes to one of the topics."""
        return any(publisher.get_subscription_count() for publisher in self._list_publishers())

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._list_publishers():
            self._node.destroy_publisher(publisher)

    def _list_publishers(self) -> tuple[Any, ...]:
        """List the publishers of all topics."""
        overlays = () if self.annotations is None else (self.annotations.publisher,)
        return self._detections, self._debug, self._debug_compressed, *overlays
