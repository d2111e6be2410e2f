# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes in the headers of compressed images, and the forms that headers may have."""

from __future__ import annotations

from pathlib import Path
import struct

import cv2
import numpy as np
import pytest
from trt_detector.errors import ImageError
from trt_detector.image.completeness import check_picture, read_jpeg_header, read_size
from trt_detector.image.image import Image

WIDTH, HEIGHT = 48, 32
PICTURE = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def _encode(suffix: str, picture: np.ndarray = PICTURE, quality: int = 101) -> bytes:
    """Encode a picture; a WebP without loss if the quality is above 100."""
    parameters = [cv2.IMWRITE_WEBP_QUALITY, quality] if suffix == '.webp' else []
    return cv2.imencode(suffix, picture, parameters)[1].tobytes()


def _split_jpeg(data: bytes) -> list[bytes]:
    """Split the header of a JPEG into its segments; the rest begins with the first scan."""
    parts, at = [data[:2]], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
        parts.append(data[at:end])
        at = end
    return [*parts, data[at:]]


CLEAR = np.dstack([PICTURE, np.full((HEIGHT, WIDTH), 200, np.uint8)])


@pytest.mark.parametrize(
    ('data', 'kind'),
    [
        (_encode('.jpg'), b''),
        (_encode('.png'), b''),
        (_encode('.tiff'), b''),
        (_encode('.webp', quality=80), b'VP8 '),
        (_encode('.webp'), b'VP8L'),
        (_encode('.webp', CLEAR, quality=80), b'VP8X'),
    ],
)
def test_the_size_is_read_from_each_header(data: bytes, kind: bytes) -> None:
    assert data[12:16] == kind or not kind
    assert read_size(data) == (WIDTH, HEIGHT)
    # A view of a message, not only bytes.
    assert read_size(memoryview(data)) == (WIDTH, HEIGHT)


def test_the_scale_of_a_webp_is_not_part_of_its_size() -> None:
    data = bytearray(_encode('.webp', quality=80))
    # The two highest bits of width and height.
    data[27] |= 0x40
    data[29] |= 0x80
    assert read_size(data) == (WIDTH, HEIGHT)


@pytest.mark.parametrize('fill', [1, 2, 3])
def test_bytes_may_fill_the_space_between_segments_of_a_jpeg(fill: int) -> None:
    first, second, *rest = _split_jpeg(_encode('.jpg'))
    data = first + second + b'\xff' * fill + b''.join(rest)
    assert read_jpeg_header(data) == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize('marker', [0x01, 0xD0, 0xD7, 0xD8])
def test_markers_of_a_jpeg_may_have_no_length(marker: int) -> None:
    first, *rest = _split_jpeg(_encode('.jpg'))
    data = first + bytes((0xFF, marker)) + b''.join(rest)
    assert read_jpeg_header(data) == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize('marker', [0xC4, 0xCC])
def test_tables_of_a_jpeg_are_no_frames(marker: int) -> None:
    first, *rest = _split_jpeg(_encode('.jpg'))
    table = bytes((0xFF, marker)) + b'\0\x10' + bytes(range(14))
    assert read_jpeg_header(first + table + b''.join(rest)) == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize('cut', range(1, 14))
def test_a_png_without_its_last_bytes_is_refused(cut: int) -> None:
    with pytest.raises(ImageError, match='has no end chunk; it is truncated'):
        read_size(_encode('.png')[:-cut])


def test_text_forms_of_pnm_are_read(tmp_path: Path) -> None:
    path = tmp_path / 'a.pgm'
    path.write_text('P2 2 1 255\n7 200\n')
    assert Image.from_file(path).to_bgr()[..., 0].tolist() == [[7, 200]]
    path.write_text('P3 1 1 255\n1 2 3\n')
    assert Image.from_file(path).to_bgr().tolist() == [[[3, 2, 1]]]


def test_the_size_of_an_old_bmp_is_read() -> None:
    # OS/2: 16 bits each for width and height.
    header = struct.pack('<IHHHH', 12, 30_000, 20_000, 1, 24)
    with pytest.raises(ImageError, match='the image is 30000x20000, 600000000 pixels'):
        check_picture(b'BM' + struct.pack('<IHHI', 26, 0, 0, 26) + header)
