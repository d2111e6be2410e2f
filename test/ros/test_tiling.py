# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test tiles of a node, over real topics."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any

import numpy as np
from sensor_msgs.msg import Image as ImageMessage
from support.models import lamp_detector
from support.ros_graph import detector_node, values_of, wait_until
from trt_detector.factory import create_detector
from vision_msgs.msg import Detection2DArray

TOPICS = ('/left/image', '/right/image')


def _message(width: int, height: int, left: int, top: int) -> Any:
    """Make a black image with a white square of 8x8 pixels."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top : top + 8, left : left + 8] = 255
    return ImageMessage(
        height=height, width=width, encoding='bgr8', step=width * 3, data=pixels.tobytes()
    )


def _centers(array: Any) -> list[tuple[float, float]]:
    return [(d.bbox.center.position.x, d.bbox.center.position.y) for d in array.detections]


def test_cameras_of_different_sizes_get_what_only_tiles_show(tmp_path: Path) -> None:
    # The network has 64x64 pixels and finds cells of 8x8: in the whole images the squares are
    # too small.
    messages = [_message(128, 128, 88, 16), _message(256, 128, 232, 80)]
    parameters = {
        'model_path': str(lamp_detector(tmp_path / 'lamp.onnx')),
        'backend': 'onnxruntime',
        'score_threshold': 0.5,
        'image_topics': list(TOPICS),
        'tile_overlap': 0.0,
        # The right half of every image: its tiles are those of the part.
        'regions': ['/right/image: include 0.5,0 1,0 1,1 0.5,1'],
        'crop_to_regions': True,
    }
    with detector_node(create_detector, tiling='2x2', **parameters) as running:
        assert running.configure()
        assert running.activate()
        arrays = [
            running.collect(Detection2DArray, f'{topic.rpartition("/")[0]}/detections')
            for topic in TOPICS
        ]
        publishers = [running.publisher(ImageMessage, topic, 10) for topic in TOPICS]

        def is_answered() -> bool:
            for publisher, message in zip(publishers, messages, strict=True):
                publisher.publish(message)
            time.sleep(0.05)
            return all(arrays)

        wait_until(is_answered, 'detections of both cameras')
        assert _centers(arrays[0][-1]) == [(92, 20)]
        assert _centers(arrays[1][-1]) == [(236, 84)]
        status = running.status('detector', lambda s: '2x2' in values_of(s).get('tiles', ''))
        assert values_of(status)['tiles'] == (
            '2x2 of 64x64 pixels and the whole image: 5 network inputs per image, 5 runs'
        )
        result = running.set_parameter('tiling', 'auto')
        assert not result.successful
        assert 'tiling cannot change while the node is configured' in result.reason
        assert running.deactivate()
        assert running.cleanup()
        # Without tiles nothing is found.
        assert running.set_parameter('tiling', 'none').successful
        assert running.configure()
        assert running.activate()
        for each in arrays:
            each.clear()
        wait_until(is_answered, 'empty arrays of both cameras')
        assert [_centers(each[-1]) for each in arrays] == [[], []]


def test_a_wrong_grid_is_refused_before_configure() -> None:
    with detector_node() as running:
        result = running.set_parameter('tiling', '4')
        assert not result.successful
        assert "tiling is '4'; expected none, auto, or columns x rows as 4x3" in result.reason
