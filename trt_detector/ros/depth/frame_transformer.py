# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms to the target frame, by tf2."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from ...errors import ConfigError, DetectorError

__all__ = ['FrameTransformer']

Floats = npt.NDArray[np.float64]


class FrameTransformer:
    """
    Listener to transforms.

    :param node: its executor receives them.
    :param target_frame: frame to transform to.
    :raises ConfigError: if tf2_ros is not installed.
    """

    def __init__(self, node: Node, target_frame: str) -> None:
        try:
            import tf2_ros
        except ImportError as error:
            raise ConfigError(
                f'target_frame is {target_frame!r}, but tf2_ros cannot be imported ({error}): '
                'install ros-$ROS_DISTRO-tf2-ros-py, or leave target_frame empty for detections '
                'in the frame of the camera'
            ) from error
        self._tf2: Any = tf2_ros
        self._target_frame = target_frame
        self._buffer = self._tf2.Buffer()
        self._listener = self._tf2.TransformListener(self._buffer, node)

    def find(self, header: Header, timeout_s: float) -> tuple[Floats, Floats]:
        """
        Find the transform from the frame of a header to the target frame, at its stamp.

        :param timeout_s: maximum time to wait for it.
        :return: rotation (3, 3) and translation (3,) in meters.
        :raises DetectorError: if there is none.
        """
        try:
            found = self._buffer.lookup_transform(
                self._target_frame,
                header.frame_id,
                Time.from_msg(header.stamp),
                timeout=Duration(seconds=timeout_s),
            ).transform
        except self._tf2.TransformException as error:
            raise DetectorError(
                f'no transform from {header.frame_id!r} to target_frame {self._target_frame!r}: '
                f'{error}'
            ) from error
        turn, shift = found.rotation, found.translation
        return make_rotation(turn.x, turn.y, turn.z, turn.w), np.array([shift.x, shift.y, shift.z])

    def close(self) -> None:
        """Stop to listen."""
        self._listener.unregister()


def make_rotation(x: float, y: float, z: float, w: float) -> Floats:
    """Create the rotation matrix (3, 3) of a quaternion, which need not have the length 1."""
    n = x * x + y * y + z * z + w * w
    s = 2.0 / n if n > 0 else 0.0
    return np.array([
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ])  # fmt: skip
