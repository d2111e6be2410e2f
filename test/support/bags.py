# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bags with pictures whose detections a test can work out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

RAW = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
VIDEO = 'foxglove_msgs/msg/CompressedVideo'
PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
TIME = 'builtin_interfaces/msg/Time'
DEFINITIONS = {
    VIDEO: 'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n',
    PACKET: (
        'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
        'uint8 flags\nbool is_bigendian\nuint8[] data\n'
    ),
}

# (topic, type, time in the bag, message or its bytes)
Recorded = tuple[str, str, int, Any]


@cache
def typestore() -> Any:
    """Return a typestore with the messages of the tests."""
    typesys = pytest.importorskip('rosbags.typesys', reason='pip install rosbags')
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS.items():
        store.register(typesys.get_types_from_msg(text, name))
    return store


def make(name: str, **values: Any) -> Any:
    """Make a message."""
    return typestore().types[name](**values)


def header(sec: int, nanosec: int = 0, frame_id: str = 'camera') -> Any:
    """Make a header."""
    stamp = make(TIME, sec=sec, nanosec=nanosec)
    return make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def lamp_picture(cell: int) -> np.ndarray:
    """Return 64x64 black pixels with one white cell of 8x8, for support.models.lamp_detector."""
    picture = np.zeros((64, 64, 3), np.uint8)
    left, top, right, bottom = lamp_box(cell)
    picture[top:bottom, left:right] = 255
    return picture


def lamp_box(cell: int) -> tuple[int, int, int, int]:
    """Return the box of the white cell: left, top, right, bottom."""
    left, top = cell % 8 * 8, cell // 8 * 8
    return left, top, left + 8, top + 8


def raw(picture: np.ndarray, head: Any, encoding: str = 'bgr8') -> Any:
    """Make a sensor_msgs/Image of an array whose last axis holds the channels."""
    height, width = picture.shape[:2]
    data = np.ascontiguousarray(picture).reshape(-1).view(np.uint8)
    return make(
        RAW, header=head, height=height, width=width, encoding=encoding, is_bigendian=0,
        step=len(data) // height, data=data,
    )  # fmt: skip


def compressed(picture: np.ndarray, head: Any, suffix: str = '.png') -> Any:
    """Make a sensor_msgs/CompressedImage."""
    data = cv2.imencode(suffix, picture)[1].reshape(-1)
    return make(COMPRESSED, header=head, format=suffix[1:], data=data)


def lamp_messages(
    cells: Iterable[int], topic: str = '/front/image_raw', *, step_ns: int = 100_000_000
) -> list[Recorded]:
    """Return raw pictures with one white cell each; the stamp's nanoseconds are the cell."""
    return [
        (topic, RAW, (number + 1) * step_ns, raw(lamp_picture(cell), header(number, cell)))
        for number, cell in enumerate(cells)
    ]


def write_bag(folder: Path, messages: Sequence[Recorded], storage: str = 'MCAP') -> Path:
    """Write a bag with rosbags; return its folder."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='pip install rosbags')
    store = typestore()
    plugin = rosbag2.StoragePlugin[storage]
    with rosbag2.Writer(folder, version=9, storage_plugin=plugin) as writer:
        topics: dict[tuple[str, str], Any] = {}
        for topic, name, _, _ in messages:
            if (topic, name) not in topics:
                topics[topic, name] = writer.add_connection(topic, name, typestore=store)
        for topic, name, time_ns, message in messages:
            data = message if isinstance(message, bytes) else store.serialize_cdr(message, name)
            writer.write(topics[topic, name], time_ns, data)
    return folder


def read_bag(path: Path) -> list[tuple[str, str, int, Any]]:
    """Read all messages of a bag with its own definitions, and nothing of the package."""
    highlevel = pytest.importorskip('rosbags.highlevel', reason='pip install rosbags')
    with highlevel.AnyReader([path]) as reader:
        return [
            (c.topic, c.msgtype, time_ns, reader.deserialize(data, c.msgtype))
            for c, time_ns, data in reader.messages()
        ]
