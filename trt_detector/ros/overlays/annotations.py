# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes and labels that Foxglove draws on the image of a camera."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from ...errors import ConfigError
from ...image.drawing import class_color_bgr, class_label
from ...values.detections import Detections

__all__ = ['AnnotationPublisher', 'load_foxglove_msgs']

_ERROR_PERIOD_S = 5.0
# As in the debug image: legible at any resolution.
_PIXELS_PER_LINE = 300
_PIXELS_PER_FONT = 36
_SMALLEST_FONT = 10.0


def load_foxglove_msgs() -> Any:
    """
    Import the messages of Foxglove.

    :raises ConfigError: if they are not installed.
    """
    try:
        return importlib.import_module('foxglove_msgs.msg')
    except ImportError as error:
        raise ConfigError(
            f'publish_annotations is true, but foxglove_msgs cannot be imported ({error}): '
            'install ros-$ROS_DISTRO-foxglove-msgs, or set publish_annotations to false'
        ) from error


class AnnotationPublisher:
    """
    Publisher of foxglove_msgs/ImageAnnotations for one camera.

    A message is made only while somebody subscribes. A failure is logged: the detections of the
    image are published already.

    :param node: creates the publisher, and logs.
    :param topic: of the annotations.
    :param messages: the module of :func:`load_foxglove_msgs`.
    :param class_names: labels.
    """

    def __init__(self, node: Node, topic: str, messages: Any, class_names: Sequence[str]) -> None:
        self._node = node
        self._messages = messages
        self._class_names = class_names
        # Of annotations only the newest count.
        self.publisher = node.create_publisher(
            messages.ImageAnnotations, topic, QoSProfile(depth=1)
        )

    def publish(self, stamp: Any, detections: Detections, size_wh: tuple[int, int]) -> None:
        """
        Publish the annotations of one image, if somebody subscribes; never raises.

        An image without detections gets an empty message, which clears those before.

        :param stamp: of the image, by which a viewer finds it.
        :param detections: in pixels of the image.
        :param size_wh: width and height of the image in pixels.
        """
        try:
            if self.publisher.get_subscription_count() > 0:
                self.publisher.publish(self._make(stamp, detections, size_wh))
        except Exception as error:  # noqa: BLE001 logged; an overlay never fails a detection
            self._node.get_logger().error(
                f'no annotations: {type(error).__name__}: {error}',
                throttle_duration_sec=_ERROR_PERIOD_S,
            )

    def _make(self, stamp: Any, detections: Detections, size_wh: tuple[int, int]) -> Any:
        """Make the message of one image."""
        thickness = max(1.0, min(size_wh) / _PIXELS_PER_LINE)
        font_size = max(_SMALLEST_FONT, min(size_wh) / _PIXELS_PER_FONT)
        message = self._messages.ImageAnnotations()
        points, texts = [], []
        # Lowest score first, so that the best box is drawn on top.
        for row in reversed(range(len(detections))):
            color = self._make_color(int(detections.class_ids[row]))
            corners = detections.find_corners(row)
            points.append(
                self._messages.PointsAnnotation(
                    timestamp=stamp,
                    type=self._messages.PointsAnnotation.LINE_LOOP,
                    points=[self._messages.Point2(x=x, y=y) for x, y in corners],
                    outline_color=color,
                    thickness=thickness,
                )
            )
            left, top = (min(values) for values in zip(*corners, strict=True))
            # The position is the lower left corner of the text. At the upper edge of the image it
            # stands inside the box.
            position = self._messages.Point2(x=max(0.0, left), y=max(font_size, top))
            texts.append(
                self._messages.TextAnnotation(
                    timestamp=stamp,
                    position=position,
                    text=self._label(detections, row),
                    font_size=font_size,
                    text_color=self._messages.Color(a=1.0),
                    background_color=color,
                )
            )
        message.points, message.texts = points, texts
        return message

    def _make_color(self, class_id: int) -> Any:
        """Make the color of a class, the one in the debug image."""
        blue, green, red = class_color_bgr(class_id)
        return self._messages.Color(r=red / 255, g=green / 255, b=blue / 255, a=1.0)

    def _label(self, detections: Detections, row: int) -> str:
        """Return class, score and, if there is one, the track of a detection."""
        name = class_label(int(detections.class_ids[row]), self._class_names)
        text = f'{name} {float(detections.scores[row]):.2f}'
        track = 0 if detections.track_ids is None else int(detections.track_ids[row])
        return f'{text} #{track}' if track else text
