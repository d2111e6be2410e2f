# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the reader of depth images."""

from __future__ import annotations

import numpy as np
import pytest
from support.depth_messages import depth_message
from trt_detector.depth.depth_image import DepthImage
from trt_detector.errors import ImageError

DEPTH_M = np.array([[0.5, 1.25, 2.0], [3.0, 4.5, 65.0]])


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ['16UC1', 'mono16', '32FC1'])
def test_every_layout_gives_the_same_meters(encoding: str, padding: int, big_endian: bool) -> None:
    message = depth_message(DEPTH_M, encoding, padding=padding, big_endian=big_endian)
    image = DepthImage.from_message(message)
    assert image.size_wh == (3, 2)
    rows, columns = np.mgrid[0:2, 0:3]
    np.testing.assert_allclose(image.sample(columns, rows), DEPTH_M, rtol=1e-6)


def test_last_row_needs_no_padding() -> None:
    message = depth_message(DEPTH_M, padding=8)
    message.data = message.data[:-8]
    image = DepthImage.from_message(message)
    assert image.sample(np.array([2]), np.array([1])) == pytest.approx(65.0)


def test_values_without_a_measurement_are_nan() -> None:
    depth_m = np.array([[0.0, -1.0, np.nan, np.inf, -np.inf, 1.0]])
    columns, rows = np.arange(6), np.zeros(6, np.intp)
    found = DepthImage.from_message(depth_message(depth_m)).sample(columns, rows)
    np.testing.assert_array_equal(found, [np.nan] * 5 + [1.0])
    counts = depth_message([[0.0, 1.0]], '16UC1')
    found = DepthImage.from_message(counts).sample(np.arange(2), np.zeros(2, np.intp))
    np.testing.assert_array_equal(found, [np.nan, 1.0])


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'encoding': 'bgr8'}, "encoding 'bgr8'; expected 16UC1 or mono16 in millimeters"),
        ({'encoding': '64FC1'}, 'expected 16UC1'),
        ({'width': 0}, 'depth image is 0x2; expected at least 1x1'),
        ({'step': 8}, 'step of the depth image is 8; expected at least 12 bytes'),
        ({'data': b'\0' * 23}, 'depth image has 23 bytes; expected 24'),
        ({'data': b''}, 'depth image has 0 bytes; expected 24'),
        ({'height': 3}, 'depth image has 24 bytes; expected 36'),
    ],
)
def test_messages_that_contradict_themselves_are_refused(
    changes: dict[str, object], sentence: str
) -> None:
    message = depth_message(DEPTH_M)
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=sentence):
        DepthImage.from_message(message)
