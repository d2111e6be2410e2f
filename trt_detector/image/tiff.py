# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Size of a TIFF image, read from its first directory."""

from __future__ import annotations

import struct

from ..errors import ImageError

__all__ = ['is_tiff', 'read_tiff_size']

_STARTS = {b'II*\x00': '<', b'MM\x00*': '>'}
_WIDTH, _HEIGHT = 256, 257
# Offsets and byte counts of strips, then of tiles.
_PARTS = ((273, 279), (324, 325))
_WANTED = frozenset({_WIDTH, _HEIGHT, *(tag for part in _PARTS for tag in part)})
# SHORT and LONG, the types of all these tags.
_FORMATS = {3: 'H', 4: 'I'}


def is_tiff(data: bytes | memoryview) -> bool:
    """Return whether the data starts as a TIFF file does."""
    return bytes(data[:4]) in _STARTS


def read_tiff_size(data: bytes | memoryview) -> tuple[int, int]:
    """
    Return (width, height) of the first image of a TIFF file.

    :param data: content of the file, see :func:`is_tiff`.
    :raises ImageError: if the file is truncated or has no size.
    """
    try:
        tags = _read_tags(data, _STARTS[bytes(data[:4])])
    except struct.error as error:
        raise ImageError(
            f'TIFF of {len(data)} bytes ends in its directory; it is truncated'
        ) from error
    if _WIDTH not in tags or _HEIGHT not in tags:
        raise ImageError('TIFF has no width or height in its first directory; it is damaged')
    for offsets, counts in _PARTS:
        ends = (a + b for a, b in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False))
        end = max(ends, default=0)
        if end > len(data):
            raise ImageError(f'TIFF has {len(data)} of {end} bytes; it is truncated')
    return tags[_WIDTH][0], tags[_HEIGHT][0]


def _read_tags(data: bytes | memoryview, order: str) -> dict[int, tuple[int, ...]]:
    """Read the wanted tags of the first directory, each once."""
    at = struct.unpack_from(f'{order}I', data, 4)[0]
    tags: dict[int, tuple[int, ...]] = {}
    for number in range(struct.unpack_from(f'{order}H', data, at)[0]):
        entry = at + 2 + 12 * number
        tag, kind, count = struct.unpack_from(f'{order}HHI', data, entry)
        if tag not in _WANTED or tag in tags or kind not in _FORMATS or not count:
            continue
        layout = f'{order}{count}{_FORMATS[kind]}'
        place = entry + 8
        if struct.calcsize(layout) > 4:
            place = struct.unpack_from(f'{order}I', data, place)[0]
        tags[tag] = struct.unpack_from(layout, data, place)
    return tags
