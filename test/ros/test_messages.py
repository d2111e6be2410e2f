# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test image messages in encodings that only cv_bridge knows, and messages of detections."""

from __future__ import annotations

from dataclasses import replace
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from trt_detector.errors import ImageError
from trt_detector.ros.messages import DetectionsMessage, read_image
from trt_detector.values.detections import Detections


def _message(encoding: str) -> ImageMessage:
    data = bytes(range(48))
    return ImageMessage(height=4, width=4, encoding=encoding, step=12, data=data)


class _Bridge:
    """Converts one encoding, and refuses others as cv_bridge does: with an exception."""

    def imgmsg_to_cv2(self, message: object, desired_encoding: str) -> np.ndarray:
        if (message.encoding, desired_encoding) != ('yuv444', 'bgr8'):
            raise ValueError(f'[{message.encoding}] is not a color format')
        return np.full((message.height, message.width, 3), 7, np.uint8)


@pytest.fixture(name='bridge')
def _bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(CvBridge=_Bridge)
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)


@pytest.mark.usefixtures('bridge')
def test_unknown_encoding_is_converted_by_cv_bridge() -> None:
    image = read_image(_message('yuv444'))
    assert image.to_bgr().tolist() == np.full((4, 4, 3), 7).tolist()


@pytest.mark.usefixtures('bridge')
def test_encoding_that_cv_bridge_refuses_is_an_image_error() -> None:
    with pytest.raises(ImageError, match=r"'32FC1'; expected one of .*not a color format"):
        read_image(_message('32FC1'))


def test_missing_cv_bridge_is_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(ImageError, match=r"'yuv444'; expected one of .*ModuleNotFoundError"):
        read_image(_message('yuv444'))


@pytest.mark.usefixtures('bridge')
def test_long_encoding_is_cut_in_the_error() -> None:
    with pytest.raises(ImageError) as caught:
        read_image(_message('x' * 100_000))
    assert len(str(caught.value)) < 1000


def test_known_encodings_share_the_bytes_of_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    message = _message('bgr8')
    image = read_image(message)
    assert np.shares_memory(image.pixels()[0], np.frombuffer(message.data, np.uint8))


def test_the_angle_of_a_rotated_box_is_published_and_not_kept_for_the_next() -> None:
    upright = Detections(
        np.array([[10, 20, 30, 24]], np.float32),
        np.array([0.9], np.float32),
        np.array([1], np.int32),
    )
    message = DetectionsMessage(('ship', 'plane'))
    rotated = replace(upright, angles=np.array([0.5], np.float32))
    box = message.fill(Header(), rotated).detections[0].bbox
    assert (box.center.theta, box.size_x, box.size_y) == (0.5, 20, 4)
    assert (box.center.position.x, box.center.position.y) == (20, 22)
    assert message.fill(Header(), upright).detections[0].bbox.center.theta == 0


def test_track_ids_are_published_and_not_kept_for_the_next() -> None:
    found = Detections(
        np.array([[10, 20, 30, 24], [1, 2, 3, 4]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([1, 0], np.int32),
    )
    message = DetectionsMessage(('ship', 'plane'))
    tracked = replace(found, track_ids=np.array([2**40, 0]))
    assert [row.id for row in message.fill(Header(), tracked).detections] == [str(2**40), '']
    other = replace(found, track_ids=np.array([0, 7]))
    assert [row.id for row in message.fill(Header(), other).detections] == ['', '7']
    assert [row.id for row in message.fill(Header(), found).detections] == ['', '']
