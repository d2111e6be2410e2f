# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test parts of images in every encoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.images import make_image
from trt_detector.image.image import Image, SUPPORTED_ENCODINGS
from trt_detector.image.reusable_memory import ReusableMemory
from trt_detector.image.shared_values import SharedValues

BOX_XYXY = (4, 6, 38, 30)


@pytest.mark.parametrize('encoding', sorted(SUPPORTED_ENCODINGS))
def test_a_part_has_the_pixels_of_the_whole(encoding: str) -> None:
    whole = wide_image(encoding)
    part = whole.crop(BOX_XYXY)
    left, top, right, bottom = BOX_XYXY
    assert (part.width, part.height, part.encoding) == (right - left, bottom - top, encoding)
    expected = whole.to_bgr()[top:bottom, left:right]
    found = part.to_bgr()
    # Colors of a Bayer image come from the neighbors, which a border pixel has not all of.
    border = 2 if encoding.startswith('bayer') else 0
    inner = slice(border, -border or None)
    np.testing.assert_array_equal(found[inner, inner], expected[inner, inner])
    assert expected.std() > 10, 'a picture with content'


def wide_image(encoding: str) -> Image:
    """Make an image with padded rows; 16-bit ones are made of random bytes."""
    if not encoding.endswith(('16', '16UC1')):
        try:
            return make_image(encoding, 48, 40, 6, seed=3)
        except (KeyError, ValueError):
            pass
    values = {'16': 6, 'C1': 2}
    step = 48 * 8 + values.get(encoding[-2:], 0)
    data = np.random.default_rng(3).integers(0, 256, step * 60, np.uint8)
    return Image(data, 48, 40, encoding, step, is_bigendian=True)


def test_a_part_may_reach_the_edges_of_an_odd_image() -> None:
    whole = make_image('bgr8', 47, 39, 5, seed=1)
    part = whole.crop((10, 20, 47, 39))
    np.testing.assert_array_equal(part.to_bgr(), whole.to_bgr()[20:, 10:])


def test_a_part_does_not_share_what_was_computed_from_the_whole() -> None:
    whole = replace(make_image('bgr8', 48, 40, 0, seed=1), shared=SharedValues())
    assert whole.crop((0, 0, 20, 20)).shared is None


def test_a_part_is_not_in_the_memory_of_the_whole() -> None:
    # A copy is in pageable memory: a direct copy by the GPU would fail.
    array = np.zeros((40, 48, 3), np.uint8)
    image = Image(array.reshape(-1), 48, 40, 'bgr8', 144, memory=ReusableMemory(array.nbytes))
    assert image.crop((0, 0, 20, 20)).memory is None
