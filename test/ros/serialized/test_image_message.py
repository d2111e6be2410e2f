# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that serialized image messages are read as rclpy reads them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from trt_detector.errors import ImageError
from trt_detector.image.reusable_memory import ReusableMemory
from trt_detector.ros.serialized.image_message import (
    make_image_message,
    read_image_message,
    ReceivedCompressedImage,
    ReceivedImage,
)

FIELDS = ('header', 'height', 'width', 'encoding', 'is_bigendian', 'step')


def raw_message(frame_id: str = 'camera', encoding: str = 'bgr8', count: int = 30) -> Image:
    """Make a message whose fields are all different."""
    message = Image(height=3, width=7, encoding=encoding, is_bigendian=1, step=23)
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = -5, 4_000_000_000
    message.data.frombytes(bytes(range(count)))
    return message


def compressed_message(text: str = 'bgr8; jpeg compressed bgr8') -> CompressedImage:
    """Make a message whose fields are all different."""
    message = CompressedImage(format=text)
    message.header.frame_id = 'a'
    message.header.stamp.sec, message.header.stamp.nanosec = 2**31 - 1, 1
    message.data.frombytes(b'\xff\xd8\xff')
    return message


def to_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'abcd', 'caméra 1', 'x' * 300])
@pytest.mark.parametrize('encoding', ['', 'bgr8', 'mono8', 'yuv422_yuy2'])
def test_image(frame_id: str, encoding: str) -> None:
    message = raw_message(frame_id, encoding)
    read = read_image_message(Image, to_array(serialize_message(message)))
    assert isinstance(read, ReceivedImage)
    for field in FIELDS:
        assert getattr(read, field) == getattr(message, field), field
    assert read.data.tobytes() == message.data.tobytes()
    assert make_image_message(read) == message


@pytest.mark.parametrize('text', ['', 'jpeg', 'png', 'rgb8; jpeg compressed bgr8'])
def test_compressed_image(text: str) -> None:
    message = compressed_message(text)
    read = read_image_message(CompressedImage, to_array(serialize_message(message)))
    assert isinstance(read, ReceivedCompressedImage)
    assert (read.header, read.format) == (message.header, message.format)
    assert read.data.tobytes() == message.data.tobytes()


def test_an_image_tells_the_memory_that_it_is_in() -> None:
    memory = ReusableMemory(4096)
    encoded = to_array(serialize_message(raw_message()))
    read = read_image_message(Image, encoded, memory)
    assert isinstance(read, ReceivedImage)
    assert read.memory is memory
    assert np.shares_memory(read.data, encoded)


def test_a_text_that_is_not_utf_8_is_read() -> None:
    encoded = serialize_message(raw_message('camera')).replace(b'camera', b'cam\xe9ra')
    read = read_image_message(Image, to_array(encoded))
    assert isinstance(read, ReceivedImage)
    assert read.header.frame_id == 'cam\ufffdra'
    assert read.data.tobytes() == bytes(range(30))


def test_an_image_without_data() -> None:
    read = read_image_message(Image, to_array(serialize_message(raw_message(count=0))))
    assert isinstance(read, ReceivedImage)
    assert read.data.shape == (0,)


@pytest.mark.parametrize('second_byte', [0, 6])
def test_big_endian(second_byte: int) -> None:
    encoded = (
        bytes([0, second_byte, 0, 0])
        + struct.pack('>iI', -5, 7)
        + struct.pack('>I', 4)
        + b'cam\0'
        + struct.pack('>II', 480, 640)
        + struct.pack('>I', 5)
        + b'rgb8\0'
        + b'\1'
        + b'\0\0'
        + struct.pack('>I', 1920)
        + struct.pack('>I', 2)
        + b'\x10\x20'
    )
    read = read_image_message(Image, to_array(encoded))
    assert isinstance(read, ReceivedImage)
    assert (read.header.stamp.sec, read.header.stamp.nanosec) == (-5, 7)
    assert (read.header.frame_id, read.encoding) == ('cam', 'rgb8')
    assert (read.width, read.height, read.step, read.is_bigendian) == (640, 480, 1920, 1)
    assert read.data.tolist() == [16, 32]


@pytest.mark.parametrize('message', [raw_message(), compressed_message()])
def test_a_message_that_ends_too_early_is_refused(message: Image | CompressedImage) -> None:
    encoded = serialize_message(message)
    whole = to_array(encoded)
    needed = len(encoded)
    # The middleware may round the length up to a multiple of 4.
    while True:
        try:
            read = read_image_message(type(message), whole[: needed - 1])
        except ImageError:
            break
        assert not isinstance(read, ReceivedImage) or read.data.tobytes() == bytes(range(30))
        needed -= 1
    assert needed > len(encoded) - 4
    for length in range(needed):
        with pytest.raises(ImageError, match=f'{length} bytes'):
            read_image_message(type(message), whole[:length])


@pytest.mark.parametrize('start', [b'\0\2', b'\0\3', b'\1\1', b'PK', b'\0\x0a'])
def test_another_representation_is_refused(start: bytes) -> None:
    with pytest.raises(ImageError, match='expected plain CDR'):
        read_image_message(Image, to_array(start + serialize_message(raw_message())[2:]))


def test_lengths_beyond_the_message_are_refused() -> None:
    encoded = bytearray(serialize_message(raw_message()))
    # Length of frame_id, after encapsulation and stamp.
    encoded[12:16] = b'\xff\xff\xff\xff'
    with pytest.raises(ImageError, match='needs at least 4294967311; it is damaged'):
        read_image_message(Image, to_array(bytes(encoded)))
