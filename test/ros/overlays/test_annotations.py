# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Overlays for Foxglove: their geometry, their cost, and a node that publishes them."""

from __future__ import annotations

import math
from pathlib import Path
import re
import sys
from typing import Any

from builtin_interfaces.msg import Time
from doubles.foxglove_double import CONSTANTS, FIELDS, foxglove_double
import numpy as np
import pytest
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import (
    detector_node,
    image_message,
    RunningNode,
    StubFactory,
    wait_until,
)
from trt_detector.config import parameter_specs
from trt_detector.errors import ConfigError
from trt_detector.image.drawing import class_color_bgr
from trt_detector.ros.overlays.annotations import AnnotationPublisher, load_foxglove_msgs
from trt_detector.values.detections import Detections
from vision_msgs.msg import Detection2DArray

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / 'demo'))

from scenes.sequence import render_sequence
from splits import SEQUENCE_SEEDS

STAMP = Time(sec=7, nanosec=8)


class FakePublisher:
    """Publisher that keeps what is published."""

    def __init__(self, subscribers: int) -> None:
        self.subscribers = subscribers
        self.messages: list[Any] = []

    def get_subscription_count(self) -> int:
        return self.subscribers

    def publish(self, message: Any) -> None:
        self.messages.append(message)


class FakeNode:
    """Node that gives a publisher and keeps what is logged."""

    def __init__(self, subscribers: int = 1) -> None:
        self.publisher = FakePublisher(subscribers)
        self.logged: list[str] = []

    def create_publisher(self, kind: Any, topic: str, qos: Any) -> FakePublisher:
        assert (kind, topic, qos.depth) == (foxglove_double.ImageAnnotations, '~/annotations', 1)
        return self.publisher

    def get_logger(self) -> FakeNode:
        return self

    def error(self, text: str, **_: Any) -> None:
        self.logged.append(text)


def found(boxes: list[list[float]], **values: Any) -> Detections:
    count = len(boxes)
    return Detections(
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.linspace(0.875, 0.5, count, dtype=np.float32),
        class_ids=np.arange(count, dtype=np.int32),
        **values,
    )


def publish(detections: Detections, size_wh: tuple[int, int] = (640, 480)) -> Any:
    """Publish for one subscriber; return the message."""
    node = FakeNode()
    publisher = AnnotationPublisher(node, '~/annotations', foxglove_double, ['car', 'dog'])  # type: ignore[arg-type]
    publisher.publish(STAMP, detections, size_wh)
    assert node.logged == []
    (message,) = node.publisher.messages
    return message


def corners_of(points: Any) -> list[tuple[float, float]]:
    return [(point.x, point.y) for point in points.points]


def test_a_box_is_a_closed_line_in_the_color_of_its_class_with_a_label() -> None:
    message = publish(found([[10, 100, 50, 300], [200, 20, 260, 90.5]]))
    # The best one is drawn last, on top.
    second, first = message.points
    assert corners_of(first) == [(10, 100), (50, 100), (50, 300), (10, 300)]
    assert corners_of(second) == [(200, 20), (260, 20), (260, 90.5), (200, 90.5)]
    assert first.type == second.type == foxglove_double.PointsAnnotation.LINE_LOOP == 2
    assert first.timestamp == second.timestamp == STAMP
    assert (first.outline_color.r, first.outline_color.g, first.outline_color.b) == tuple(
        value / 255 for value in reversed(class_color_bgr(0))
    )
    assert first.outline_color.a == 1
    assert [text.text for text in message.texts] == ['dog 0.50', 'car 0.88']
    assert [(text.position.x, text.position.y) for text in message.texts] == [
        (200, 20), (10, 100),
    ]  # fmt: skip
    assert all(text.timestamp == STAMP for text in message.texts)


def test_a_rotated_box_is_rotated_about_its_center() -> None:
    message = publish(found([[80, 40, 120, 60]], angles=np.array([math.pi / 2], np.float32)))
    corners = {(round(x, 3), round(y, 3)) for x, y in corners_of(message.points[0])}
    assert corners == {(90, 30), (110, 30), (110, 70), (90, 70)}


def test_a_track_has_its_number_in_the_label() -> None:
    ids = np.array([12, 0], np.int64)
    message = publish(found([[0, 0, 9, 9], [20, 20, 40, 40]], track_ids=ids))
    assert [text.text for text in message.texts] == ['dog 0.50', 'car 0.88 #12']


def test_a_track_has_a_trail_through_its_last_true_positions() -> None:
    frames = list(render_sequence(SEQUENCE_SEEDS[302], 60, 20.0, (256, 144), 8, draw=False))
    node = FakeNode()
    publisher = AnnotationPublisher(node, '~/annotations', foxglove_double, [])  # type: ignore[arg-type]
    for frame in frames:
        # The stamp of a camera; 0 would be none.
        stamp = Time(sec=1 + int(frame.stamp_s), nanosec=round(frame.stamp_s % 1 * 1e9))
        seen = list(frame.objects)
        detections = found(
            [list(thing.bbox_xyxy) for thing in seen],
            track_ids=np.array([thing.track_id for thing in seen], np.int64),
        )
        publisher.publish(stamp, detections, (256, 144))
    lines = {
        tuple(trail[-1]): trail
        for line in node.publisher.messages[-1].points
        if line.type == foxglove_double.PointsAnnotation.LINE_STRIP
        for trail in [corners_of(line)]
    }
    last_s = frames[-1].stamp_s
    number = 0
    for thing in frames[-1].objects:
        true = [
            ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            for frame in frames
            if last_s - frame.stamp_s <= 2.0 + 1e-6
            for box in [
                other.bbox_xyxy for other in frame.objects if other.track_id == thing.track_id
            ]
        ]
        if len(true) > 1:
            number += 1
            assert lines[true[-1]] == true
    assert number == len(lines) >= 3


