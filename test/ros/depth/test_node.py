# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the detections_3d node over real topics."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 here: source it, or run bringup/prepare.sh')

from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo
from support.depth_graph import (
    depth_node,
    FOCAL_PX,
    FRAME,
    make_array,
    make_depth,
    make_info,
    SIZE_WH,
)
from support.ros_graph import values_of, wait_until


def test_a_box_before_a_wall_is_located() -> None:
    with depth_node(thickness_ratio=0.0) as running:
        depth_m = np.full(SIZE_WH[::-1], 4.0)
        depth_m[6:18, 40:56] = 2.0
        running.depth.publish(make_depth(7.25, depth_m))
        running.detections.publish(make_array(7.25, [(48.0, 12.0, 16.0, 12.0, 0.0)]))
        output = running.wait_output(1)
    assert (output.header.stamp.sec, output.header.stamp.nanosec) == (7, 250_000_000)
    assert output.header.frame_id == FRAME
    (found,) = output.detections
    assert found.header == output.header
    assert found.id == 'id 0'
    guesses = [(each.hypothesis.class_id, each.hypothesis.score) for each in found.results]
    assert guesses == [('class 0', 0.75), ('other', 0.25)]
    # The box is 16 pixels right of the middle and 12 above it, 2 m away.
    position = found.bbox.center.position
    expected = (16 / FOCAL_PX * 2.0, -12 / FOCAL_PX * 2.0, 2.0)
    np.testing.assert_allclose((position.x, position.y, position.z), expected, atol=1e-6)
    assert math.isclose(found.bbox.size.x, 16 / FOCAL_PX * 2.0, abs_tol=1e-6)
    assert math.isclose(found.bbox.size.y, 12 / FOCAL_PX * 2.0, abs_tol=1e-6)
    assert found.bbox.center.orientation.w == 1.0
    for guess in found.results:
        assert guess.pose.pose == found.bbox.center
        covariance = guess.pose.covariance.reshape(6, 6)
        np.testing.assert_allclose(covariance, covariance.T)
        assert (np.linalg.eigvalsh(covariance) > -1e-12).all()
        assert covariance[0, 0] > 0


def test_cameras_with_different_clocks_do_not_flood_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with depth_node() as running:
        session = running.session
        # Two drivers on one topic, one of which stamps by the time since the start.
        for number in range(1, 30):
            session._receive_depth(make_depth(1000.0 + number if number % 2 else number))
        assert session.counts.jumps == 14
    assert capfd.readouterr().err.count('the stamps went back') == 1


def test_every_array_gives_one_message_also_if_it_is_empty() -> None:
    with depth_node() as running:
        for number in range(1, 6):
            running.depth.publish(make_depth(number))
            running.detections.publish(make_array(number, [] if number % 2 else [(9, 9, 6, 6, 0)]))
        running.wait_output(5)
        counts = running.wait_done(5)
    assert [len(each.detections) for each in running.output] == [0, 1, 0, 1, 0]
    assert (counts.published, counts.located) == (5, 2)


def test_invalid_depth_gives_no_detection_and_is_counted() -> None:
    with depth_node() as running:
        depth_m = np.full(SIZE_WH[::-1], 2.0)
        depth_m[:, :32] = 0.0
        running.depth.publish(make_depth(1, depth_m))
        boxes = [
            (16, 24, 16, 16, 0),
            (48, 24, 16, 16, 0),
            (48, 24, 0, 16, 0),
            (48, math.nan, 1, 1, 0),
        ]
        running.detections.publish(make_array(1, boxes))
        (found,) = running.wait_output(1).detections
        assert found.id == 'id 1'
        status = running.status('detections_3d', lambda each: values_of(each)['located'] == '1')
        values = values_of(status)
        assert (values['no depth'], values['malformed']) == ('1', '2')
        running.depth.publish(make_depth(2, np.full(SIZE_WH[::-1], np.nan), '32FC1'))
        running.detections.publish(make_array(2))
        status = running.status('detections_3d', lambda each: 'none of' in each.message)
    assert 'none of 1 boxes has a place: 1 without enough valid depths' in status.message
    assert status.level == b'\x01'


