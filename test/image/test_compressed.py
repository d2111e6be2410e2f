# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed images: formats of image_transport, sizes, truncated and damaged data."""

from __future__ import annotations

from array import array
from pathlib import Path
import struct
from types import SimpleNamespace
from typing import Any
import zlib

import cv2
import numpy as np
import pytest
from trt_detector.errors import ImageError
from trt_detector.image.compressed import open_compressed
from trt_detector.image.image import Image
from trt_detector.image.message import read_message

# Smooth, so that JPEG and color conversions lose little of it.
_ROWS, _COLUMNS = np.mgrid[0:320, 0:480]
SCENE = np.stack(
    [_COLUMNS * 255 // 479, _ROWS * 255 // 319, (_ROWS + _COLUMNS) * 255 // 798], axis=2
).astype(np.uint8)
SUFFIXES = ('.jpg', '.png', '.webp', '.tiff')


def encoded(suffix: str, pixels: np.ndarray = SCENE) -> bytes:
    """Return an image as file content."""
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == '.webp' else []
    done, data = cv2.imencode(suffix, pixels, lossless)
    assert done
    return data.tobytes()


def decode_compressed(data: Any, text: str = '', **limits: int) -> Image:
    """Open a compressed image and decode it."""
    return open_compressed(data, text, **limits).decode()


def mosaic(scene: np.ndarray, pattern: str) -> np.ndarray:
    """Return the pixels of a Bayer sensor; the pattern names the first two rows."""
    raw = np.empty(scene.shape[:2], scene.dtype)
    for position, letter in enumerate(pattern):
        row, column = divmod(position, 2)
        raw[row::2, column::2] = scene[row::2, column::2, 'bgr'.index(letter)]
    return raw


def difference(image: Image, scene: np.ndarray = SCENE) -> int:
    """Return the largest difference between an image and a scene, borders left out."""
    return int(np.abs(image.to_bgr().astype(int) - scene)[4:-4, 4:-4].max())


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_images_are_decoded(suffix: str) -> None:
    image = decode_compressed(array('B', encoded(suffix)))
    assert (image.width, image.height, image.encoding) == (480, 320, 'bgr8')
    assert difference(image) <= (12 if suffix == '.jpg' else 0)


def test_lossy_and_extended_webp_are_decoded() -> None:
    done, lossy = cv2.imencode('.webp', SCENE, [cv2.IMWRITE_WEBP_QUALITY, 90])
    assert done
    assert lossy.tobytes()[12:16] == b'VP8 '
    assert difference(decode_compressed(lossy)) <= 30
    clear = np.dstack([SCENE, np.full(SCENE.shape[:2], 200, np.uint8)])
    extended = cv2.imencode('.webp', clear, [cv2.IMWRITE_WEBP_QUALITY, 90])[1]
    assert extended.tobytes()[12:16] == b'VP8X'
    image = decode_compressed(extended)
    assert (image.width, image.height, image.encoding) == (480, 320, 'bgra8')


@pytest.mark.parametrize('codec', ['png', 'jpeg'])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_images_are_debayered(pattern: str, codec: str) -> None:
    data = encoded(f'.{codec}', mosaic(SCENE, pattern))
    image = decode_compressed(data, f'bayer_{pattern}8; {codec} compressed ')
    assert image.encoding == f'bayer_{pattern}8'
    assert difference(image) <= (4 if codec == 'png' else 40)


def test_bayer_images_that_were_converted_to_color_are_not_debayered_again() -> None:
    image = decode_compressed(encoded('.png'), 'bayer_rggb8; png compressed bgr8')
    assert image.encoding == 'bgr8'
    assert difference(image) == 0


@pytest.mark.parametrize(
    ('transport_format', 'order'),
    [
        ('', 'bgr'),
        ('jpeg', 'bgr'),
        ('png', 'bgr'),
        # Not in the form of image_transport.
        ('rgb8', 'bgr'),
        ('bgr8; png compressed bgr8', 'bgr'),
        ('rgb8; png compressed bgr8', 'bgr'),
        ('rgb8; png compressed rgb8', 'rgb'),
        ('bgr8; png compressed rgb8', 'rgb'),
        # Without an order, image_transport takes the channels of a color image for RGB.
        ('rgb8; png compressed ', 'rgb'),
        ('yuv422; png compressed bgr8', 'bgr'),
        ('yuv422; png compressed ', 'bgr'),
        ('yuv422_yuy2; png compressed rgb8', 'rgb'),
    ],
)
def test_channels_are_ordered_as_the_format_says(transport_format: str, order: str) -> None:
    # The codec stores its three channels as blue, green, red of OpenCV, whatever they mean.
    stored = SCENE if order == 'bgr' else SCENE[..., ::-1]
    image = decode_compressed(encoded('.png', stored), transport_format)
    assert difference(image) == 0


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_16_bit_images_are_decoded(suffix: str) -> None:
    deep = SCENE.astype(np.uint16) * 257
    image = decode_compressed(encoded(suffix, deep), 'bgr16; png compressed bgr16')
    assert image.encoding == 'bgr16'
    assert difference(image) == 0
    gray = decode_compressed(encoded(suffix, deep[..., 0]), 'mono16; png compressed ')
    assert gray.encoding == 'mono16'
    assert (gray.pixels()[0] == SCENE[..., 0]).all()
    bayer = mosaic(deep, 'rggb')
    image = decode_compressed(encoded(suffix, bayer), 'bayer_rggb16; png compressed ')
    assert image.encoding == 'bayer_rggb16'
    assert difference(image) <= 4


@pytest.mark.parametrize(
    'name', ['bayer_xxxx8', 'bayer_rggbx8', 'bayer_', 'bayer_' + 'x' * 100_000]
)
def test_unknown_bayer_patterns_are_refused_in_a_short_sentence(name: str) -> None:
    with pytest.raises(ImageError, match='one of bayer_bggr, bayer_gbrg') as caught:
        decode_compressed(encoded('.png', SCENE[..., 0]), f'{name}; png compressed ')
    assert len(str(caught.value)) < 250


def test_gray_images_stay_gray() -> None:
    image = decode_compressed(encoded('.jpg', SCENE[..., 0]), 'mono8; jpeg compressed ')
    assert image.encoding == 'mono8'


@pytest.mark.parametrize('name', ['compressedDepth', 'compressedDepth png', 'compressedDepth rvl'])
def test_depth_images_are_refused_by_name(name: str) -> None:
    with pytest.raises(ImageError, match='depth images are not supported'):
        decode_compressed(bytes(12) + encoded('.png'), f'16UC1; {name}')


def test_floating_point_tiff_is_refused() -> None:
    data = encoded('.tiff', SCENE.astype(np.float32))
    with pytest.raises(ImageError, match='3 channels of float32; expected'):
        decode_compressed(data)


def huge(suffix: str) -> bytes:
    """Return a small file whose header names 30000x30000 pixels, and only its header."""
    data = bytearray(encoded(suffix, SCENE[:2, :2]))
    size = 30000
    if suffix == '.png':
        data[16:24] = struct.pack('>II', size, size)
        data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
    elif suffix == '.jpg':
        at = data.index(b'\xff\xc0')
        data[at + 5 : at + 9] = struct.pack('>HH', size, size)
    elif suffix == '.tiff':
        at = struct.unpack_from('<I', data, 4)[0] + 2
        for entry in range(at, len(data) - 11, 12):
            if struct.unpack_from('<H', data, entry)[0] in (256, 257):
                data[entry + 2 : entry + 12] = struct.pack('<HII', 4, 1, size)
    return bytes(data)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tiff'])
def test_images_are_refused_by_the_size_in_their_header(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('the image was decoded'))
    with pytest.raises(
        ImageError, match=r'is 30000x30000, 900000000 pixels; max_image_pixels is 64000000'
    ):
        decode_compressed(huge(suffix))


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_the_limit_is_width_times_height(suffix: str) -> None:
    data = encoded(suffix)
    assert decode_compressed(data, max_pixels=480 * 320).width == 480
    with pytest.raises(ImageError, match='is 480x320, 153600 pixels; max_image_pixels is 153599'):
        decode_compressed(data, max_pixels=480 * 320 - 1)


def test_messages_are_read_by_their_kind() -> None:
    raw = SimpleNamespace(
        data=SCENE.tobytes(), width=480, height=320, encoding='bgr8', step=1440, is_bigendian=0
    )
    assert difference(read_message(raw)) == 0
    with pytest.raises(ImageError, match='image is 480x320, 153600 pixels; max_image_pixels is 9'):
        read_message(raw, max_pixels=9)
    data = encoded('.png', mosaic(SCENE, 'rggb'))
    packed = SimpleNamespace(data=data, format='bayer_rggb8; png compressed ')
    assert read_message(packed).encoding == 'bayer_rggb8'
    with pytest.raises(ImageError, match='max_image_pixels is 9'):
        read_message(packed, max_pixels=9)


def test_cameras_pad_their_jpegs() -> None:
    for count in (64, 10_000):
        assert decode_compressed(encoded('.jpg') + bytes(count)).width == 480


@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('share', [0.02, 0.5, 0.9, 0.999])
def test_truncated_images_are_refused(suffix: str, share: float) -> None:
    data = encoded(suffix)
    with pytest.raises(ImageError, match='truncated'):
        decode_compressed(data[: int(len(data) * share)])


def test_a_thumbnail_does_not_hide_a_cut() -> None:
    # A whole JPEG inside an APP1 segment, as cameras put it there: its end marker is not ours,
    # and its size is not, either.
    inner, outer = encoded('.jpg', SCENE[:32, :32]), encoded('.jpg')
    segment = b'\xff\xe1' + (len(inner) + 2).to_bytes(2, 'big') + inner
    whole = outer[:2] + segment + outer[2:]
    assert decode_compressed(whole).width == 480
    with pytest.raises(ImageError, match='no end marker'):
        decode_compressed(whole[:-40])


def test_a_damaged_png_is_refused() -> None:
    data = bytearray(encoded('.png'))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match='wrong checksum'):
        decode_compressed(data)


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_damaged_headers_are_refused_or_decoded(suffix: str) -> None:
    random = np.random.default_rng(13)
    whole = encoded(suffix, SCENE[:24, :24])
    decoded = 0
    for _ in range(200):
        data = bytearray(whole)
        for at in random.integers(0, min(len(data), 200), 4):
            data[at] = random.integers(0, 256)
        try:
            image = decode_compressed(data, max_pixels=10_000)
        except ImageError:
            continue
        decoded += 1
        assert image.width * image.height <= 10_000
    assert decoded < 200, 'no damage was found'


@pytest.mark.parametrize('data', [b'', b'GIF89a', b'\xff\xd8\xff', b'RIFF0000WEBP', bytes(100)])
def test_other_data_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode_compressed(data)


def test_orientation_is_applied_to_files_and_not_to_cameras(tmp_path: Path) -> None:
    # EXIF orientation 6: turn by 90 degrees to see it upright.
    jpeg = encoded('.jpg')
    tiff = b'MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00'
    exif = b'Exif\x00\x00' + tiff + bytes(4)
    turned = jpeg[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + jpeg[2:]
    path = tmp_path / 'turned.jpg'
    path.write_bytes(turned)
    upright = Image.from_file(path)
    assert (upright.width, upright.height) == (320, 480)
    sensor = decode_compressed(turned)
    assert (sensor.width, sensor.height) == (480, 320)
