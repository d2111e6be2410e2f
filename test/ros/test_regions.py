# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test regions, masks and sizes of a node, over real topics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import detector_node, image_message, RunningNode, wait_until
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from vision_msgs.msg import Detection2DArray, LabelInfo

# The stub finds the middle half of an image.
CENTER = 'include 0.4,0.4 0.6,0.4 0.6,0.6 0.4,0.6'
CORNER = 'include 0,0 0.3,0 0.3,0.3 0,0.3'
DEMO = {
    'model_path': 'demo/models/demo_end2end.onnx',
    'backend': 'onnxruntime',
    'score_threshold': 0.5,
}


class Camera:
    """
    Camera that is asked for images one by one.

    :param running: the active node.
    :param topic: topic of the images.
    :param detections: topic of its detections.
    """

    def __init__(self, running: RunningNode, topic: str, detections: str) -> None:
        self.arrays = running.collect(Detection2DArray, detections)
        self._publisher = running.publisher(ImageMessage, topic, 10)
        self._sent = 0
        wait_until(lambda: self._publisher.get_subscription_count(), 'a subscription')

    def detect(self, message: Any = None) -> list[Any]:
        """Send images until one is answered; return the detections of the newest."""
        message = message or image_message()

        def is_answered() -> bool:
            self._sent += 1
            message.header.stamp.sec = self._sent
            self._publisher.publish(message)
            sent = self._sent

            def find() -> bool:
                return any(array.header.stamp.sec == sent for array in self.arrays)

            try:
                wait_until(find, 'an answer', timeout_s=2.0)
            except AssertionError:
                return False
            return True

        wait_until(is_answered, 'an image that is answered')
        return list(self.arrays[-1].detections)


@contextmanager
def active(*topics: str, create: Any = None, **parameters: Any) -> Iterator[Any]:
    """Run an active node; provide it with its cameras."""
    names = topics or ('/image_raw',)
    with detector_node(create, image_topics=list(names), **parameters) as running:
        assert running.configure()
        assert running.activate()
        out = [f'{topic.rpartition("/")[0]}/detections' for topic in topics]
        yield (
            running,
            *(
                Camera(running, topic, detections)
                for topic, detections in zip(names, out or ['/detector/detections'], strict=True)
            ),
        )


def test_regions_change_while_the_node_is_active() -> None:
    with active(regions=[CENTER]) as (running, camera):
        assert len(camera.detect()) == 1
        assert running.set_parameter('regions', [CORNER]).successful
        assert len(camera.detect()) == 0
        # Each refusal leaves the regions as they are.
        for wrong, reason in (
            (['include 0,0 1,0'], 'has 2 different corner'),
            (['include 0,0 1,1 1,0 0,1'], 'crosses or touches'),
            (['/other: include 0,0 1,0 1,1'], "names the camera '/other'; expected an image"),
        ):
            result = running.set_parameter('regions', wrong)
            assert not result.successful
            assert reason in result.reason
            assert len(camera.detect()) == 0
        assert running.set_parameter('regions', []).successful
        assert len(camera.detect()) == 1
        assert running.set_parameter('min_size', 33).successful
        assert len(camera.detect()) == 0, 'the box has 32x24 pixels'
        assert running.set_parameter('min_size', [32.0, 0.5]).successful
        assert len(camera.detect()) == 1


def test_each_camera_has_regions_of_its_own() -> None:
    topics = ['/left/image', '/right/image']
    regions = [f'/left/image: {CENTER}', f'/right/image: {CORNER}']
    with active(*topics, regions=regions) as (_, left, right):
        assert len(left.detect()) == 1
        assert len(right.detect()) == 0
        assert len(left.detect()) == 1


def test_relative_and_remapped_names_are_known() -> None:
    with detector_node(
        image_topics=['cam/image'],
        regions=[f'cam/image: {CORNER}', f'/front/image: {CORNER}', f'/cam/image: {CORNER}'],
        cli_args=['-r', '/cam/image:=/front/image'],
    ) as running:
        assert running.configure()


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('regions', ['/other: include 0,0 1,0 1,1'], "names the camera '/other'"),
        ('ignore_mask', ['/no/such/mask.png'], 'cannot read /no/such/mask.png'),
    ],
)
def test_configure_fails_with_the_reason(
    name: str, value: Any, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with detector_node(**{name: value}) as running:
        assert not running.configure()
        assert running.get_state() == 'unconfigured'
        wait_until(lambda: reason in running.node._health.failure, reason, timeout_s=2.0)
        assert running.set_parameter(name, []).successful
        assert running.configure(), 'the error can be corrected'


def test_wrong_polygons_are_refused_before_configure() -> None:
    with detector_node() as running:
        result = running.set_parameter('regions', ['include 0,0 1,0'])
        assert not result.successful
        assert 'has 2 different corner' in result.reason


def test_masks_and_regions_are_seen_in_the_debug_image(tmp_path: Path) -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 2:] = 255
    cv2.imwrite(str(tmp_path / 'mask.png'), mask)
    masks = [f'/image_raw: {tmp_path / "mask.png"}']
    with active(regions=[CENTER], region_anchor='bottom') as (running, camera):
        pictures = running.collect(ImageMessage, '/detector/debug_image', 1)
        message = image_message()
        message.data = np.full(64 * 48 * 3, 200, np.uint8).tobytes()
        assert len(camera.detect(message)) == 0, 'its lower edge is below the region'
        assert running.set_parameter('region_anchor', 'center').successful
        assert running.set_parameter('ignore_mask', masks).successful
        assert len(camera.detect(message)) == 0, 'its center is white in the mask'
        wait_until(lambda: camera.detect(message) == [] and len(pictures) > 2, 'debug images')
        picture = np.array(pictures[-1].data, np.uint8).reshape(48, 64, 3)
        assert picture[2, 60].tolist() == [80, 80, 80]
        assert picture[2, 3].tolist() == [200, 200, 200]