def test_trails_are_forgotten_while_nobody_listens() -> None:
    node = FakeNode()
    publisher = AnnotationPublisher(node, '~/annotations', foxglove_double, [])  # type: ignore[arg-type]
    box = found([[0, 0, 9, 9]], track_ids=np.array([3], np.int64))
    for number, subscribers in enumerate((1, 1, 0, 1)):
        node.publisher.subscribers = subscribers
        publisher.publish(Time(sec=5, nanosec=number * 10**8), box, (64, 64))
    assert [len(message.points) for message in node.publisher.messages] == [1, 2, 1]


def test_a_class_without_a_name_has_its_number() -> None:
    message = publish(found([[0, 0, 9, 9]] * 3))
    assert message.texts[0].text.startswith('2 ')


@pytest.mark.parametrize('size_wh', [(320, 240), (3840, 2160)])
def test_lines_and_labels_are_legible_and_inside_the_image(size_wh: tuple[int, int]) -> None:
    message = publish(found([[-5, -5, 60, 60]]), size_wh)
    (box,), (text,) = message.points, message.texts
    assert 1 <= box.thickness <= size_wh[1] / 100
    assert size_wh[1] / 60 <= text.font_size <= size_wh[1] / 20
    # The position is the lower left corner of the text.
    assert text.position.x >= 0
    assert text.position.y >= text.font_size


def test_an_image_without_detections_clears_the_overlay() -> None:
    message = publish(Detections.empty())
    assert (message.points, message.texts, message.circles) == ([], [], [])


def test_nothing_is_made_while_nobody_listens() -> None:
    node = FakeNode(subscribers=0)
    publisher = AnnotationPublisher(node, '~/annotations', foxglove_double, [])  # type: ignore[arg-type]
    publisher._make = None  # type: ignore[assignment,method-assign]
    publisher.publish(STAMP, found([[0, 0, 9, 9]]), (64, 64))
    assert node.publisher.messages == node.logged == []


def test_a_failure_is_logged_and_raises_nothing() -> None:
    node = FakeNode()
    publisher = AnnotationPublisher(node, '~/annotations', foxglove_double, [])  # type: ignore[arg-type]
    node.publisher.publish = lambda message: 1 / 0  # type: ignore[method-assign]
    publisher.publish(STAMP, found([[0, 0, 9, 9]]), (64, 64))
    assert node.logged == ['no annotations: ZeroDivisionError: division by zero']


def test_without_foxglove_msgs_the_parameter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'foxglove_msgs', None)
    monkeypatch.delitem(sys.modules, 'foxglove_msgs.msg', raising=False)
    with pytest.raises(ConfigError, match='install ros-.*-foxglove-msgs, or set publish_annot'):
        load_foxglove_msgs()
    with detector_node(StubFactory(), publish_annotations=True) as running:
        assert not running.configure()
    with detector_node(StubFactory()) as running:
        assert running.configure()


def test_the_parameters_on_the_page_exist() -> None:
    page = Path(__file__).resolve().parents[3] / 'docs' / 'viewers.md'
    named = re.findall(r'-p (\w+):=', page.read_text(encoding='utf-8'))
    assert {'publish_annotations', 'model_path'} <= set(named)
    assert set(named) <= {spec.name for spec in parameter_specs()}


def real_messages() -> Any:
    return pytest.importorskip(
        'foxglove_msgs.msg', reason='install ros-$ROS_DISTRO-foxglove-msgs, or build it'
    )


def test_the_double_has_the_fields_of_the_real_messages() -> None:
    messages = real_messages()
    for name, fields in FIELDS.items():
        real = getattr(messages, name)
        # Later releases have further fields, which keep their defaults.
        assert fields.items() <= real.get_fields_and_field_types().items(), name
    for name, constants in CONSTANTS.items():
        for constant, value in constants.items():
            assert getattr(getattr(messages, name), constant) == value


def test_a_node_publishes_annotations_while_somebody_subscribes() -> None:
    messages = real_messages()
    with detector_node(StubFactory(), publish_annotations=True) as running:
        assert running.configure()
        assert running.activate()
        images = running.publisher(ImageMessage, '/image_raw', 10)
        detections = running.collect(Detection2DArray, '/detector/detections')
        annotations = running.collect(messages.ImageAnnotations, '/detector/annotations')
        first = send(running, images, 1)
        wait_until(lambda: detections and annotations, 'detections and annotations')
        (box,) = annotations[0].points
        # The stub finds the middle half of the image.
        width, height = first.width, first.height
        assert corners_of(box) == [
            (width / 4, height / 4), (width * 3 / 4, height / 4),
            (width * 3 / 4, height * 3 / 4), (width / 4, height * 3 / 4),
        ]  # fmt: skip
        assert box.timestamp == first.header.stamp
        assert annotations[0].texts[0].text.startswith('person ')


def send(running: RunningNode, publisher: Any, stamp_s: int) -> ImageMessage:
    """Publish an image when the node has subscribed."""
    wait_until(lambda: publisher.get_subscription_count() == 1, 'the subscription of the node')
    message = image_message(stamp=(stamp_s, 0))
    publisher.publish(message)
    return message
