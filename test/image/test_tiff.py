# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes in TIFF files of both byte orders, written entry by entry."""

from __future__ import annotations

import struct

import pytest
from trt_detector.errors import ImageError
from trt_detector.image.tiff import is_tiff, read_tiff_size

WIDTH, HEIGHT = 256, 257
STRIP_OFFSETS, STRIP_BYTES = 273, 279
TILE_OFFSETS, TILE_BYTES = 324, 325
SHORT, LONG = 3, 4
SIZE = {WIDTH: (SHORT, (700,)), HEIGHT: (LONG, (70_000,))}

Entries = dict[int, tuple[int, tuple[int, ...]]]


def _tiff(entries: Entries, *, order: str = '<', twice: tuple[int, int] | None = None) -> bytes:
    """
    Make a TIFF of one directory, with long values behind it.

    :param entries: type and values by tag.
    :param order: '<' or '>'.
    :param twice: a tag and a value that come once more at the end.
    """
    rows = [(tag, *entry) for tag, entry in entries.items()]
    if twice is not None:
        rows.append((twice[0], LONG, (twice[1],)))
    directory, rest = struct.pack(f'{order}H', len(rows)), b''
    behind = 8 + 2 + 12 * len(rows) + 4
    for tag, kind, values in rows:
        packed = struct.pack(f'{order}{len(values)}{"H" if kind == SHORT else "I"}', *values)
        place = packed.ljust(4, b'\0')
        if len(packed) > 4:
            place = struct.pack(f'{order}I', behind + len(rest))
            rest += packed
        directory += struct.pack(f'{order}HHI', tag, kind, len(values)) + place
    start = b'II*\0' if order == '<' else b'MM\0*'
    return start + struct.pack(f'{order}I', 8) + directory + bytes(4) + rest


@pytest.mark.parametrize('order', ['<', '>'])
def test_the_size_is_read_in_both_byte_orders(order: str) -> None:
    data = _tiff(SIZE, order=order)
    assert is_tiff(data)
    assert read_tiff_size(data) == (700, 70_000)


@pytest.mark.parametrize('tags', [(STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES)])
@pytest.mark.parametrize('count', [1, 2, 3])
def test_strips_and_tiles_have_to_be_there(tags: tuple[int, int], count: int) -> None:
    offsets, sizes = (8,) * count, (*(1,) * (count - 1), 92)
    data = _tiff({**SIZE, tags[0]: (LONG, offsets), tags[1]: (LONG, sizes)})
    # The last one ends at byte 100.
    data = data.ljust(101, b'\0')
    assert read_tiff_size(data)[0] == 700
    longer = _tiff({**SIZE, tags[0]: (LONG, offsets), tags[1]: (LONG, (*sizes[:-1], 992))})
    assert read_tiff_size(longer.ljust(1000, b'\0'))[0] == 700
    with pytest.raises(ImageError, match='TIFF has 999 of 1000 bytes; it is truncated'):
        read_tiff_size(longer.ljust(999, b'\0'))


def test_the_first_of_two_sizes_counts_as_in_decoders() -> None:
    assert read_tiff_size(_tiff(SIZE, twice=(WIDTH, 9))) == (700, 70_000)


def test_a_size_without_a_value_is_none() -> None:
    with pytest.raises(ImageError, match='has no width or height'):
        read_tiff_size(_tiff({**SIZE, WIDTH: (SHORT, ())}))


def test_offsets_without_their_sizes_are_not_checked() -> None:
    entries: Entries = {**SIZE, STRIP_OFFSETS: (LONG, (8, 9)), STRIP_BYTES: (LONG, (1,))}
    assert read_tiff_size(_tiff(entries)) == (700, 70_000)
