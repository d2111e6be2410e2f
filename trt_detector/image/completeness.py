# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Detect truncated and damaged JPEG and PNG data.

OpenCV decodes a truncated file without an error and fills the rest with gray: detections in such
an image would be wrong.
"""

from __future__ import annotations

import struct
import zlib

from ..errors import ImageError

__all__ = ['check_complete']

_JPEG_START = b'\xff\xd8\xff'
_PNG_START = b'\x89PNG\r\n\x1a\n'
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b'\xff\xd9'
# Markers that stand alone, without a length: TEM, RST0 to RST7, SOI.
_LONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})


def check_complete(data: bytes, *, only_known: bool = True) -> None:
    """
    Refuse a truncated JPEG or PNG, and a PNG with wrong checksums.

    :param data: the file's bytes.
    :param only_known: also refuse data that is neither JPEG nor PNG.
    :raises ImageError: with the kind of damage and its position.
    """
    if data.startswith(_JPEG_START):
        _check_jpeg(data)
    elif data.startswith(_PNG_START):
        _check_png(data)
    elif only_known:
        raise ImageError(
            f'compressed image starts with {data[:8].hex(" ") or "nothing"}; expected JPEG or PNG'
        )


def _check_jpeg(data: bytes) -> None:
    """Walk the segments up to the first scan, and search the end marker behind it."""
    at = 2
    while True:
        # Any number of 0xFF may stand before a marker.
        while at < len(data) - 1 and data[at] == 0xFF and data[at + 1] == 0xFF:
            at += 1
        if at + 4 > len(data):
            raise ImageError(f'JPEG of {len(data)} bytes ends in its header; it is truncated')
        if data[at] != 0xFF:
            raise ImageError(f'JPEG has {data[at]:#04x} at byte {at}; expected a marker')
        marker = data[at + 1]
        if marker in _LONE_MARKERS:
            at += 2
            continue
        if marker == _START_OF_SCAN:
            break
        at += 2 + max(2, struct.unpack_from('>H', data, at + 2)[0])
    if data.find(_END_OF_IMAGE, at) < 0:
        raise ImageError(f'JPEG of {len(data)} bytes has no end marker; it is truncated')


def _check_png(data: bytes) -> None:
    """Walk the chunks to IEND and compare their checksums."""
    at = len(_PNG_START)
    while at + 12 <= len(data):
        length = struct.unpack_from('>I', data, at)[0]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(data[at + 4 : end]) != struct.unpack_from('>I', data, end)[0]:
            raise ImageError(f'PNG chunk at byte {at} has a wrong checksum; it is damaged')
        if data[at + 4 : at + 8] == b'IEND':
            return
        at = end + 4
    raise ImageError(f'PNG of {len(data)} bytes has no end chunk; it is truncated')
