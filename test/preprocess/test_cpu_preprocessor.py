# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing on the CPU against a plain reference."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from trt_detector.errors import ModelError
from trt_detector.image.compressed import open_compressed
from trt_detector.image.image import Image
from trt_detector.image.shared_values import SharedValues
from trt_detector.preprocess import CpuPreprocessor, Letterbox, PreprocessSpec
from trt_detector.values.tensor_spec import TensorSpec

SPEC = TensorSpec('images', (None, 3, 64, 96), np.dtype(np.float32))
SIZE = (64, 96)


def _picture(width: int = 130, height: int = 70) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _reference(picture: np.ndarray, spec: PreprocessSpec) -> np.ndarray:
    """Return the network's input, worked out step by step in float64."""
    height, width = picture.shape[:2]
    gain = min(SIZE[1] / width, SIZE[0] / height)
    new = (SIZE[1], SIZE[0])
    left = top = 0
    if spec.mode == 'letterbox':
        new = (max(1, round(width * gain)), max(1, round(height * gain)))
        if spec.anchor == 'center':
            left, top = round((SIZE[1] - new[0]) / 2 - 0.1), round((SIZE[0] - new[1]) / 2 - 0.1)
    canvas = np.full((*SIZE, 3), spec.pad_value, np.uint8)
    canvas[top : top + new[1], left : left + new[0]] = cv2.resize(picture, new)
    ordered = canvas[..., ::-1] if spec.color == 'rgb' else canvas
    return ((ordered * np.float64(spec.scale) - spec.mean) / spec.std).transpose(2, 0, 1)


@pytest.mark.parametrize(
    'spec',
    [
        PreprocessSpec(),
        PreprocessSpec(mode='stretch'),
        PreprocessSpec(anchor='top_left', color='bgr', scale=1.0),
        PreprocessSpec(pad_value=0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    ],
)
# The last two leave an odd row of padding, and are rounded up to a column.
@pytest.mark.parametrize(
    'size', [(130, 70), (70, 130), (96, 64), (5, 3), (3, 500), (96, 63), (71, 130)]
)
def test_it_agrees_with_the_reference(spec: PreprocessSpec, size: tuple[int, int]) -> None:
    picture = _picture(*size)
    out = np.full((3, *SIZE), np.nan, np.float32)
    CpuPreprocessor(spec, SPEC, SIZE)(Image.from_array(picture), out)
    np.testing.assert_allclose(out, _reference(picture, spec), atol=2e-5 * max(1, spec.scale))


def test_slots_do_not_leak_into_each_other() -> None:
    preprocess = CpuPreprocessor(PreprocessSpec(), SPEC, SIZE)
    wide, tall = Image.from_array(_picture(130, 40)), Image.from_array(_picture(40, 130))
    fresh, used = np.empty((2, 3, *SIZE), np.float32)
    preprocess(wide, used)
    preprocess(tall, used)
    CpuPreprocessor(PreprocessSpec(), SPEC, SIZE)(tall, fresh)
    np.testing.assert_array_equal(used, fresh)


@pytest.mark.parametrize('encoding', ['rgb8', 'bgra8', 'mono8'])
def test_channel_orders_agree(encoding: str) -> None:
    gray = _picture()[..., 0]
    codes = {'rgb8': cv2.COLOR_GRAY2RGB, 'bgra8': cv2.COLOR_GRAY2BGRA}
    picture = cv2.cvtColor(gray, codes[encoding]) if encoding in codes else gray
    preprocess = CpuPreprocessor(PreprocessSpec(), SPEC, SIZE)
    expected, found = np.empty((2, 3, *SIZE), np.float32)
    preprocess(Image.from_array(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)), expected)
    preprocess(Image.from_array(picture, encoding), found)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ('shape', 'dtype', 'tolerance'),
    [
        ((None, 3, 64, 96), np.float16, 1e-3),
        ((None, 64, 96, 3), np.float32, 1e-6),
        ((1, 1, 64, 96), np.float32, 0.01),
        ((1, 64, 96, 3), np.uint8, 0),
        ((1, 1, 64, 96), np.uint8, 0.01),
        ((None, 64, 96, 1), np.float16, 0.01),
    ],
)
def test_layouts_and_dtypes(
    shape: tuple[int | None, ...], dtype: type[np.generic], tolerance: float
) -> None:
    spec = TensorSpec('images', shape, np.dtype(dtype))
    gray = cv2.cvtColor(_picture()[..., 1], cv2.COLOR_GRAY2BGR)
    out = np.empty(tuple(d or 1 for d in shape[1:]), dtype)
    CpuPreprocessor(PreprocessSpec(), spec, SIZE)(Image.from_array(gray), out)
    reference = _reference(gray, PreprocessSpec())
    planes = out if shape[1] in (1, 3) else out.transpose(2, 0, 1)
    values = planes / 255 if dtype == np.uint8 else planes
    assert np.abs(values - reference[: len(planes)]).max() <= tolerance + 1e-7


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'bgra8'])
@pytest.mark.parametrize('is_part', [False, True])
def test_a_network_of_one_channel_sees_brightness(encoding: str, *, is_part: bool) -> None:
    # Blue is dark, green is bright: exchanged channels would show.
    blue, green, red = 250, 40, 90
    pixels = {'bgr8': (blue, green, red), 'rgb8': (red, green, blue)}.get(
        encoding, (blue, green, red, 9)
    )
    image = Image.from_array(np.full((64, 96, len(pixels)), pixels, np.uint8), encoding)
    spec = TensorSpec('images', (1, 1, *SIZE), np.dtype(np.uint8))
    preprocess = CpuPreprocessor(PreprocessSpec(), spec, SIZE)
    out = np.empty((1, *SIZE), np.uint8)
    if is_part:
        preprocess.fill_parts(preprocess.convert(image), [(0, 0, 96, 64)], [out])
    else:
        preprocess(image, out)
    # The luma of ITU-R BT.601.
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(out.astype(float) - luma).max() <= 1


