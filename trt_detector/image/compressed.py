# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed images of cameras, as image_transport writes them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..errors import ImageError
from .completeness import is_jpeg, read_jpeg_header, read_size
from .image import Image

__all__ = ['MAX_IMAGE_PIXELS', 'open_compressed']

MAX_IMAGE_PIXELS = 64_000_000
"""Default limit of width times height."""

_COLOR = frozenset(
    {'bgr8', 'rgb8', 'bgra8', 'rgba8', 'bgr16', 'rgb16', 'bgra16', 'rgba16'}
)  # fmt: skip
_BAYER = frozenset({'bayer_rggb', 'bayer_bggr', 'bayer_gbrg', 'bayer_grbg'})
_FLAGS = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION


def open_compressed(
    data: Any, transport_format: str = '', *, max_pixels: int = MAX_IMAGE_PIXELS
) -> Image:
    """
    Check a compressed image, and decode it unless it is a JPEG: see :meth:`.image.Image.decode`.

    :param data: content of the file, in any buffer; that of a JPEG is not copied, so it must not
        change while the image is in use.
    :param transport_format: CompressedImage.format. image_transport writes 'ENCODING; CODEC
        compressed ORDER', e.g. 'bayer_rggb8; png compressed ' or 'rgb8; jpeg compressed bgr8';
        another text, as 'jpeg', says nothing about the pixels.
    :param max_pixels: limit of width times height, checked before the image is decoded.
    :raises ImageError: if the format is not supported, the image is too large, truncated or
        damaged.
    """
    if 'compresseddepth' in transport_format.lower():
        raise ImageError(
            f'format is {transport_format[:80]!r}: depth images are not supported; subscribe to '
            'a color, gray or Bayer image'
        )
    raw = memoryview(data)
    width, height, *components = read_jpeg_header(raw) if is_jpeg(raw) else read_size(raw)
    if width * height > max_pixels:
        raise ImageError(
            f'compressed image of {len(raw)} bytes is {width}x{height}, {width * height} pixels; '
            f'max_image_pixels is {max_pixels}; raise max_image_pixels to accept it'
        )
    content = np.frombuffer(raw, np.uint8)
    if components:
        # OpenCV converts the four components of a CMYK image to color.
        channels = 1 if components == [1] else 3
        encoding = _find_encoding(channels, 8, transport_format)
        return Image.from_jpeg(content, (width, height), encoding)
    try:
        array = cv2.imdecode(content, _FLAGS)
    except cv2.error as error:
        raise ImageError(f'OpenCV cannot decode the image: {error.err}') from error
    if array is None:
        raise ImageError(
            f'OpenCV cannot decode {len(raw)} bytes that start with {raw[:8].hex(" ")}'
        )
    bits = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}.get(array.dtype)
    channels = 1 if array.ndim == 2 else array.shape[2]
    if bits is None or channels not in (1, 3, 4):
        raise ImageError(
            f'compressed image has {channels} channels of {array.dtype}; expected 1, 3 or 4 '
            'channels of uint8 or uint16'
        )
    return Image.from_array(array, _find_encoding(channels, bits, transport_format))


def _find_encoding(channels: int, bits: int, transport_format: str) -> str:
    """
    Find the encoding of decoded pixels.

    The rule of image_transport: the decoded channels of a color image are in BGR order if the
    format ends in 'compressed bgr8' or 'compressed bgr16', and in RGB order otherwise.

    :param channels: 1, 3 or 4.
    :param bits: per channel, 8 or 16.
    :raises ImageError: if the Bayer pattern is unknown.
    """
    encoding, separator, codec = (part.strip().lower() for part in transport_format.partition(';'))
    if channels == 1:
        if encoding.startswith('bayer_'):
            pattern = encoding.rstrip('0123456789')
            if pattern not in _BAYER:
                raise ImageError(
                    f'format is {transport_format[:80]!r}; expected its Bayer pattern to be one '
                    f'of {", ".join(sorted(_BAYER))}'
                )
            return f'{pattern}{bits}'
        return f'mono{bits}'
    swapped = 'compressed rgb' in codec
    if separator and encoding in _COLOR:
        swapped = 'compressed bgr' not in codec
    order = 'rgb' if swapped else 'bgr'
    return f'{order}{"a" if channels == 4 else ""}{bits}'
