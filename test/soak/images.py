# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images of the soak test: good and malformed ones."""

from __future__ import annotations

import array
from pathlib import Path
import random
import struct
from typing import Any
import zlib

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from trt_detector.tools.play_images.encode import encode_picture, ENCODINGS

__all__ = ['GOOD', 'MALFORMED', 'ImageSource']

Pixels = npt.NDArray[np.uint8]

GOOD, MALFORMED = 'good', 'malformed'
"""Start of frame_id, by which an array tells whether its image could be read."""

_PICTURES = Path(__file__).resolve().parents[2] / 'demo' / 'pictures'
_SIZES_WH = ((64, 48), (320, 240), (424, 240), (320, 321), (640, 480))
_PLAIN_WH = (320, 240)
_LONG_TEXT = 20_000


class ImageSource:
    """
    Draws images from a seed.

    :param compressed: CompressedImage messages instead of Image.
    :param seed: two sources with the same seed draw the same images.
    """

    def __init__(self, *, compressed: bool, seed: str) -> None:
        self._compressed = compressed
        self._random = random.Random(seed)
        paths = sorted([*_PICTURES.glob('*.jpg'), *_PICTURES.glob('*.png')])[:4]
        pictures = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths]
        self._pictures = {
            size: [cv2.resize(picture, size) for picture in pictures] for size in _SIZES_WH
        }

    def make_plain(self) -> Any:
        """Make a good image of one size and encoding."""
        picture = self._pictures[_PLAIN_WH][0]
        return _compress(picture, '.jpg') if self._compressed else _encode(picture, 'bgr8')

    def make_mixed(self, malformed_share: float) -> tuple[Any, bool]:
        """Make an image of any size and encoding; return it and whether it is malformed."""
        if self._random.random() < malformed_share:
            message = self._make_malformed()
            message.header.frame_id = MALFORMED
            return message, True
        picture = self._random.choice(self._pictures[self._random.choice(_SIZES_WH)])
        if self._compressed:
            message = _compress(picture, self._random.choice(['.jpg', '.png', '.webp']))
        else:
            message = _encode(picture, self._random.choice(ENCODINGS))
        if self._random.random() < 0.05:
            message.header.frame_id += '_' * _LONG_TEXT
        return message, False

    def _make_malformed(self) -> Any:
        """Make an image that no reader accepts."""
        plain = self.make_plain()
        if self._compressed:
            plain.data = self._random.choice(_BAD_FILES)(bytes(plain.data), self._random)
            return plain
        self._random.choice(_BAD_FIELDS)(plain)
        return plain


def _encode(picture: Pixels, encoding: str) -> ImageMessage:
    """Make a raw image."""
    encoded = encode_picture(picture, encoding)
    message = ImageMessage(
        width=encoded.width,
        height=encoded.height,
        encoding=encoding,
        step=encoded.step,
        data=array.array('B', encoded.data),
    )
    message.header.frame_id = GOOD
    return message


def _compress(picture: Pixels, suffix: str) -> CompressedImage:
    """Make a compressed image."""
    data = cv2.imencode(suffix, picture)[1].tobytes()
    message = CompressedImage(format=f'bgr8; {suffix[1:]}', data=array.array('B', data))
    message.header.frame_id = GOOD
    return message


def _set(**fields: Any) -> Any:
    """Return a function that replaces fields of a message."""

    def replace(message: Any) -> None:
        for name, value in fields.items():
            setattr(message, name, value)

    return replace


def _cut(message: Any) -> None:
    """Cut the second half of the pixels off."""
    message.data = message.data[: len(message.data) // 2]


def _huge_png(_data: bytes, _random: random.Random) -> Any:
    """Write the header of a picture with 60000 x 60000 pixels."""
    header = b'IHDR' + struct.pack('>IIBBBBB', 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack('>I', 13) + header + struct.pack('>I', zlib.crc32(header))
    return array.array('B', b'\x89PNG\r\n\x1a\n' + chunk + bytes(50))


_BAD_FIELDS = (
    _set(step=_PLAIN_WH[0] * 3 - 1),
    _set(step=2**32 - 1),
    _set(step=0),
    _cut,
    _set(data=array.array('B')),
    _set(encoding='magic8'),
    _set(encoding=''),
    _set(encoding='x' * _LONG_TEXT),
    _set(width=0),
    _set(width=2**32 - 1, height=2**32 - 1),
    _set(width=30_000, height=30_000),
)
_BAD_FILES = (
    lambda _data, random_: array.array('B', random_.randbytes(5000)),
    lambda data, _random: array.array('B', data[:20]),
    lambda data, random_: array.array('B', data[:4] + random_.randbytes(3000)),
    lambda _data, _random: array.array('B'),
    _huge_png,
)
