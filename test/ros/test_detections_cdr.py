# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the bytes of detections against the serialization of rclpy."""

from __future__ import annotations

from hypothesis import given, settings, strategies
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from trt_detector.ros import detections_cdr
from trt_detector.ros.detections_cdr import choose_encoder, DetectionsSerializer
from trt_detector.ros.messages import DetectionsMessage
from trt_detector.values.detections import Detections
from vision_msgs.msg import Detection2DArray

NAMES = ('car', '', 'fußgänger', 'x' * 40, 'ab')


def make_header(frame_id: str = 'camera') -> Header:
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = -5, 4_000_000_000
    return header


def make_detections(
    classes: list[int], *, angles: bool = False, ids: list[int] | None = None
) -> Detections:
    count = len(classes)
    random = np.random.default_rng(count)
    return Detections(
        random.uniform(-9, 999, (count, 4)).astype(np.float32),
        np.linspace(1, 0.1, count, dtype=np.float32),
        np.array(classes, np.int32),
        angles=random.uniform(-3, 3, count).astype(np.float32) if angles else None,
        track_ids=None if ids is None else np.array(ids, np.int64),
    )


def check(serializer: DetectionsSerializer, header: Header, detections: Detections) -> None:
    """Check that the bytes have the length of rclpy's, and are read as the same message."""
    expected = serialize_message(DetectionsMessage(NAMES).fill(header, detections))
    encoded = serializer.serialize(header, detections)
    assert len(encoded) == len(expected)
    # Not the bytes: those between the fields are not defined.
    sent, wanted = (deserialize_message(each, Detection2DArray) for each in (encoded, expected))
    assert sent == wanted


@settings(max_examples=60, deadline=None)
@given(
    frame_id=strategies.text(strategies.characters(exclude_categories=('Cs',)), max_size=9),
    rows=strategies.lists(
        strategies.tuples(strategies.integers(0, 7), strategies.integers(0, 10**12)), max_size=9
    ),
    angles=strategies.booleans(),
    tracked=strategies.booleans(),
)
def test_bytes_are_read_as_the_message_of_rclpy(
    frame_id: str, rows: list[tuple[int, int]], angles: bool, tracked: bool
) -> None:
    ids = [number for _, number in rows] if tracked else None
    detections = make_detections([row[0] for row in rows], angles=angles, ids=ids)
    header = make_header(frame_id)
    check(DetectionsSerializer(NAMES), header, detections)


def test_serializer_follows_the_frame_id() -> None:
    serializer = DetectionsSerializer(NAMES)
    for frame_id in ('a', 'camera_2', 'a', ''):
        header, detections = make_header(frame_id), make_detections([0, 1, 2, 0])
        check(serializer, header, detections)


def test_serializer_is_chosen_for_the_installed_messages() -> None:
    encoded = choose_encoder(NAMES)(make_header(), make_detections([2]))
    assert isinstance(encoded, bytes)
    array = deserialize_message(encoded, Detection2DArray)
    assert array.detections[0].results[0].hypothesis.class_id == 'fußgänger'


@pytest.mark.parametrize('name', ['serialize_message', 'deserialize_message'])
def test_other_layout_of_the_middleware_leaves_it_to_rclpy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detections_cdr, name, lambda *_: b'\x00\x03\x00\x00')
    encoded = choose_encoder(NAMES)(make_header(), make_detections([0]))
    assert isinstance(encoded, Detection2DArray)
    assert len(encoded.detections) == 1
