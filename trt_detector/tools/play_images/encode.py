# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels in the encodings of sensor_msgs/Image, as camera drivers send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ['encode_picture', 'EncodedPicture', 'ENCODINGS']

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPicture:
    """
    Fields of a sensor_msgs/Image.

    :param data: the bytes.
    :param width: pixels in a row.
    :param height: rows.
    :param encoding: name of the encoding.
    :param step: bytes from one row to the next.
    """

    data: bytes
    width: int
    height: int
    encoding: str
    step: int


def encode_picture(picture: Pixels, encoding: str) -> EncodedPicture:
    """
    Convert a picture to an encoding; encodings with even sizes may lose a row or column.

    :param picture: uint8 (height, width, 3) in BGR order.
    :param encoding: one of :data:`ENCODINGS`.
    :raises KeyError: for any other.
    """
    encode = _ENCODERS[encoding]
    if encoding in _EVEN_SIZE:
        picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    height, width = picture.shape[:2]
    rows = np.ascontiguousarray(encode(np.ascontiguousarray(picture)))
    return EncodedPicture(rows.tobytes(), width, height, encoding, rows[0].nbytes)


def _convert(code: int) -> Callable[[Pixels], Any]:
    """Return a color conversion of OpenCV."""
    return lambda picture: cv2.cvtColor(picture, code)


def _widen(picture: Pixels) -> npt.NDArray[np.uint16]:
    """Return the values in 16 bits: 255 becomes 65535."""
    return picture.astype('<u2') * np.uint16(257)


def _planes(picture: Pixels, first: int) -> Pixels:
    """
    Return a luma plane and a half-height plane of interleaved chroma.

    :param first: 1 for U before V (nv12), 2 for V before U (nv21).
    """
    height, width = picture.shape[:2]
    planar = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    quarter = height * width // 4
    u, v = planar[height * width :][:quarter], planar[height * width + quarter :]
    chroma = np.stack((u, v) if first == 1 else (v, u), axis=-1)
    rows = np.concatenate((planar[: height * width], chroma.reshape(-1))).reshape(-1, width)
    return np.asarray(rows, np.uint8)


def _packed(picture: Pixels, *, luma_first: bool) -> Pixels:
    """Return two bytes per pixel; two neighbors share their chroma."""
    yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV)
    # The same 16 to 235 as in the planes: cameras send video range.
    planar = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    luma = planar[: picture.shape[0]]
    shared = yuv[:, ::2, 1:].astype(np.uint16) + yuv[:, 1::2, 1:]
    blue_red = (shared.astype(np.float32) / 2 - 128) * (_CHROMA_SCALE) + 128
    chroma = np.clip(np.rint(blue_red), 0, 255).astype(np.uint8).reshape(luma.shape)
    pair = (luma, chroma) if luma_first else (chroma, luma)
    return np.asarray(np.stack(pair, axis=-1).reshape(picture.shape[0], -1), np.uint8)


def _mosaic(pattern: str) -> Callable[[Pixels], Pixels]:
    """
    Return a function that applies a Bayer color filter: one value per pixel.

    :param pattern: colors of the first two pixels of the first two rows, e.g. 'rggb'.
    """

    def encode(picture: Pixels) -> Pixels:
        mosaic = np.empty(picture.shape[:2], np.uint8)
        for index, color in enumerate(pattern):
            row, column = divmod(index, 2)
            mosaic[row::2, column::2] = picture[row::2, column::2, 'bgr'.index(color)]
        return mosaic

    return encode


def _wide_mosaic(pattern: str) -> Callable[[Pixels], npt.NDArray[np.uint16]]:
    """Return the same in 16 bits."""
    encode = _mosaic(pattern)
    return lambda picture: _widen(encode(picture))


# OpenCV's YUV has U = 0.492 (B - Y) and V = 0.877 (R - Y); video has 224 / 255 of 0.564 and 0.713.
_CHROMA_SCALE = np.array([0.564 / 0.492, 0.713 / 0.877], np.float32) * np.float32(224 / 255)

_gray = _convert(cv2.COLOR_BGR2GRAY)
_rgb = _convert(cv2.COLOR_BGR2RGB)
_BAYER_PATTERNS = ('rggb', 'bggr', 'gbrg', 'grbg')

_ANY_SIZE: dict[str, Callable[[Pixels], Any]] = {
    'bgr8': lambda picture: picture,
    'rgb8': _rgb,
    'bgra8': _convert(cv2.COLOR_BGR2BGRA),
    'rgba8': _convert(cv2.COLOR_BGR2RGBA),
    '8UC3': lambda picture: picture,
    'mono8': _gray,
    '8UC1': _gray,
    'mono16': lambda picture: _widen(np.asarray(_gray(picture))),
    'bgr16': _widen,
    'rgb16': lambda picture: _widen(np.asarray(_rgb(picture))),
    **{f'bayer_{pattern}8': _mosaic(pattern) for pattern in _BAYER_PATTERNS},
    **{f'bayer_{pattern}16': _wide_mosaic(pattern) for pattern in _BAYER_PATTERNS},
}
_EVEN_SIZE: dict[str, Callable[[Pixels], Any]] = {
    'nv12': lambda picture: _planes(picture, 1),
    'nv21': lambda picture: _planes(picture, 2),
    'yuv422': lambda picture: _packed(picture, luma_first=False),
    'yuv422_yuy2': lambda picture: _packed(picture, luma_first=True),
}
_ENCODERS = {**_ANY_SIZE, **_EVEN_SIZE}

ENCODINGS = tuple(_ENCODERS)
"""Supported encodings."""