def test_stamps_match_within_the_tolerance_and_nearest_first() -> None:
    with depth_node(sync_tolerance=0.03, thickness_ratio=0.0) as running:
        for stamp_s, depth_m in ((10.0, 1.0), (10.02, 2.0), (10.05, 3.0)):
            running.depth.publish(make_depth(stamp_s, np.full(SIZE_WH[::-1], depth_m)))
        running.detections.publish(make_array(10.028))
        found = running.wait_output(1)
        assert found.header.stamp.nanosec == 20_000_000
        assert math.isclose(found.detections[0].bbox.center.position.z, 2.0, rel_tol=1e-6)
        running.depth.publish(make_depth(11.0))
        running.detections.publish(make_array(10.5))
        counts = running.wait_done(2)
        assert (counts.published, counts.unmatched) == (1, 1)
        status = running.status('detections_3d', lambda each: 'nearest' in each.message)
    assert 'nearest depth image is 0.450 s older than the detections' in status.message
    assert 'sync_tolerance' in status.message


def test_detections_that_come_before_their_depth_image_wait_for_it() -> None:
    with depth_node() as running:
        running.detections.publish(make_array(5.0))
        wait_until(lambda: running.session.detections.received, 'the detections')
        running.depth.publish(make_depth(5.0))
        running.wait_output(1)


def test_stamps_that_go_back_begin_anew() -> None:
    with depth_node() as running:
        for loop in (1, 2):
            for number in range(3):
                running.depth.publish(make_depth(100 + number))
                running.detections.publish(make_array(100 + number))
            counts = running.wait_done(3 * loop)
    assert (counts.published, counts.unmatched) == (6, 0)
    assert counts.jumps == 1


def test_detections_without_a_stamp_are_refused() -> None:
    with depth_node() as running:
        running.depth.publish(make_depth(0))
        running.detections.publish(make_array(0))
        assert running.wait_done(1).unstamped == 1
        status = running.status('detections_3d', lambda each: 'no stamp' in each.message)
    assert status.level == b'\x01'
    assert not running.output


