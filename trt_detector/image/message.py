# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images in messages of sensor_msgs, from a topic or a bag."""

from __future__ import annotations

from typing import Any

from ..errors import ImageError
from .compressed import MAX_IMAGE_PIXELS, open_compressed
from .image import Image

__all__ = [
    'check_pixel_count',
    'describe_compressed_topic',
    'open_message',
    'read_message',
    'read_stamp_ns',
    'stamp_to_ns',
]


def read_message(message: Any, *, max_pixels: int = MAX_IMAGE_PIXELS) -> Image:
    """
    Read the image in a message of sensor_msgs; a JPEG is decoded.

    For the parameters see :func:`open_message`.

    :raises ImageError: if the message holds no image that can be read, or a larger one.
    """
    return open_message(message, max_pixels=max_pixels).decode()


def open_message(message: Any, *, max_pixels: int) -> Image:
    """
    Read the image in a message; a JPEG is decoded when it is used, see :meth:`.Image.decode`.

    :param message: Image, whose bytes are shared, or CompressedImage; or an object with the
        fields of one of these.
    :param max_pixels: limit of width times height.
    :raises ImageError: if the message holds no image that can be read, or a larger one.
    """
    if hasattr(message, 'format'):
        return open_compressed(message.data, message.format, max_pixels=max_pixels)
    check_pixel_count(message, max_pixels)
    return Image.from_message(message)


def check_pixel_count(message: Any, max_pixels: int) -> None:
    """
    Refuse a sensor_msgs/Image that is too large.

    :raises ImageError: with the numbers.
    """
    count = message.width * message.height
    if count > max_pixels:
        raise ImageError(
            f'image is {message.width}x{message.height}, {count} pixels; max_image_pixels is '
            f'{max_pixels}; raise max_image_pixels to accept it'
        )


def read_stamp_ns(message: Any) -> int:
    """Read the stamp in the header of a message in nanoseconds; drivers write any number there."""
    return stamp_to_ns(message.header.stamp)


def stamp_to_ns(stamp: Any) -> int:
    """Convert a builtin_interfaces/Time to nanoseconds."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def describe_compressed_topic(topic: str) -> str:
    """Describe how to subscribe to compressed images on a topic whose name does not tell."""
    name = f'{topic}/compressed'
    return (
        f'name it {name} in image_topics, and start the node with "--ros-args -r {name}:={topic}"'
    )
