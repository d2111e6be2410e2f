# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Geometry of an image in the network's input, and boxes back to the image."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from trt_detector.preprocess import choose_input_size, Letterbox, PreprocessSpec

sizes = st.tuples(st.integers(1, 9000), st.integers(1, 9000))


@settings(max_examples=300, deadline=None)
@given(
    source=sizes,
    network=st.tuples(st.integers(32, 1280), st.integers(32, 1280)),
    mode=st.sampled_from(['letterbox', 'stretch']),
    anchor=st.sampled_from(['center', 'top_left']),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_come_back(
    source: tuple[int, int],
    network: tuple[int, int],
    mode: str,
    anchor: str,
    corners: list[float],
) -> None:
    place = Letterbox.fit(source, network, PreprocessSpec(mode=mode, anchor=anchor))
    x, y = sorted(corners[:2]), sorted(corners[2:])
    box = np.array([[x[0], y[0], x[1], y[1]]]) * np.array(source * 2)
    width, height = place.resized_size
    gain = np.array([width / source[0], height / source[1]] * 2)
    inside = (box * gain + [place.left, place.top] * 2).astype(np.float32)
    assert place.left + width <= network[0]
    assert place.top + height <= network[1]
    assert (inside[:, 0::2] >= place.left - 1e-3).all()
    assert (inside[:, 0::2] <= place.left + width + 1e-3).all()
    assert (inside[:, 1::2] >= place.top - 1e-3).all()
    assert (inside[:, 1::2] <= place.top + height + 1e-3).all()
    assert np.abs(place.to_source(inside) - box).max() <= 0.5


def test_boxes_are_clipped_to_the_image() -> None:
    place = Letterbox.fit((100, 50), (64, 64), PreprocessSpec())
    boxes = place.to_source(np.array([[-10.0, -10.0, 90.0, 90.0]]))
    np.testing.assert_array_equal(boxes, [[0, 0, 100, 50]])


@given(
    source=sizes,
    limit=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    stride=st.sampled_from([8, 32, 64]),
)
def test_a_fitted_size_holds_the_image(
    source: tuple[int, int], limit: tuple[int, int], stride: int
) -> None:
    limit = (limit[0] * stride, limit[1] * stride)
    height, width = choose_input_size(source, limit, stride, (1, 1), (16384, 16384))
    assert height % stride == width % stride == 0
    assert 0 < height <= limit[0]
    assert 0 < width <= limit[1]
    place = Letterbox.fit(source, (width, height), PreprocessSpec())
    full = Letterbox.fit(source, limit[::-1], PreprocessSpec())
    # The picture is as large as in the full limit, but for what rounding the short side costs,
    # and less than a stride is padded.
    slack = 1 + max(source) / min(source)
    assert abs(place.resized_size[0] - full.resized_size[0]) <= slack
    assert abs(place.resized_size[1] - full.resized_size[1]) <= slack
    assert width - place.resized_size[0] < stride + slack
    assert height - place.resized_size[1] < stride + slack


def test_a_fitted_size_keeps_the_aspect_ratio_within_a_smaller_network() -> None:
    # 640x360 into 256x256, not 384x640 with each side cut off.
    assert choose_input_size((640, 360), (640, 640), 32, (64, 64), (256, 256)) == (160, 256)
    assert choose_input_size((360, 640), (640, 640), 32, (64, 64), (256, 192)) == (256, 160)
    assert choose_input_size((640, 64), (640, 640), 32, (128, 128), (256, 256)) == (128, 256)


def test_a_fitted_size_is_a_multiple_of_the_stride_at_both_ends_of_the_range() -> None:
    # 100 is no multiple of 32: the next ones inside of 100 to 200 are 128 and 192.
    assert choose_input_size((640, 640), (640, 640), 32, (100, 100), (200, 200)) == (192, 192)
    assert choose_input_size((640, 10), (640, 640), 32, (100, 100), (640, 640)) == (128, 640)
    # 104 * 640 / 189 is 352.2: a picture of 352 rows, which need no 384.
    assert choose_input_size((189, 104), (640, 640), 32, (32, 32), (640, 640)) == (352, 640)


@pytest.mark.parametrize('mode', ['letterbox', 'stretch'])
@pytest.mark.parametrize('angle', [0.0, 0.4, 1.5, -2.5])
def test_a_rotated_box_is_mapped_along_its_width(mode: str, angle: float) -> None:
    # 200x100 into 64x96: a letterbox of 64x32 below 32 rows, or factors of 0.32 and 0.96.
    place = Letterbox.fit((200, 100), (64, 96), PreprocessSpec(mode=mode))
    gain_x, gain_y, top = (0.32, 0.32, 32) if mode == 'letterbox' else (0.32, 0.96, 0)
    boxes = np.array([[20, 40, 44, 52]], np.float32)
    found, angles = place.rotated_to_source(boxes, np.array([angle], np.float32))
    # Half of the width and of the height as vectors of the image.
    along = (12 * math.cos(angle) / gain_x, 12 * math.sin(angle) / gain_y)
    across = (-6 * math.sin(angle) / gain_x, 6 * math.cos(angle) / gain_y)
    x, y = 32 / gain_x, (46 - top) / gain_y
    half = math.hypot(*along), math.hypot(*across)
    expected = [x - half[0], y - half[1], x + half[0], y + half[1]]
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    assert angles[0] == pytest.approx(math.atan2(along[1], along[0]), abs=1e-6)