@pytest.mark.parametrize(
    ('what', 'sentence'),
    [
        ('uncalibrated', 'the camera is not calibrated'),
        ('other frame', "the detections are in frame 'lens', but the depth image is in 'ir'"),
        ('other aspect', 'depth image is 64x40, but the CameraInfo is that of an image of 64x48'),
        ('color', "depth image has the encoding 'bgr8'"),
        ('cut', 'depth image has 6144 bytes; expected 12288'),
        ('large boxes', 'outside the image of 64x48 that the CameraInfo describes'),
        ('lens model', "distortion_model 'mine' with 5 coefficients"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_words(what: str, sentence: str) -> None:
    with depth_node() as running:
        depth, array, info = make_depth(3), make_array(3), None
        if what == 'uncalibrated':
            info = make_info(k=[0.0] * 9)
        elif what == 'lens model':
            info = make_info(distortion_model='mine', d=[0.1] * 5)
        elif what == 'other frame':
            depth.header.frame_id = 'ir'
        elif what == 'other aspect':
            depth = make_depth(3, np.full((40, 64), 2.0))
        elif what == 'color':
            depth.encoding = 'bgr8'
        elif what == 'cut':
            depth = make_depth(3, encoding='32FC1')
            depth.data = depth.data[: len(depth.data) // 2]
        else:
            array = make_array(3, [(200, 24, 16, 16, 0)])
        if info is not None:
            running.info.publish(info)
            wait_until(lambda: running.session.info.received >= 2, 'the second CameraInfo')
        running.depth.publish(depth)
        running.detections.publish(array)
        assert running.wait_done(1).refused == 1
        status = running.status('detections_3d', lambda each: sentence in each.message)
        assert status.level == b'\x01'
        assert not running.output
        # What fits is located again.
        if info is not None:
            running.info.publish(make_info())
            wait_until(lambda: running.session.info.received >= 3, 'the third CameraInfo')
        running.depth.publish(make_depth(4))
        running.detections.publish(make_array(4))
        running.wait_output(1)


def test_missing_camera_info_and_silent_topics_are_explained() -> None:
    with depth_node(bring_up=False, input_timeout=0.3) as running:
        running.bring_up(with_info=False)
        running.depth.publish(make_depth(3))
        running.detections.publish(make_array(3))
        assert running.wait_done(1).refused == 1
        assert 'no CameraInfo has arrived' in running.session.last_problem
        status = running.status(
            'input /depth/camera_info', lambda each: 'send nothing' in each.message
        )
        assert status.level == b'\x01'
        running.client.destroy_publisher(running.depth)
        other = running.publisher(type(make_depth(1)), '/dept/image_raw')
        status = running.status(
            'input /depth/image_raw', lambda each: 'no publisher of' in each.message
        )
        running.client.destroy_publisher(other)
    assert '/dept/image_raw' in status.message


@pytest.mark.parametrize('is_latched', [True, False])
def test_camera_info_of_a_camera_that_starts_later_is_received(is_latched: bool) -> None:
    """A latched CameraInfo is published once, before the node knows its publisher."""
    with depth_node(bring_up=False) as running:
        running.client.destroy_publisher(running.info)
        assert running.configure()
        assert running.activate()
        durability = DurabilityPolicy.TRANSIENT_LOCAL if is_latched else DurabilityPolicy.VOLATILE
        qos = QoSProfile(depth=1, durability=durability)
        camera = running.publisher(CameraInfo, '/depth/camera_info', qos)
        camera.publish(make_info())

        def is_received() -> bool:
            if not is_latched:
                camera.publish(make_info())
            return bool(running.session.info.received)

        wait_until(is_received, 'the CameraInfo')


def test_a_depth_image_of_half_the_size_is_scaled() -> None:
    with depth_node(thickness_ratio=0.0) as running:
        depth_m = np.full((24, 32), 4.0)
        depth_m[3:9, 20:28] = 2.0
        running.depth.publish(make_depth(1, depth_m))
        running.detections.publish(make_array(1, [(48.0, 12.0, 16.0, 12.0, 0.0)]))
        (found,) = running.wait_output(1).detections
        status = running.status('detections_3d', lambda each: values_of(each)['located'] == '1')
        assert values_of(status)['depth pixels per image pixel'] == '0.5'
        # Without frames nothing tells that the images are aligned.
        bare = make_depth(2, depth_m)
        bare.header.frame_id = ''
        running.depth.publish(bare)
        running.detections.publish(make_array(2))
        assert running.wait_done(2).refused == 1
    position = found.bbox.center.position
    expected = (16 / FOCAL_PX * 2.0, -12 / FOCAL_PX * 2.0, 2.0)
    np.testing.assert_allclose((position.x, position.y, position.z), expected, atol=1e-6)


def test_live_parameters_take_effect_and_others_are_refused() -> None:
    with depth_node() as running:
        running.depth.publish(make_depth(1))
        running.detections.publish(make_array(1))
        assert len(running.wait_output(1).detections) == 1
        assert running.set_parameter('max_depth', 1.5).successful
        running.depth.publish(make_depth(2))
        running.detections.publish(make_array(2))
        assert running.wait_output(2).detections == []
        answer = running.set_parameter('depth_topic', 'other')
        assert not answer.successful
        assert 'depth_topic cannot change while the node is configured' in answer.reason
        answer = running.set_parameter('min_depth', 9.0)
        assert 'min_depth is 9 and max_depth is 1.5' in answer.reason


def test_lifecycle_repeats_and_counts_what_waits() -> None:
    with depth_node() as running:
        session = running.session
        running.detections.publish(make_array(1))
        wait_until(lambda: session.detections.received, 'the detections')
        assert running.deactivate()
        assert (session.counts.unmatched, session.counts.done) == (1, 1)
        assert running.cleanup()
        assert running.get_state() == 'unconfigured'
        assert not running.client.count_publishers('/detections_3d/detections')
        running.bring_up()
        running.depth.publish(make_depth(2))
        running.detections.publish(make_array(2))
        running.wait_output(1)


def test_wrong_parameters_are_refused_with_words() -> None:
    with depth_node(bring_up=False, min_depth=5.0, max_depth=1.0) as running:
        assert not running.configure()
        status = running.status('detections_3d', lambda each: 'min_depth' in each.message)
        assert 'min_depth must be the smaller one' in status.message
    with depth_node(bring_up=False, depth_topic='a b') as running:
        assert not running.configure()
        status = running.status('detections_3d', lambda each: 'depth_topic' in each.message)
        assert "depth_topic is 'a b', which is not a topic name" in status.message


def test_autostart_brings_the_node_up() -> None:
    with depth_node(bring_up=False, autostart=True) as running:
        wait_until(lambda: running.node.get_state_label() == 'active', 'the active state')
