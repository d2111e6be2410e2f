# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test 3D detections in another frame."""

from __future__ import annotations

import math
import sys
from typing import Any

from doubles.tf2_double import Tf2Double
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 here: source it, or run bringup/prepare.sh')

from geometry_msgs.msg import TransformStamped
from support.depth_graph import depth_node, make_array, make_depth
from support.ros_graph import wait_until

# From the frame of a camera (right, down, forward) to that of a robot (forward, left, up).
TURN = (-0.5, 0.5, -0.5, 0.5)
SHIFT = (0.2, 0.0, 1.5)


def check_output(message: Any) -> None:
    """Check the box 2 m before the camera, half a meter to the right."""
    assert message.header.frame_id == 'base'
    assert message.header.stamp.sec == 9
    (found,) = message.detections
    position = found.bbox.center.position
    expected = (SHIFT[0] + 2.0, -0.5, SHIFT[2])
    np.testing.assert_allclose((position.x, position.y, position.z), expected, atol=1e-6)
    turn = found.bbox.center.orientation
    np.testing.assert_allclose((turn.x, turn.y, turn.z, turn.w), TURN, atol=1e-9)
    covariance = found.results[0].pose.covariance.reshape(6, 6)
    # The box is wide and low: across the view it is less certain than upward.
    assert covariance[1, 1] > covariance[2, 2] > 0


def publish_box(running: Any) -> None:
    running.depth.publish(make_depth(9))
    running.detections.publish(make_array(9, [(47.0, 24.0, 20.0, 5.0, 0.0)]))


def test_boxes_are_transformed_at_the_stamp_of_the_depth_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tf2 = Tf2Double({('base', 'lens'): (*SHIFT, *TURN)})
    monkeypatch.setitem(sys.modules, 'tf2_ros', tf2)
    with depth_node(target_frame='base', transform_timeout=0.25, thickness_ratio=0.0) as running:
        publish_box(running)
        check_output(running.wait_output(1))
        ((time, timeout_s),) = tf2.lookups
        assert (time.nanoseconds, timeout_s) == (9_000_000_000, 0.25)
        running.cleanup() if running.deactivate() else pytest.fail('cannot deactivate')
        assert [each.is_open for each in tf2.listeners] == [False]


def test_a_missing_transform_is_counted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'tf2_ros', Tf2Double({}))
    with depth_node(target_frame='base') as running:
        publish_box(running)
        assert running.wait_done(1).refused == 1
        status = running.status('detections_3d', lambda each: 'no transform' in each.message)
        assert "no transform from 'lens' to target_frame 'base'" in status.message
        assert status.level == b'\x01'
        assert not running.output


def test_without_tf2_a_target_frame_is_refused_with_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    with depth_node(bring_up=False, target_frame='base') as running:
        assert not running.configure()
        status = running.status('detections_3d', lambda each: 'tf2_ros' in each.message)
        assert "target_frame is 'base', but tf2_ros cannot be imported" in status.message
        assert 'install ros-$ROS_DISTRO-tf2-ros-py' in status.message
        assert running.set_parameter('target_frame', '').successful
        assert running.configure()


def test_real_tf2_finds_the_transform() -> None:
    tf2 = pytest.importorskip('tf2_ros', reason='install ros-$ROS_DISTRO-tf2-ros-py')
    with depth_node(target_frame='base', transform_timeout=5.0, thickness_ratio=0.0) as running:
        broadcaster = tf2.StaticTransformBroadcaster(running.client)
        transform = TransformStamped()
        transform.header.frame_id, transform.child_frame_id = 'base', 'lens'
        place = transform.transform
        place.translation.x, place.translation.y, place.translation.z = SHIFT
        place.rotation.x, place.rotation.y, place.rotation.z, place.rotation.w = TURN
        broadcaster.sendTransform(transform)
        publish_box(running)
        check_output(running.wait_output(1))
        assert running.deactivate()
        assert running.cleanup()
        wait_until(lambda: not running.client.count_subscribers('/tf'), 'the end of the listener')


@pytest.mark.parametrize('seed', range(6))
def test_quaternions_and_matrices_are_inverse(seed: int) -> None:
    from trt_detector.ros.depth.frame_transformer import make_rotation
    from trt_detector.ros.depth.messages import make_quaternion

    rng = np.random.default_rng(seed)
    given = rng.standard_normal(4)
    # Half turns about each axis are the difficult ones.
    if seed < 3:
        given = np.eye(4)[seed] + 1e-9 * given
    given /= np.linalg.norm(given)
    rotation = make_rotation(*given.tolist())
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert math.isclose(np.linalg.det(rotation), 1.0)
    found = make_quaternion(rotation)
    values = np.array([found.x, found.y, found.z, found.w])
    assert abs(values @ given) == pytest.approx(1.0)
    # Rodrigues' formula as the definition.
    angle = 2 * math.acos(max(-1.0, min(1.0, given[3])))
    axis = given[:3] / np.linalg.norm(given[:3])
    vector = np.array([0.3, -0.2, 0.9])
    expected = (
        vector * math.cos(angle)
        + np.cross(axis, vector) * math.sin(angle)
        + axis * (axis @ vector) * (1 - math.cos(angle))
    )
    np.testing.assert_allclose(rotation @ vector, expected, atol=1e-9)
