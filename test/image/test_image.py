# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Encodings of camera drivers, row padding, byte order, and refused images."""

from __future__ import annotations

from array import array
from pathlib import Path
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from trt_detector.errors import ImageError
from trt_detector.image.image import Image, PICTURE_SUFFIXES, SUPPORTED_ENCODINGS
from trt_detector.image.reusable_memory import ReusableMemory

WIDTH, HEIGHT = 48, 32


def _scene() -> np.ndarray:
    """Return a smooth BGR picture: color conversions lose little of it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    channels = [40 + 3 * x, 60 + 4 * y, 200 - 2 * x - y]
    return np.stack(channels, -1).astype(np.uint8)


SCENE = _scene()
GRAY = cv2.cvtColor(SCENE, cv2.COLOR_BGR2GRAY)


def _yuv422(first_luma: int) -> np.ndarray:
    """Return the scene as (H, W, 2): luma at one index, U and V in turn at the other."""
    yuv = cv2.cvtColor(SCENE, cv2.COLOR_BGR2YUV_I420)
    # I420 halves both directions; 4:2:2 repeats its chroma rows.
    chroma = yuv[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2).repeat(2, axis=1)
    packed = np.empty((HEIGHT, WIDTH, 2), np.uint8)
    packed[..., first_luma] = yuv[:HEIGHT]
    packed[:, 0::2, 1 - first_luma] = chroma[0]
    packed[:, 1::2, 1 - first_luma] = chroma[1]
    return packed


def _semi_planar(first: int) -> np.ndarray:
    """Return the scene as NV12 (first=0, U leads) or NV21 (first=1)."""
    yuv = cv2.cvtColor(SCENE, cv2.COLOR_BGR2YUV_I420)
    planes = yuv[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    pairs = np.stack([planes[first], planes[1 - first]], -1).reshape(HEIGHT // 2, WIDTH)
    return np.concatenate([yuv[:HEIGHT], pairs])


def _bayer(pattern: str) -> np.ndarray:
    """Return the scene as one color per pixel; the pattern names the first two rows."""
    mosaic = np.empty((HEIGHT, WIDTH), np.uint8)
    for index, color in enumerate(pattern):
        y, x = divmod(index, 2)
        mosaic[y::2, x::2] = SCENE[y::2, x::2, 'bgr'.index(color)]
    return mosaic


def _wide(pixels: np.ndarray) -> np.ndarray:
    """Return 16-bit values that are nearest to 8-bit ones, and have two different bytes."""
    return (pixels.astype(np.int64) * 257 - 100).clip(0, 65535).astype(np.uint16)


def _stored(encoding: str) -> np.ndarray:
    """Return the scene as rows of the encoding's values."""
    rgb, alpha = SCENE[..., ::-1], np.full((HEIGHT, WIDTH, 1), 9, np.uint8)
    if encoding.startswith('bayer_'):
        mosaic = _bayer(encoding[6:10])
        return _wide(mosaic) if encoding.endswith('16') else mosaic
    return {
        'bgr8': lambda: SCENE,
        '8UC3': lambda: SCENE,
        'rgb8': lambda: rgb,
        'bgra8': lambda: np.concatenate([SCENE, alpha], -1),
        '8UC4': lambda: np.concatenate([SCENE, alpha], -1),
        'rgba8': lambda: np.concatenate([rgb, alpha], -1),
        'mono8': lambda: GRAY,
        '8UC1': lambda: GRAY,
        'mono16': lambda: _wide(GRAY),
        '16UC1': lambda: _wide(GRAY),
        'bgr16': lambda: _wide(SCENE),
        'rgb16': lambda: _wide(rgb),
        'bgra16': lambda: _wide(np.concatenate([SCENE, alpha], -1)),
        'rgba16': lambda: _wide(np.concatenate([rgb, alpha], -1)),
        'yuv422': lambda: _yuv422(1),
        'uyvy': lambda: _yuv422(1),
        'yuv422_yuy2': lambda: _yuv422(0),
        'yuyv': lambda: _yuv422(0),
        'nv12': lambda: _semi_planar(0),
        'nv21': lambda: _semi_planar(1),
    }[encoding]()


def _message(encoding: str, *, padding: int = 0, big: bool = False) -> Image:
    """Return the scene as an image message, padding bytes set to 0xEE."""
    stored = _stored(encoding)
    if stored.dtype == np.uint16:
        stored = stored.astype('>u2' if big else '<u2')
    rows = np.ascontiguousarray(stored).reshape(len(stored), -1).view(np.uint8)
    step = rows.shape[1] + padding
    padded = np.full((len(rows), step), 0xEE, np.uint8)
    padded[:, : rows.shape[1]] = rows
    return Image.from_buffer(
        array('B', padded.tobytes()),
        width=WIDTH,
        height=HEIGHT,
        encoding=encoding,
        step=step,
        is_bigendian=big,
    )


