# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Videos in bags, against what was encoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
import json
import os
from pathlib import Path
import sys
from typing import Any

import numpy as np
import pytest
from support import bags
from support.models import lamp_detector
from trt_detector.errors import BagError, ImageError
from trt_detector.image.image import Image
from trt_detector.tools.bag.video_stream import VideoStream
from trt_detector.tools.run_bag import main

CELLS = [n * 11 % 64 for n in range(30)]
TOPIC = '/front/video'


@contextmanager
def same_scheduling() -> Iterator[None]:
    """
    Restore the scheduling of this thread.

    As root, SVT-AV1 gives the thread that opens it a real-time priority, which all later threads
    and processes inherit: two that are busy would stop everything else.
    """
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)


def encode(codec: str, cells: list[int], **options: str) -> list[tuple[int, bytes]]:
    """
    Encode lamps with PyAV.

    :return: the packets in the order in which an encoder sends them, each with the index of its
        picture.
    """
    av = pytest.importorskip('av', reason='pip install av')
    context = av.CodecContext.create(codec, 'w')
    context.width, context.height, context.pix_fmt = 64, 64, 'yuv420p'
    context.time_base = Fraction(1, 30)
    context.framerate = 30
    context.options = options
    packets = []
    with same_scheduling():
        for number, cell in enumerate(cells):
            frame = av.VideoFrame.from_ndarray(bags.lamp_picture(cell), format='bgr24')
            frame.pts = number
            packets += context.encode(frame)
        packets += context.encode(None)
    return [(packet.pts, bytes(packet)) for packet in packets]


def test_encoding_leaves_the_scheduling_of_the_tests_alone() -> None:
    before = os.sched_getscheduler(0)
    encode('libsvtav1', CELLS[:2], preset='8')
    assert os.sched_getscheduler(0) == before


ZERO_LATENCY = {'preset': 'ultrafast', 'tune': 'zerolatency', 'crf': '5'}
B_FRAMES = {'preset': 'medium', 'crf': '5', 'bf': '3', 'b_strategy': '0'}


def find_lamp(image: Image) -> int:
    """Return the cell of the white square."""
    gray = image.to_bgr().mean(axis=2).reshape(8, 8, 8, 8).mean(axis=(1, 3))
    assert (gray > 128).sum() == 1
    return int(gray.argmax())


