# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the markers for RViz."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 here: source it, or run bringup/prepare.sh')

from support.depth_graph import depth_node, FRAME, make_array, make_depth
from support.ros_graph import values_of, wait_until
from trt_detector.ros.depth import publisher


def test_markers_are_made_only_while_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip(
        'visualization_msgs.msg', reason='install ros-$ROS_DISTRO-visualization-msgs'
    )
    made = []
    make = publisher.make_markers
    monkeypatch.setattr(publisher, 'make_markers', lambda *given: made.append(1) or make(*given))
    with depth_node() as running:
        running.depth.publish(make_depth(1))
        running.detections.publish(make_array(1))
        running.wait_output(1)
        assert not made
        markers = running.collect(library.MarkerArray, '/detections_3d/markers')
        wait_until(
            lambda: running.node.count_subscribers('/detections_3d/markers'), 'the subscriber'
        )
        wait_until(
            lambda: running.session._publisher._markers.get_subscription_count(), 'the match'
        )
        running.depth.publish(make_depth(2))
        running.detections.publish(make_array(2))
        detection = running.wait_output(2).detections[0]
        wait_until(lambda: markers, 'markers')
    clear, cube, label = markers[0].markers
    assert clear.action == library.Marker.DELETEALL
    assert (cube.type, label.type) == (library.Marker.CUBE, library.Marker.TEXT_VIEW_FACING)
    assert cube.header.frame_id == label.header.frame_id == FRAME
    assert cube.header.stamp.sec == 2
    assert cube.pose == detection.bbox.center
    assert cube.scale == detection.bbox.size
    assert label.text == 'class 0 #id 0 75%'
    assert cube.lifetime.sec > 0
    assert 0 < cube.color.a <= 1


def test_without_visualization_msgs_detections_are_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, 'visualization_msgs', None)
    with depth_node() as running:
        running.depth.publish(make_depth(1))
        running.detections.publish(make_array(1))
        running.wait_output(1)
        status = running.status('detections_3d')
    assert values_of(status)['markers'] == 'visualization_msgs is missing'