@pytest.mark.parametrize('encoding', sorted(SUPPORTED_ENCODINGS))
@pytest.mark.parametrize(('padding', 'big'), [(0, False), (5, False), (16, True)])
def test_every_encoding_gives_the_same_picture(encoding: str, padding: int, big: bool) -> None:
    is_gray = encoding in ('mono8', '8UC1', 'mono16', '16UC1')
    expected = cv2.cvtColor(GRAY, cv2.COLOR_GRAY2BGR) if is_gray else SCENE
    found = _message(encoding, padding=padding, big=big).to_bgr()
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert found.dtype == np.uint8
    exact = encoding.startswith(('bgr', 'rgb', 'mono', '8UC', '16UC'))
    # Neighbors share color in YUV and Bayer: the borders and steep places differ a little.
    inner = np.abs(found.astype(int) - expected)[2:-2, 2:-2]
    assert inner.max() <= (0 if exact else 12)
    assert inner.mean() <= (0 if exact else 3)


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'mono8', '8UC1', '8UC3'])
def test_common_encodings_are_views(encoding: str) -> None:
    image = _message(encoding, padding=8)
    pixels, _ = image.pixels()
    assert np.shares_memory(pixels, image.data)


def test_pixels_tell_their_order() -> None:
    assert [_message(e).pixels()[1] for e in ('bgr8', 'rgba8', 'mono16', 'nv12')] == [
        'bgr', 'rgb', 'gray', 'bgr',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'data': b''}, 'data has 0 bytes; expected 4608'),
        ({'data': bytes(4607)}, 'data has 4607 bytes; expected 4608 for 48x32 bgr8'),
        ({'step': 143}, 'step is 143; expected at least 144 bytes'),
        ({'encoding': 'bgr16', 'step': 287}, 'step is 287; expected at least 288 bytes'),
        ({'width': 0}, 'image is 0x32; expected at least 1x1'),
        ({'height': 0}, 'image is 48x0; expected at least 1x1'),
        ({'encoding': 'bgr9'}, "encoding is 'bgr9'; expected one of .*bayer_rggb8"),
        ({'encoding': ''}, "encoding is ''; expected one of"),
        ({'encoding': '32FC1'}, "encoding is '32FC1'"),
        ({'encoding': 'nv12', 'height': 31}, '48x31; nv12 shares color .* needs an even size'),
        ({'encoding': 'yuv422', 'width': 47}, '47x32; yuv422 shares color'),
        ({'encoding': 'nv12', 'step': 144, 'data': bytes(144 * 47)}, 'expected 6912 for'),
    ],
)
def test_malformed_images_are_refused(changes: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {
        'data': bytes(4608), 'width': 48, 'height': 32, 'encoding': 'bgr8', 'step': 144,
    }  # fmt: skip
    with pytest.raises(ImageError, match=message):
        Image.from_buffer(**{**fields, **changes})  # type: ignore[arg-type]


def test_from_array_refuses_what_the_encoding_is_not() -> None:
    with pytest.raises(ImageError, match=r'array is uint8 \(32, 48\); bgr8 needs u1 with 3'):
        Image.from_array(GRAY, 'bgr8')
    with pytest.raises(ImageError, match='mono16 needs u2'):
        Image.from_array(GRAY, 'mono16')
    # Its rows are not those of the picture.
    with pytest.raises(ImageError, match="encoding 'nv12' from an array"):
        Image.from_array(_semi_planar(0), 'nv12')


@pytest.mark.parametrize('big', [False, True])
def test_a_message_is_read_with_its_byte_order_and_memory(*, big: bool) -> None:
    values = np.array([[257 * 7, 257 * 200]]) + 1
    memory = ReusableMemory(4)
    message = SimpleNamespace(
        data=values.astype('>u2' if big else '<u2').tobytes(), width=2, height=1,
        encoding='mono16', step=4, is_bigendian=int(big), memory=memory,
    )  # fmt: skip
    image = Image.from_message(message)
    assert image.pixels()[0].tolist() == [[7, 200]]
    assert image.memory is memory
    del message.memory
    assert Image.from_message(message).memory is None


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    ok, data = cv2.imencode('.jpg', SCENE)
    assert ok
    path = tmp_path / 'cut.jpg'
    path.write_bytes(data.tobytes()[:-10])
    with pytest.raises(ImageError, match='no end marker'):
        Image.from_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r'cannot read .*none\.jpg: No such file'):
        Image.from_file(tmp_path / 'none.jpg')


@pytest.mark.parametrize('suffix', sorted(PICTURE_SUFFIXES))
def test_every_format_of_the_list_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f'scene{suffix}'
    gray = suffix == '.pgm'
    assert cv2.imwrite(str(path), GRAY if gray else SCENE)
    image = Image.from_file(path)
    assert (image.height, image.width) == SCENE.shape[:2]


def _gif() -> bytes:
    """Make a GIF that claims a large canvas, for which OpenCV takes gigabytes."""
    return b'GIF89a' + struct.pack('<HH', 30_000, 30_000) + bytes(40)


def _bmp(width: int, height: int) -> bytes:
    """Make a run-length encoded BMP without pixels, which OpenCV fills with black."""
    sizes = struct.pack('<IiiHHIIiiII', 40, width, height, 1, 8, 1, 2, 0, 0, 256, 0)
    return b'BM' + struct.pack('<IHHI', 1080, 0, 0, 1078) + sizes + bytes(1024) + b'\0\1'


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (_gif(), 'starts with 47 49 46 38 39 61'),
        (_bmp(30_000, -30_000), '30000x30000, 900000000 pixels; the limit'),
        (_bmp(8, 8)[:20], 'BMP of 20 bytes'),
        (b'', 'is empty'),
    ],
)
def test_files_that_would_take_gigabytes_are_refused(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / 'picture.png'
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message):
        Image.from_file(path)
