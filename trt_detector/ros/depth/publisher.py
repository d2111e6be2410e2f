# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Publish 3D detections and their markers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection3DArray

from ...depth.box3d import Box3D
from .messages import make_detection, make_markers

__all__ = ['Publisher']


class Publisher:
    """
    Publishers of the 3D detections, and of markers if visualization_msgs is installed.

    :param node: creates them.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._detections = node.create_publisher(Detection3DArray, '~/detections', 10)
        self._markers: Any = None
        try:
            from visualization_msgs import msg as library
        except ImportError as error:
            node.get_logger().info(
                f'~/markers is not published: visualization_msgs cannot be imported ({error}); '
                'install ros-$ROS_DISTRO-visualization-msgs'
            )
        else:
            self._library: Any = library
            self._markers = node.create_publisher(
                self._library.MarkerArray, '~/markers', QoSProfile(depth=1)
            )

    @property
    def has_markers(self) -> bool:
        """Whether markers can be published."""
        return self._markers is not None

    def publish(
        self, depth_header: Header, frame: str, boxes: Sequence[tuple[Detection2D, Box3D]]
    ) -> None:
        """
        Publish the detections of one array.

        :param depth_header: header of the depth image; its stamp is kept.
        :param frame: frame of the boxes.
        """
        header = Header(stamp=depth_header.stamp, frame_id=frame)
        detections = [make_detection(header, source, box) for source, box in boxes]
        self._detections.publish(Detection3DArray(header=header, detections=detections))
        if self._markers is not None and self._markers.get_subscription_count() > 0:
            self._markers.publish(make_markers(header, detections, self._library))

    def close(self) -> None:
        """Destroy the publishers; calling it again does nothing."""
        for publisher in (self._detections, self._markers):
            if publisher is not None:
                self._node.destroy_publisher(publisher)
        self._detections = self._markers = None
