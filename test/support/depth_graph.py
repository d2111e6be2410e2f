# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A running detections_3d node with a camera, for tests over topics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from .depth_messages import camera_info, depth_message
from .ros_graph import NodeHarness, ros_context, wait_until

pytest.importorskip('rclpy', reason='no ROS 2 here: source it, or run bringup/prepare.sh')

from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from trt_detector.ros.depth.node import Detections3DNode
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

__all__ = ['DepthHarness', 'depth_node', 'make_array', 'make_depth', 'make_info', 'set_stamp']

FRAME = 'lens'
SIZE_WH = (64, 48)
FOCAL_PX = 60.0


def set_stamp(message: Any, stamp_s: float) -> Any:
    """Set the stamp and, if it is empty, the frame of a message."""
    stamp_ns = round(stamp_s * 1e9)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    message.header.frame_id = message.header.frame_id or FRAME
    return message


def make_array(
    stamp_s: float,
    boxes: Sequence[Sequence[float]] = ((32.0, 24.0, 16.0, 12.0, 0.0),),
    frame: str = FRAME,
) -> Any:
    """
    Make detections; box n has the class 'n', the id 'id n' and a second hypothesis.

    :param boxes: center x and y, width, height and rotation of each.
    """
    array = Detection2DArray()
    array.header.frame_id = frame
    for number, box in enumerate(boxes):
        x, y, width, height, theta = map(float, box)
        detection = Detection2D(id=f'id {number}')
        detection.bbox.center.position.x, detection.bbox.center.position.y = x, y
        detection.bbox.center.theta = theta
        detection.bbox.size_x, detection.bbox.size_y = width, height
        for name, score in ((f'class {number}', 0.75), ('other', 0.25)):
            guess = ObjectHypothesisWithPose()
            guess.hypothesis.class_id, guess.hypothesis.score = name, score
            detection.results.append(guess)
        array.detections.append(detection)
    return set_stamp(array, stamp_s)


def make_depth(
    stamp_s: float,
    depth_m: Any = None,
    encoding: str = '16UC1',
    frame: str = FRAME,
    **options: Any,
) -> Any:
    """Make a depth image; the default is a wall in a distance of 2 m."""
    depths = np.full(SIZE_WH[::-1], 2.0) if depth_m is None else depth_m
    fields = depth_message(depths, encoding, **options)
    message = ImageMessage(
        width=fields.width,
        height=fields.height,
        encoding=fields.encoding,
        is_bigendian=fields.is_bigendian,
        step=fields.step,
        data=fields.data,
    )
    message.header.frame_id = frame
    return set_stamp(message, stamp_s)


def make_info(**changes: Any) -> Any:
    """Make the CameraInfo of :data:`SIZE_WH`, with some fields changed."""
    fields = camera_info(*SIZE_WH, FOCAL_PX)
    names = ('width', 'height', 'distortion_model', 'd', 'k', 'r', 'p')
    message = CameraInfo(**({name: getattr(fields, name) for name in names} | changes))
    message.header.frame_id = FRAME
    return message


class DepthHarness(NodeHarness):
    """
    An active detections_3d node, and publishers of its topics.

    :param context: initialized context.
    :param parameters: of the node.
    """

    def __init__(self, context: Any, parameters: dict[str, Any]) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = Detections3DNode(
            context=context, parameter_overrides=overrides, use_global_arguments=False
        )
        super().__init__(context, node)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.detections = self.publisher(Detection2DArray, '/detector/detections', 10)
        self.depth = self.publisher(ImageMessage, '/depth/image_raw', 10)
        self.info = self.publisher(CameraInfo, '/depth/camera_info', latched)
        self.output: list[Any] = self.collect(Detection3DArray, '/detections_3d/detections')

    @property
    def session(self) -> Any:
        """Session of the node."""
        return self.node._health.session

    def bring_up(self, *, with_info: bool = True) -> None:
        """Configure and activate, and wait for all connections."""
        assert self.configure()
        assert self.activate()
        for publisher in (self.detections, self.depth, self.info):
            wait_until(publisher.get_subscription_count, 'the subscription of the node')
        wait_until(
            lambda: self.client.count_publishers('/detections_3d/detections'), 'the publisher'
        )
        # Reliability follows the publishers; after that nothing is subscribed anew.
        group = self.session._group
        wait_until(
            lambda: not any(each.is_outdated() for each in group._subscriptions),
            'the reliable subscriptions',
        )
        if with_info:
            self.info.publish(make_info())
            wait_until(lambda: self.session.info.received, 'the CameraInfo')

    def wait_done(self, count: int) -> Any:
        """Wait until a number of arrays were published or given up; return the counts."""
        wait_until(lambda: self.session.counts.done >= count, f'{count} arrays')
        assert self.session.counts.done == count
        return self.session.counts

    def wait_output(self, count: int) -> Any:
        """Wait for a number of messages; return the last one."""
        wait_until(lambda: len(self.output) >= count, f'{count} messages of 3D detections')
        return self.output[count - 1]


@contextmanager
def depth_node(*, bring_up: bool = True, **parameters: Any) -> Iterator[DepthHarness]:
    """Run a detections_3d node, and a client beside it."""
    with ros_context() as context:
        running = DepthHarness(context, {'diagnostics_period': 0.2, **parameters})
        try:
            if bring_up:
                running.bring_up()
            yield running
        finally:
            running.close()
