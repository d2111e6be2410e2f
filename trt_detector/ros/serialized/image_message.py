# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Read a serialized sensor_msgs/Image or CompressedImage without a copy of its data."""

from __future__ import annotations

from dataclasses import dataclass, field
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ...errors import ImageError
from ...image.reusable_memory import ReusableMemory

__all__ = [
    'DamagedMessage',
    'ReceivedCompressedImage',
    'ReceivedImage',
    'ReceivedMessage',
    'make_image_message',
    'read_image_message',
]

# Second byte of the encapsulation; the bits of XCDR2 change nothing in messages without 8-byte
# numbers (OMG DDS-XTypes 1.3, 7.6.3.1.2).
_ENDIANNESS = {0: '>', 1: '<', 6: '>', 7: '<'}
_ENCAPSULATION = 4


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedImage:
    """
    Fields of a sensor_msgs/Image.

    :param data: uint8 (n,), in the memory of the message.
    :param memory: that memory.
    """

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: npt.NDArray[np.uint8]
    memory: ReusableMemory | None


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedCompressedImage:
    """
    Fields of a sensor_msgs/CompressedImage.

    :param data: uint8 (n,), in the memory of the message.
    """

    header: Header
    format: str
    data: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class DamagedMessage:
    """
    Message whose fields cannot be read.

    :param reason: what is wrong.
    """

    reason: str
    header: Header = field(default_factory=Header)


ReceivedMessage = ReceivedImage | ReceivedCompressedImage | DamagedMessage


class _Reader:
    """
    Reads the fields of a message in plain CDR one after the other.

    :raises ImageError: if the message ends before a field.
    """

    def __init__(self, message: npt.NDArray[np.uint8]) -> None:
        self._message = message
        kind = message[:2].tobytes()
        if len(message) < _ENCAPSULATION or kind[0] or kind[1] not in _ENDIANNESS:
            raise ImageError(
                f'a message of {len(message)} bytes starts with {kind.hex(" ") or "nothing"}; '
                'expected plain CDR, 00 00 or 00 01'
            )
        self._order = _ENDIANNESS[kind[1]]
        self._offset = _ENCAPSULATION

    def numbers(self, code: str) -> tuple[int, ...]:
        """Read aligned numbers of four bytes."""
        start = (self._offset + 3) & ~3
        self._offset = start + 4 * len(code)
        self._check(self._offset)
        return struct.unpack_from(self._order + code, self._message.data, start)

    def byte(self) -> int:
        """Read one byte."""
        self._offset += 1
        self._check(self._offset)
        return int(self._message[self._offset - 1])

    def data(self) -> npt.NDArray[np.uint8]:
        """Read a sequence of bytes, as a view of the message."""
        (length,) = self.numbers('I')
        start, self._offset = self._offset, self._offset + length
        self._check(self._offset)
        return self._message[start : self._offset]

    def text(self) -> str:
        """Read a string, which ends with a zero byte."""
        return self.data().tobytes().rstrip(b'\0').decode(errors='replace')

    def _check(self, end: int) -> None:
        """Refuse to read beyond the end."""
        if end > len(self._message):
            raise ImageError(
                f'a message of {len(self._message)} bytes needs at least {end}; it is damaged'
            )


def read_image_message(
    message_type: Any, message: npt.NDArray[np.uint8], memory: ReusableMemory | None = None
) -> ReceivedMessage:
    """
    Read a serialized image message.

    :param message_type: sensor_msgs Image or CompressedImage.
    :param message: uint8 (n,), plain CDR with its encapsulation; the result refers to it.
    :param memory: memory that the message is in.
    :raises ImageError: if it is damaged.
    """
    reader = _Reader(message)
    sec, nanosec = reader.numbers('iI')
    header = Header(frame_id=reader.text())
    header.stamp.sec, header.stamp.nanosec = sec, nanosec
    if message_type is CompressedImage:
        return ReceivedCompressedImage(header, reader.text(), reader.data())
    height, width = reader.numbers('II')
    encoding = reader.text()
    is_bigendian = reader.byte()
    (step,) = reader.numbers('I')
    return ReceivedImage(
        header, height, width, encoding, is_bigendian, step, reader.data(), memory
    )


def make_image_message(image: ReceivedImage) -> Image:
    """Copy a received image to a message of rclpy."""
    message = Image(
        header=image.header,
        height=image.height,
        width=image.width,
        encoding=image.encoding,
        is_bigendian=image.is_bigendian,
        step=image.step,
    )
    message.data.frombytes(image.data)
    return message
