# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Targets: image messages and picture files."""

from __future__ import annotations

import array
import struct
from types import SimpleNamespace
from typing import Any

from trt_detector.image.image import Image, SUPPORTED_ENCODINGS
from trt_detector.image.message import read_message

from ..byte_reader import ByteReader
from ..invariants import attempt, check_image
from ..scratch import scratch_files

try:
    from sensor_msgs.msg import CompressedImage as CompressedImageMessage
    from sensor_msgs.msg import Image as ImageMessage
    from trt_detector.ros.messages import read_image
except ImportError:
    # A machine without ROS 2: objects with the same fields, and no conversion by cv_bridge.
    CompressedImageMessage = ImageMessage = SimpleNamespace
    read_image = None

MAX_PIXELS = 1 << 16
LARGEST_DATA = 1 << 20

ENCODINGS = (
    *sorted(SUPPORTED_ENCODINGS), '', '8UC2', '8SC3', '16UC3', '16SC1', '32FC1', '32SC4', '64FC3',
    '8UC99', 'yuv444', 'nv24', 'BGR8', 'bayer_xxxx8', 'jpeg',
)  # fmt: skip
FORMATS = (
    '', 'jpeg', 'png', 'bgr8; jpeg compressed bgr8', 'rgb8; jpeg compressed rgb8',
    'bayer_rggb8; png compressed ', 'bayer_zzzz16; png compressed', 'mono16; png compressed ',
    'rgba16; png compressed rgba16', '16UC1; compressedDepth png', ';;;', 'bgr8; compressed rgb16',
)  # fmt: skip


def _read(message: Any) -> Image:
    """Read a message as the node does, or as the tools do without ROS 2."""
    if read_image is None:
        return read_message(message, max_pixels=MAX_PIXELS)
    return read_image(message, MAX_PIXELS)


def check_raw_image(data: bytes) -> None:
    """Read a sensor_msgs/Image with any fields."""
    reader = ByteReader(data)
    encoding = reader.choice(ENCODINGS) if reader.integer() < 224 else reader.text()
    wide = reader.integer() > 224
    width, height = reader.integer(4 if wide else 1), reader.integer(4 if wide else 1)
    step = reader.integer(4) if wide else reader.integer(2)
    big_endian = reader.integer()
    content = reader.rest()
    if not wide and content:
        # Enough bytes for rows of any supported encoding.
        needed = min(step * height * 2, LARGEST_DATA)
        content = (content * (needed // len(content) + 1))[: max(needed, 1)]
    message = ImageMessage(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big_endian,
        step=step,
        data=array.array('B', content),
    )
    image = attempt(_read, message)
    if image is None:
        return
    pixels = check_image(image, MAX_PIXELS)
    assert (image.width, image.height) == (width, height)
    if encoding in ('bgr8', 'rgb8', '8UC3', 'mono8', '8UC1'):
        channels = 3 if encoding.endswith(('r8', 'b8', 'C3')) else 1
        x, y = width - 1, height // 2
        start = y * step + x * channels
        assert pixels[y, x].tobytes() == content[start : start + channels]


def check_compressed_image(data: bytes) -> None:
    """Read a sensor_msgs/CompressedImage of any format and content."""
    reader = ByteReader(data)
    text = reader.choice(FORMATS) if reader.integer() < 224 else reader.text()
    content = reader.rest()
    image = attempt(_read, CompressedImageMessage(format=text, data=array.array('B', content)))
    if image is None:
        return
    # The node decodes a JPEG only when it is used.
    if attempt(image.decode) is not None:
        check_image(image, MAX_PIXELS)
    for reduction in (2, 4, 8) if image.decoded is not None else ():
        small = attempt(image.decode, reduction)
        if small is not None:
            check_image(small, MAX_PIXELS)
            assert small.width == -(-image.width // reduction)
    if content.startswith(b'\x89PNG'):
        assert (image.width, image.height) == struct.unpack_from('>II', content, 16)


def check_picture_file(data: bytes) -> None:
    """Read a picture file of any kind."""
    with scratch_files({'picture.png': data}) as folder:
        image = attempt(Image.from_file, folder / 'picture.png')
    if image is not None:
        check_image(image, 1 << 27)
        assert image.encoding == 'bgr8'
