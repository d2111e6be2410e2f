# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG images that are decoded when they are used, at a fraction of their size if that does."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
import math
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from trt_detector.errors import ImageError
from trt_detector.image.compressed import open_compressed
from trt_detector.image.image import Image
from trt_detector.image.shared_values import SharedValues

REDUCTIONS = (1, 2, 4, 8)
# A red CMYK image of 33x17 pixels, which OpenCV cannot write.
CMYK = (
    '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAQCwwODAoQDg0OEhEQExgoGhgWFhgxIyUdKDozPTw5Mzg3QEhcTkBEV0U3'
    'OFBtUVdfYmdoZz5NcXlwZHhcZWdj/8AAFAgAEQAhBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAAH'
    '/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAAPwCgJ+n6gAAAAAAAAAAAAAAAAAAA/9k='
)
SIZES = ((1281, 723), (64, 48), (17, 9), (8, 8), (1, 1))


def picture(width: int, height: int) -> np.ndarray:
    """Draw a smooth picture, of which JPEG and averages lose little."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [
        columns * 200 // max(width, 40) + 20,
        rows * 200 // max(height, 40) + 20,
        (columns + rows) * 200 // max(width + height, 80) + 20,
    ]
    return np.stack(channels, axis=2).astype(np.uint8)


def encode(pixels: np.ndarray, *settings: int) -> bytes:
    """Return pixels as the content of a JPEG file."""
    done, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 98, *settings])
    assert done
    return data.tobytes()


def average(pixels: np.ndarray, reduction: int) -> np.ndarray:
    """Average the blocks of a picture, those at the right and the lower edge of what is there."""
    shape = [math.ceil(side / reduction) for side in pixels.shape[:2]]
    blocks = np.full((shape[0] * reduction, shape[1] * reduction, *pixels.shape[2:]), np.nan)
    blocks[: pixels.shape[0], : pixels.shape[1]] = pixels
    blocks = blocks.reshape(shape[0], reduction, shape[1], reduction, *pixels.shape[2:])
    return np.asarray(np.nanmean(blocks, axis=(1, 3)))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List that every decoding by OpenCV is added to."""
    calls: list[int] = []
    imdecode = cv2.imdecode

    def count(*arguments: Any) -> Any:
        calls.append(1)
        return imdecode(*arguments)

    monkeypatch.setattr(cv2, 'imdecode', count)
    return calls


@pytest.mark.parametrize(
    ('size', 'shown', 'expected'),
    [
        ((3840, 2160), (640, 360), 4),
        ((3840, 2160), (512, 288), 4),
        ((3840, 2160), (480, 270), 8),
        ((3840, 2160), (481, 270), 4),
        ((3840, 2160), (480, 271), 4),
        ((1920, 1080), (640, 360), 2),
        ((1280, 720), (640, 360), 2),
        ((1278, 718), (640, 360), 1),
        # 1279 pixels are 640 of two, the last of which is half outside.
        ((1279, 719), (640, 360), 2),
        ((1000, 750), (640, 480), 1),
        # One axis is not enough.
        ((2000, 600), (640, 640), 1),
        ((640, 480), (640, 480), 1),
        ((320, 240), (640, 480), 1),
        ((1, 1), (640, 640), 1),
    ],
)
def test_the_largest_reduction_that_enlarges_nothing_is_found(
    size: tuple[int, int], shown: tuple[int, int], expected: int
) -> None:
    image = Image.from_jpeg(np.zeros(1, np.uint8), size, 'bgr8')
    assert image.find_reduction(shown) == expected


