# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that detections of two nodes on one topic are noticed."""

from __future__ import annotations

import pytest
from support.ros_graph import detector_node, wait_until
from vision_msgs.msg import Detection2DArray

TEXT = '/left/detections is published by /client as well: its subscribers get the detections'


@pytest.mark.parametrize('is_remapped', [False, True])
def test_node_that_shares_a_topic_of_detections_is_named(
    is_remapped: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ['-r', '/left/detections:=/left/detections_2'] if is_remapped else []
    topics = ['/left/image_raw', '/right/image_raw']
    with detector_node(image_topics=topics, cli_args=arguments) as running:
        running.publisher(Detection2DArray, '/left/detections')
        assert running.configure()
        node = running.node
        wait_until(
            lambda: any(
                each.node_name == running.client.get_name()
                # The name in DDS, which is not remapped.
                for each in node.get_publishers_info_by_topic('rt/left/detections', True)
            ),
            'the discovery of the other publisher',
        )
        assert running.activate()
        text = running.status('detector').message
        assert (TEXT in text) != is_remapped
        assert running.deactivate()
        assert TEXT not in running.status('detector', lambda s: 'inactive' in s.message).message
    assert capfd.readouterr().err.count(TEXT) == (not is_remapped)
