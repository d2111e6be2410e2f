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
from trt_detector.ros.messages import DetectionsMessage, make_image, make_label_info, read_image
from trt_detector.ros.serialized.image_message import DamagedMessage, ReceivedImage
from trt_detector.values.detections import Detections


def _message(encoding: str) -> ImageMessage:
    data = bytes(range(48))
    return ImageMessage(height=4, width=4, encoding=encoding, step=12, data=data)


class _Bridge:
    """Converts one encoding, and refuses others as cv_bridge does: with an exception."""

    def imgmsg_to_cv2(self, message: object, desired_encoding: str) -> np.ndarray:
        # cv_bridge takes the type of rclpy only.
        assert isinstance(message, ImageMessage)
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
def test_image_as_it_was_received_is_converted_by_cv_bridge() -> None:
    data = np.arange(48, dtype=np.uint8)
    image = read_image(ReceivedImage(Header(), 4, 4, 'yuv444', 0, 12, data, None))
    assert image.to_bgr().tolist() == np.full((4, 4, 3), 7).tolist()


@pytest.mark.usefixtures('bridge')
def test_image_that_is_too_large_is_not_converted() -> None:
    assert read_image(_message('yuv444'), max_pixels=16).width == 4
    with pytest.raises(ImageError, match='image is 4x4, 16 pixels; max_image_pixels is 15'):
        read_image(_message('yuv444'), max_pixels=15)


def test_damaged_message_is_an_image_error() -> None:
    with pytest.raises(ImageError, match='no length'):
        read_image(DamagedMessage('no length'))


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


def _boxes(count: int) -> Detections:
    corner = np.arange(count, dtype=np.float32)[:, None] * (10, 1)
    boxes = np.concatenate((corner, corner + np.array((4, 6))), axis=1).astype(np.float32)
    scores = np.linspace(0.9, 0.3, count).astype(np.float32)
    return Detections(boxes, scores, np.arange(count, dtype=np.int32) % 3)


def test_a_crowded_image_does_not_keep_its_memory() -> None:
    message = DetectionsMessage(('ship', 'plane'))
    assert len(message.fill(Header(), _boxes(400)).detections) == 400
    header = Header(frame_id='camera')
    few = message.fill(header, _boxes(3))
    assert [len(few.detections), len(message._pool)] == [3, 300]
    assert few.header.frame_id == 'camera'
    for number, found in enumerate(few.detections):
        assert found.header.frame_id == 'camera'
        center = found.bbox.center.position
        assert (center.x, center.y) == (10 * number + 2, number + 3)
        assert (found.bbox.size_x, found.bbox.size_y) == (4, 6)
        [result] = found.results
        assert result.hypothesis.score == pytest.approx(0.9 - 0.3 * number)
        # A class without a name has its number.
        assert result.hypothesis.class_id == ('ship', 'plane', '2')[number]


def test_label_info_leaves_out_merged_classes_and_has_the_threshold() -> None:
    header = Header(frame_id='camera')
    info = make_label_info(header, ('ship', '', 'plane'), 0.375)
    names = [(entry.class_id, entry.class_name) for entry in info.class_map]
    assert names == [(0, 'ship'), (2, 'plane')]
    assert (info.threshold, info.header.frame_id) == (0.375, 'camera')


def test_a_picture_is_published_row_by_row() -> None:
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    # Every second column: not contiguous.
    part = picture[:, ::2]
    message = make_image(Header(frame_id='camera'), part)
    assert (message.height, message.width, message.step) == (4, 3, 9)
    assert (message.encoding, message.header.frame_id) == ('bgr8', 'camera')
    assert message.data.tolist() == [
        int(value) for row in part for pixel in row for value in pixel
    ]