@pytest.mark.parametrize('reduction', REDUCTIONS)
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('gray', [False, True])
def test_each_pixel_is_the_average_of_its_block(
    size: tuple[int, int], reduction: int, gray: bool
) -> None:
    scene = picture(*size)[..., 0] if gray else picture(*size)
    image = open_compressed(encode(scene), 'jpeg')
    assert (image.width, image.height) == size
    small = image.decode(reduction)
    assert (small.width, small.height) == tuple(math.ceil(side / reduction) for side in size)
    assert small.encoding == image.encoding == ('mono8' if gray else 'bgr8')
    expected = average(scene, reduction)
    # The last blocks contain what the encoder filled them with.
    inside = tuple(slice(0, max(side // reduction, 1)) for side in size[::-1])
    difference = np.abs(small.pixels()[0][inside].astype(float) - expected[inside])
    assert difference.max() <= 12
    assert difference.mean() <= 3


def test_content_is_not_copied_and_may_have_bytes_behind_its_end() -> None:
    scene = picture(64, 48)
    for extra in (0, 5, 5000):
        data = np.frombuffer(encode(scene) + bytes(extra), np.uint8)
        image = open_compressed(data, 'jpeg')
        assert np.shares_memory(image.data, data)
        assert (image.decode().width, image.decode().height) == (64, 48)


def test_images_are_decoded_once_when_they_are_needed(decoded: list[int]) -> None:
    scene = picture(64, 48)
    image = open_compressed(encode(scene), 'jpeg')
    assert (image.width, image.height, image.step) == (64, 48, 192)
    assert not decoded
    with ThreadPoolExecutor(4) as pool:
        pixels = list(pool.map(lambda _: image.to_bgr(), range(4)))
    assert len(decoded) == 1
    assert all((one == pixels[0]).all() for one in pixels)
    part = image.crop((16, 8, 48, 40))
    assert (part.width, part.height) == (32, 32)
    np.testing.assert_array_equal(part.to_bgr(), pixels[0][8:40, 16:48])
    assert len(decoded) == 1
    assert image.decode(4).width == 16
    assert image.decode(4) is image.decode(4)
    assert len(decoded) == 2


def test_other_images_are_decoded_already() -> None:
    png = cv2.imencode('.png', picture(64, 48))[1]
    for image in (open_compressed(png), Image.from_array(picture(64, 48))):
        assert image.find_reduction((8, 6)) == 1
        assert image.decode() is image


def test_detectors_that_share_an_image_share_each_of_its_sizes() -> None:
    image = replace(open_compressed(encode(picture(64, 48))), shared=SharedValues())
    shared = [image.decode(reduction).shared for reduction in (1, 2, 2, 4)]
    assert None not in shared
    assert shared[1] is shared[2]
    assert len({id(one) for one in shared}) == 3
    assert open_compressed(encode(picture(64, 48))).decode(2).shared is None


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_patterns_are_never_averaged(pattern: str) -> None:
    data = encode(picture(64, 48)[..., 0])
    image = open_compressed(data, f'bayer_{pattern}8; jpeg compressed ')
    assert image.encoding == f'bayer_{pattern}8'
    assert image.find_reduction((8, 6)) == 1
    whole = open_compressed(data, f'bayer_{pattern}8; jpeg compressed ').decode()
    np.testing.assert_array_equal(image.to_bgr(), whole.to_bgr())


@pytest.mark.parametrize(
    ('transport_format', 'encoding'),
    [
        ('jpeg', 'bgr8'),
        ('rgb8; jpeg compressed bgr8', 'bgr8'),
        ('rgb8; jpeg compressed rgb8', 'rgb8'),
        ('yuv422; jpeg compressed bgr8', 'bgr8'),
    ],
)
def test_every_size_has_the_channels_of_the_format(transport_format: str, encoding: str) -> None:
    image = open_compressed(encode(picture(64, 48)), transport_format)
    for reduction in REDUCTIONS:
        assert image.decode(reduction).encoding == encoding


def test_progressive_images_and_other_sampling_are_reduced() -> None:
    scene = picture(321, 183)
    for settings in (
        (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440),
        (cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
    ):
        image = open_compressed(encode(scene, *settings))
        for reduction in (2, 4, 8):
            small = image.decode(reduction).to_bgr()[:-1, :-1]
            expected = average(scene, reduction)[:-1, :-1]
            assert np.abs(small - expected).mean() <= 3


def test_cmyk_images_are_read_as_color() -> None:
    image = open_compressed(base64.b64decode(CMYK), 'jpeg')
    assert (image.width, image.height, image.encoding) == (33, 17, 'bgr8')
    for reduction in REDUCTIONS:
        pixels = image.decode(reduction).to_bgr()
        assert np.abs(pixels.astype(int) - (0, 0, 255)).max() <= 4


def test_orientation_is_not_applied_at_any_size() -> None:
    # EXIF orientation 6: turn by 90 degrees to see it upright.
    jpeg = encode(picture(64, 48))
    tiff = b'MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00'
    exif = b'Exif\x00\x00' + tiff + bytes(4)
    turned = jpeg[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + jpeg[2:]
    plain, sensor = open_compressed(jpeg), open_compressed(turned)
    for reduction in REDUCTIONS:
        np.testing.assert_array_equal(
            sensor.decode(reduction).to_bgr(), plain.decode(reduction).to_bgr()
        )


def test_truncated_and_too_large_images_are_refused_before_they_are_decoded(
    decoded: list[int],
) -> None:
    data = encode(picture(64, 48))
    with pytest.raises(ImageError, match='truncated'):
        open_compressed(data[: len(data) // 2])
    # The limit is that of the whole image, however small it is decoded.
    with pytest.raises(ImageError, match='is 64x48, 3072 pixels; max_image_pixels is 3071'):
        open_compressed(data, max_pixels=64 * 48 - 1)
    assert not decoded


def test_an_image_that_cannot_be_decoded_is_refused_each_time() -> None:
    data = bytearray(encode(picture(64, 48)))
    # The first quantization table is not there.
    data[data.index(b'\xff\xdb') + 1] = 0xEF
    image = open_compressed(data)
    for reduction in (1, 1, 4):
        with pytest.raises(ImageError, match='OpenCV cannot decode'):
            image.decode(reduction)
    with pytest.raises(ImageError, match='OpenCV cannot decode'):
        image.to_bgr()


def test_an_image_of_another_size_than_its_header_is_refused() -> None:
    image = Image.from_jpeg(np.frombuffer(encode(picture(64, 48)), np.uint8), (66, 48), 'bgr8')
    with pytest.raises(ImageError, match='JPEG has 32x24 pixels; expected 33x24 by its header'):
        image.decode(2)


def test_a_header_without_components_is_refused() -> None:
    data = encode(picture(64, 48))
    frame = data.index(b'\xff\xc0')
    cut = data[:frame] + b'\xff\xc0' + struct.pack('>HBHH', 7, 8, 48, 64)
    with pytest.raises(ImageError, match='truncated'):
        open_compressed(cut)