@pytest.mark.parametrize(
    ('encoder', 'name', 'options'),
    [
        ('libx264', 'h264', ZERO_LATENCY),
        ('libx264', 'libx264', B_FRAMES),
        ('libx264', 'h264_nvenc', {**ZERO_LATENCY, 'g': '5'}),
        ('libx265', 'hevc;yuv420p;bgr8;bgr8', {'preset': 'ultrafast', 'x265-params': 'bframes=0'}),
        ('libvpx-vp9', 'vp9', {'deadline': 'realtime', 'lag-in-frames': '0', 'crf': '5'}),
        ('libsvtav1', 'av1', {'preset': '8', 'crf': '5', 'svtav1-params': 'pred-struct=1'}),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_each_packet_gives_the_image_that_was_encoded_into_it(
    encoder: str, name: str, options: dict[str, str]
) -> None:
    try:
        packets = encode(encoder, CELLS, **options)
    except Exception as error:
        pytest.skip(f'PyAV was built without {encoder}: {error}')
    stream = VideoStream(10_000)
    found = dict[int, Any]()
    for number, (_, data) in enumerate(packets):
        for index, image in stream.decode(number, name, np.frombuffer(data, np.uint8)):
            assert index not in found
            found[index] = image
    for index, image in stream.flush():
        assert index not in found
        found[index] = image
    assert sorted(found) == list(range(len(CELLS)))
    cells = [find_lamp(found[number]) for number in range(len(packets))]
    assert cells == [CELLS[picture] for picture, _ in packets]


def test_without_reordering_an_image_comes_with_its_packet() -> None:
    stream = VideoStream(10_000)
    for number, (_, data) in enumerate(encode('libx264', CELLS, **ZERO_LATENCY)):
        assert [index for index, _ in stream.decode(number, 'h264', data)] == [number]


def test_packets_before_a_key_frame_and_damaged_ones_have_no_image() -> None:
    packets = encode('libx264', CELLS, **ZERO_LATENCY, g='10')
    stream = VideoStream(10_000)
    answers: dict[int, Any] = {}
    for number, (_, data) in enumerate(packets[4:24]):
        payload = b'\x00\x00\x00\x01garbage' if number == 12 else data
        answers.update(stream.decode(number, 'h264', payload))
    answers.update(stream.flush())
    assert sorted(answers) == list(range(20))
    bad = {number for number, answer in answers.items() if isinstance(answer, ImageError)}
    # The first key frame is picture 10.
    assert bad >= {0, 1, 2, 3, 4, 5, 12}
    assert bad <= {*range(6), *range(12, 16)}
    assert find_lamp(answers[6]) == CELLS[10]
    assert find_lamp(answers[19]) == CELLS[23]


def test_an_unknown_format_and_a_large_video_are_image_errors() -> None:
    (_, data), *_ = encode('libx264', CELLS[:1], **ZERO_LATENCY)
    ((_, error),) = VideoStream(10_000).decode(0, 'realvideo', data)
    assert isinstance(error, ImageError)
    assert "video format is 'realvideo'; expected one of " in str(error)
    ((_, error),) = VideoStream(64 * 63).decode(0, 'h264', data)
    assert isinstance(error, ImageError)
    assert 'video is 64x64; max_image_pixels is 4032' in str(error)


def test_without_pyav_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(BagError, match='need the package av .*pip install av'):
        VideoStream(1)


def video_messages(name: str, options: dict[str, str]) -> list[bags.Recorded]:
    """Return the packets of a video; the stamp's nanoseconds are the cell."""
    messages: list[bags.Recorded] = []
    for number, (picture, data) in enumerate(encode('libx264', CELLS, **options)):
        payload = np.frombuffer(data, np.uint8)
        head = bags.header(number, CELLS[picture])
        if name == bags.VIDEO:
            message = bags.make(
                name, timestamp=head.stamp, frame_id='camera', data=payload, format='h264'
            )
        else:
            message = bags.make(
                name, header=head, width=64, height=64, encoding='libx264', pts=number, flags=0,
                is_bigendian=False, data=payload,
            )  # fmt: skip
        messages.append((TOPIC, name, (number + 1) * 10_000_000, message))
    return messages


@pytest.mark.parametrize('name', [bags.VIDEO, bags.PACKET])
@pytest.mark.parametrize('options', [ZERO_LATENCY, B_FRAMES], ids=['low latency', 'b-frames'])
def test_a_video_topic_is_detected_in_beside_others(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    model = lamp_detector(tmp_path / 'lamp.onnx')
    # The other camera goes on for long after the video has ended.
    others = bags.lamp_messages([n % 64 for n in range(150)], '/rear/image', step_ns=9_000_000)
    bag = bags.write_bag(tmp_path / 'bag', [*video_messages(name, options), *others])
    report = tmp_path / 'report.json'
    given = ['--model', model, '--bag', bag, '--output', tmp_path / 'out', '--topics', TOPIC,
             '/rear/image', '--backend', 'onnxruntime', '--json', report]  # fmt: skip
    assert main([str(argument) for argument in given]) == 0
    facts = json.loads(report.read_text())
    assert facts['read'] == facts['written'] == len(CELLS) + len(others)
    for _, _, _, message in bags.read_bag(tmp_path / 'out'):
        (detection,) = message.detections
        left, top, _, _ = bags.lamp_box(message.header.stamp.nanosec)
        center = detection.bbox.center.position
        assert (center.x, center.y) == pytest.approx((left + 4, top + 4), abs=1e-3)


def test_definitions_of_old_bags_are_given(tmp_path: Path) -> None:
    import sqlite3

    model = lamp_detector(tmp_path / 'lamp.onnx')
    messages = video_messages(bags.VIDEO, ZERO_LATENCY)
    bag = bags.write_bag(tmp_path / 'bag', messages, 'SQLITE3')
    with sqlite3.connect(bag / 'bag.db3') as database:
        database.execute('DROP TABLE message_definitions')
        database.execute('UPDATE schema SET schema_version = 3')
    given = ['--model', model, '--bag', bag, '--output', tmp_path / 'out', '--copy']
    assert main([str(argument) for argument in given]) == 0
    import rosbags.rosbag2

    with rosbags.rosbag2.Reader(tmp_path / 'out') as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert counts == {'/front/detections': len(CELLS), TOPIC: len(CELLS)}
