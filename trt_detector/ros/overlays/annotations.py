# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes and labels that Foxglove draws on the image of a camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import importlib
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from ...errors import ConfigError
from ...image.drawing import class_color_bgr, class_label
from ...image.message import stamp_to_ns
from ...tracking.trails import Points, Trails
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
        self._trails = Trails()
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
                trails = self._trails.update(detections, stamp_to_ns(stamp))
                self.publisher.publish(self._make(stamp, detections, size_wh, trails))
            else:
                self._trails.clear()
        except Exception as error:  # noqa: BLE001 logged; an overlay never fails a detection
            self._node.get_logger().error(
                f'no annotations: {type(error).__name__}: {error}',
                throttle_duration_sec=_ERROR_PERIOD_S,
            )

    def _make(
        self,
        stamp: Any,
        detections: Detections,
        size_wh: tuple[int, int],
        trails: Mapping[int, Points],
    ) -> Any:
        """Make the message of one image."""
        thickness = max(1.0, min(size_wh) / _PIXELS_PER_LINE)
        font_size = max(_SMALLEST_FONT, min(size_wh) / _PIXELS_PER_FONT)
        message = self._messages.ImageAnnotations()
        points, texts = [], []
        for row, trail in trails.items():
            points.append(self._make_line('LINE_STRIP', stamp, detections, row, trail, thickness))
        # Lowest score first, so that the best box is drawn on top.
        for row in reversed(range(len(detections))):
            corners = detections.find_corners(row)
            points.append(self._make_line('LINE_LOOP', stamp, detections, row, corners, thickness))
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
                    background_color=self._make_color(int(detections.class_ids[row])),
                )
            )
        message.points, message.texts = points, texts
        return message

    def _make_line(
        self,
        kind: str,
        stamp: Any,
        detections: Detections,
        row: int,
        points: Points,
        thickness: float,
    ) -> Any:
        """Make a line in the color of a detection; the kind names a constant of the message."""
        return self._messages.PointsAnnotation(
            timestamp=stamp,
            type=getattr(self._messages.PointsAnnotation, kind),
            points=[self._messages.Point2(x=x, y=y) for x, y in points],
            outline_color=self._make_color(int(detections.class_ids[row])),
            thickness=thickness,
        )

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