@pytest.mark.parametrize(
    ('shape', 'dtype'),
    [((1, 3, 64), 'f4'), ((1, 4, 64, 64), 'f4'), ((1, 64), 'f4'), ((1, 3, 64, 96), 'f8')],
)
def test_an_input_that_is_no_image_is_refused(shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(ModelError, match=r'expected \[N, C, H, W\]'):
        CpuPreprocessor(PreprocessSpec(), TensorSpec('x', shape, np.dtype(dtype)), SIZE)


SPOT = 24


def _find_spot(image: Image, network: tuple[int, int], spec: PreprocessSpec) -> np.ndarray:
    """Find the center of a bright spot through the network's input, as a detector would."""
    height, width = network
    out = np.empty((3, height, width), np.float32)
    tensor = TensorSpec('images', (None, 3, height, width), np.dtype(np.float32))
    place = CpuPreprocessor(spec, tensor, network)(image, out)
    weights = np.maximum(out[1].astype(np.float64) - 0.6, 0)
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    x, y = ((weights * axis).sum() / weights.sum() for axis in (columns, rows))
    return place.to_source(np.array([[x, y, x, y]]))[0, :2]


@pytest.mark.parametrize('mode', ['letterbox', 'stretch'])
@pytest.mark.parametrize(
    ('size', 'reduction'),
    [
        ((257, 193), 2), ((256, 192), 2), ((511, 383), 4), ((513, 385), 4), ((521, 391), 4),
        ((1025, 769), 8), ((1031, 775), 8), ((1024, 768), 8), ((255, 191), 2), ((126, 90), 1),
    ],
)  # fmt: skip
def test_boxes_in_a_jpeg_lie_where_those_in_its_pixels_do(
    size: tuple[int, int], reduction: int, mode: str
) -> None:
    spec = PreprocessSpec(mode=mode)
    # Next to the right and the lower edge, where wrong geometry shows most.
    x, y = size[0] - 2 * SPOT, size[1] - 2 * SPOT
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    picture[y : y + SPOT, x : x + SPOT] = 250
    data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 98])[1]
    image = open_compressed(data)
    network = (96, 128)
    shown = Letterbox.fit(size, network[::-1], spec).resized_size
    assert image.find_reduction(shown) == reduction
    middle = np.array([x, y]) + SPOT / 2
    # The network's pixel is as wide as up to eight of the image.
    tolerance = 0.1 * max(size[0] / shown[0], size[1] / shown[1]) + 0.2
    found, whole = _find_spot(image, network, spec), _find_spot(image.decode(), network, spec)
    assert np.abs(found - middle).max() <= tolerance
    assert np.abs(found - whole).max() <= 1


