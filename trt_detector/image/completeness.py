# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Size of compressed images, read from their headers, and detection of truncated and damaged data.

OpenCV decodes a truncated file without an error and fills the rest with gray: detections in such
an image would be wrong. And an image has to be refused by its size before memory is taken for it.
"""

from __future__ import annotations

import struct
import zlib

from ..errors import ImageError
from .tiff import is_tiff, read_tiff_size

__all__ = ['check_picture', 'is_jpeg', 'read_jpeg_header', 'read_size']

_Content = bytes | memoryview

# 0.4 GB of pixels.
_LARGEST_PICTURE = 1 << 27
_JPEG_START = b'\xff\xd8\xff'
_PNG_START = b'\x89PNG\r\n\x1a\n'
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b'\xff\xd9'
# An encoder ends with the marker; some drivers send more bytes.
_END_BYTES = 4096
# Markers that stand alone, without a length: TEM, RST0 to RST7, SOI.
_LONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
# SOF0 to SOF15, without DHT, JPG and DAC, which lie between them.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def check_picture(data: bytes) -> None:
    """
    Refuse a picture file that is truncated, damaged, very large or of another format.

    Only formats of :data:`.image.PICTURE_SUFFIXES` pass: OpenCV has decoders for more, some of
    which take gigabytes for a hundred bytes.

    :raises ImageError: with the kind of damage and its position.
    """
    if not data:
        raise ImageError('the file is empty; expected an image')
    # OpenCV reads as much of a PNM file as its size says before it takes the memory.
    if data[:1] == b'P' and data[1:2] in b'123456' and data[2:3].isspace():
        return
    width, height = _read_bmp(data) if data.startswith(b'BM') else read_size(data)
    if width * height > _LARGEST_PICTURE:
        raise ImageError(
            f'the image is {width}x{height}, {width * height} pixels; the limit for files is '
            f'{_LARGEST_PICTURE}; make it smaller'
        )


def read_size(data: _Content) -> tuple[int, int]:
    """
    Return (width, height) of a complete JPEG, PNG, WebP or TIFF without decoding it.

    :param data: content of the file.
    :raises ImageError: if it is none of these, truncated or damaged.
    """
    if is_jpeg(data):
        return read_jpeg_header(data)[:2]
    if data[: len(_PNG_START)] == _PNG_START:
        return _read_png(data)
    if _is_webp(data):
        return _read_webp(data)
    if is_tiff(data):
        return read_tiff_size(data)
    raise ImageError(
        f'compressed image starts with {data[:8].hex(" ") or "nothing"}; expected JPEG, PNG, WebP '
        'or TIFF'
    )


def is_jpeg(data: _Content) -> bool:
    """Return whether the data starts as a JPEG file does."""
    return data[: len(_JPEG_START)] == _JPEG_START


def read_jpeg_header(data: _Content) -> tuple[int, int, int]:
    """
    Return width, height and number of color components of a complete JPEG without decoding it.

    :param data: content of a file for which :func:`is_jpeg` holds.
    :raises ImageError: if it is truncated or damaged.
    """
    # Walk the segments up to the first scan, and search the end marker behind it.
    at = 2
    header = None
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
        if marker in _START_OF_FRAME and header is None and at + 10 <= len(data):
            height, width, components = struct.unpack_from('>HHB', data, at + 5)
            header = (width, height, components)
        at += 2 + max(2, struct.unpack_from('>H', data, at + 2)[0])
    if header is None:
        raise ImageError('JPEG has no frame header before its first scan; it is damaged')
    # At the end, where it is: the search of everything takes milliseconds.
    starts = (max(at, len(data) - _END_BYTES), at)
    if not any(_END_OF_IMAGE in bytes(data[start:]) for start in starts):
        raise ImageError(f'JPEG of {len(data)} bytes has no end marker; it is truncated')
    return header


def _read_png(data: _Content) -> tuple[int, int]:
    """Walk the chunks to IEND and compare their checksums."""
    at = len(_PNG_START)
    if data[at + 4 : at + 8] != b'IHDR':
        raise ImageError(f'PNG of {len(data)} bytes has no header chunk; it is truncated')
    while at + 12 <= len(data):
        length = struct.unpack_from('>I', data, at)[0]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(data[at + 4 : end]) != struct.unpack_from('>I', data, end)[0]:
            raise ImageError(f'PNG chunk at byte {at} has a wrong checksum; it is damaged')
        if data[at + 4 : at + 8] == b'IEND':
            width, height = struct.unpack_from('>II', data, len(_PNG_START) + 8)
            return width, height
        at = end + 4
    raise ImageError(f'PNG of {len(data)} bytes has no end chunk; it is truncated')


def _is_webp(data: _Content) -> bool:
    """Return whether the data starts as a WebP file does."""
    return data[:4] == b'RIFF' and data[8:12] == b'WEBP'


def _read_webp(data: _Content) -> tuple[int, int]:
    """Compare the length with the header, and read the size from the first chunk."""
    expected = 8 + struct.unpack_from('<I', data, 4)[0]
    if len(data) < expected or len(data) < 30:
        raise ImageError(f'WebP has {len(data)} of {max(expected, 30)} bytes; it is truncated')
    kind = bytes(data[12:16])
    if kind == b'VP8 ' and data[23:26] == b'\x9d\x01\x2a':
        width, height = struct.unpack_from('<HH', data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b'VP8L' and data[20] == 0x2F:
        bits = struct.unpack_from('<I', data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b'VP8X':
        size = data[24:27], data[27:30]
        return int.from_bytes(size[0], 'little') + 1, int.from_bytes(size[1], 'little') + 1
    raise ImageError(f'WebP begins with the chunk {kind!r}; expected VP8, VP8L or VP8X')


def _read_bmp(data: bytes) -> tuple[int, int]:
    """Read the size in the second header; the rows of a negative height begin at the top."""
    if len(data) < 26:
        raise ImageError(f'BMP of {len(data)} bytes ends in its header; it is truncated')
    old = struct.unpack_from('<I', data, 14)[0] == 12
    width, height = struct.unpack_from('<HH' if old else '<ii', data, 18)
    return abs(width), abs(height)