def test_a_crop_without_an_include_region_is_a_warning_until_there_is_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with active() as (running, camera):
        assert running.set_parameter('crop_to_regions', True).successful
        status = running.status('detector', lambda s: s.level == b'\x01')
        assert 'crop_to_regions is true, but there is no include region' in status.message
        assert len(camera.detect(image_message())) == 1
        assert running.set_parameter('regions', [CENTER]).successful
        running.status('detector', lambda s: s.level == b'\x00')
    assert caplog.text.count('nothing is cropped; add one to regions') == 1


def picture_message() -> tuple[Any, Image]:
    """Make the message of a demo picture."""
    image = Image.from_file('demo/pictures/scene_48_1280x720.jpg')
    message = image_message(1280, 720)
    message.data = np.ascontiguousarray(image.to_bgr()).tobytes()
    return message, image


def boxes_of(detections: list[Any]) -> np.ndarray[Any, Any]:
    """Return the (n, 4) corners of the boxes of messages."""
    boxes = [
        (
            each.bbox.center.position.x - each.bbox.size_x / 2,
            each.bbox.center.position.y - each.bbox.size_y / 2,
            each.bbox.center.position.x + each.bbox.size_x / 2,
            each.bbox.center.position.y + each.bbox.size_y / 2,
        )
        for each in detections
    ]
    return np.array(boxes).reshape(-1, 4)


def test_a_crop_shows_the_network_more_and_keeps_the_coordinates_of_the_image() -> None:
    message, image = picture_message()
    left, top, right, bottom = 320, 180, 960, 720
    region = 'include 0.25,0.25 0.75,0.25 0.75,1 0.25,1'
    part = Image.from_array(np.ascontiguousarray(image.to_bgr()[top:bottom, left:right]))
    with create_detector(DetectorConfig(**DEMO)) as detector:  # type: ignore[arg-type]
        (expected,) = detector.detect([part]).detections
    shift = np.array([left, top, left, top])
    with active(create=create_detector, regions=[region], crop_to_regions=True, **DEMO) as (
        running,
        camera,
    ):
        found = camera.detect(message)
        assert len(expected) > 0
        np.testing.assert_allclose(boxes_of(found), expected.boxes_xyxy + shift, atol=0.01)
        # Without the crop the same objects are found, in a smaller picture.
        assert running.set_parameter('crop_to_regions', False).successful
        whole = boxes_of(camera.detect(message))
        centers = (whole[:, :2] + whole[:, 2:]) / 2
        assert ((centers > (left, top)) & (centers < (right, bottom))).all()
        assert not np.allclose(whole[: len(expected)], (expected.boxes_xyxy + shift)[: len(whole)])


def test_mapped_classes_are_published_and_listed() -> None:
    message, _ = picture_message()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with active(create=create_detector, **DEMO) as (running, camera):
        names = [each.results[0].hypothesis.class_id for each in camera.detect(message)]
    first, second = sorted(set(names))[:2]
    items = [f'{first}:thing', f'{second}:thing']
    with active(create=create_detector, class_map=items, **DEMO) as (running, camera):
        tables = running.collect(LabelInfo, '/detector/label_info', latched)
        found = [each.results[0].hypothesis.class_id for each in camera.detect(message)]
        assert found == ['thing' if name in (first, second) else name for name in names]
        wait_until(lambda: tables, 'label info')
        table = {each.class_id: each.class_name for each in tables[-1].class_map}
        assert sorted(table.values()).count('thing') == 1
        assert not {first, second, ''} & set(table.values())
        assert len(table) == 5, 'the demo model has six classes'
        assert running.set_parameter('classes', ['thing']).successful
        assert {each.results[0].hypothesis.class_id for each in camera.detect(message)} == {
            'thing'
        }
        result = running.set_parameter('classes', [first])
        assert not result.successful
        assert 'expected names or numbers of' in result.reason
        assert not running.set_parameter('class_map', []).successful