def test_a_reduced_jpeg_is_shown_as_its_pixels_are() -> None:
    rows, columns = np.mgrid[0:540, 0:961]
    scene = np.stack([columns // 4, rows // 3, (rows + columns) // 6], axis=2).astype(np.uint8)
    image = open_compressed(cv2.imencode('.jpg', scene, [cv2.IMWRITE_JPEG_QUALITY, 98])[1])
    found, whole = np.empty((2, 3, *SIZE), np.float32)
    preprocess = CpuPreprocessor(PreprocessSpec(), SPEC, SIZE)
    place = preprocess(image, found)
    assert (place.reduction, place.decoded_size, place.source_size) == (8, (121, 68), (961, 540))
    plain = preprocess(image.decode(), whole)
    assert plain == replace(place, reduction=1)
    # Gray levels of JPEG and of two ways of averaging.
    assert np.abs(found - whole).max() <= 4 / 255


def test_parts_of_a_jpeg_are_shown_at_full_size() -> None:
    scene = _picture(640, 480)
    image = open_compressed(cv2.imencode('.jpg', scene)[1])
    pixels = Image.from_array(image.to_bgr())
    boxes = [(0, 0, 640, 480), (320, 240, 640, 480)]
    found, expected = np.empty((2, 2, 3, *SIZE), np.float32)
    preprocess = CpuPreprocessor(PreprocessSpec(), SPEC, SIZE)
    places = preprocess.fill_parts(preprocess.convert(image), boxes, list(found))
    assert places == preprocess.fill_parts(pixels, boxes, list(expected))
    assert all(place.reduction == 1 for place in places)
    np.testing.assert_array_equal(found, expected)


def test_networks_of_different_sizes_read_one_jpeg_as_each_alone() -> None:
    data = cv2.imencode('.jpg', cv2.blur(_picture(640, 480), (9, 9)))[1]
    shared = replace(open_compressed(data), shared=SharedValues())
    reductions = []
    for size in (SIZE, (480, 640), (240, 320), SIZE):
        spec = TensorSpec('images', (None, 3, *size), np.dtype(np.float32))
        found, alone = np.empty((2, 3, *size), np.float32)
        place = CpuPreprocessor(PreprocessSpec(), spec, size)(shared, found)
        reductions.append(place.reduction)
        CpuPreprocessor(PreprocessSpec(), spec, size)(open_compressed(data), alone)
        np.testing.assert_array_equal(found, alone)
    assert reductions == [4, 1, 2, 4]


@pytest.mark.parametrize('channels', [1, 3])
def test_gray_jpegs_are_shown_to_any_network(channels: int) -> None:
    gray = cv2.blur(_picture(640, 480)[..., 0], (31, 31))
    image = open_compressed(cv2.imencode('.jpg', gray)[1], 'mono8; jpeg compressed ')
    spec = TensorSpec('images', (None, channels, *SIZE), np.dtype(np.float32))
    preprocess = CpuPreprocessor(PreprocessSpec(), spec, SIZE)
    found, expected = np.empty((2, channels, *SIZE), np.float32)
    assert preprocess(image, found).reduction == 4
    preprocess(Image.from_array(gray, 'mono8'), expected)
    assert np.abs(found - expected).max() <= 8 / 255
