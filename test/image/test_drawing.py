# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes and labels can be read at any size, and a class keeps its color."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from trt_detector.image import drawing
from trt_detector.image.drawing import class_color_bgr, draw_detections, simplify_label
from trt_detector.values.detections import Detections


def find(*rows: tuple[float, float, float, float, int]) -> Detections:
    """Create detections from left, top, right, bottom and class."""
    return Detections(
        np.array([row[:4] for row in rows], np.float32),
        np.full(len(rows), 0.5, np.float32),
        np.array([row[4] for row in rows], np.int32),
    )


@pytest.mark.parametrize('size_wh', [(320, 240), (640, 480), (1920, 1080), (3840, 2160)])
def test_label_and_line_have_a_size_that_can_be_read(size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    box = (width * 0.2, height * 0.5, width * 0.8, height * 0.9, 1)
    drawn = draw_detections(np.zeros((height, width, 3), np.uint8), find(box), ('a', 'person'))
    colored = (drawn == class_color_bgr(1)).all(axis=2)
    # The label is above the box, at its left edge; the line of the box is at its bottom.
    label = colored[: int(height * 0.49), int(width * 0.2)]
    line = colored[int(height * 0.8) :, width // 2]
    assert label.sum() >= 11
    assert 0.02 * height <= label.sum() <= 0.08 * height
    assert line.sum() >= max(1, height // 600)
    text = (drawn[: int(height * 0.49)] > 200).all(axis=2) | (
        ~colored[: int(height * 0.49)] & (drawn[: int(height * 0.49)] != 0).any(axis=2)
    )
    rows = np.flatnonzero(text.any(axis=1))
    assert rows[-1] - rows[0] >= 7


def test_the_input_is_not_changed() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    assert draw_detections(image, find((5, 5, 40, 40, 0)), ('a',)).any()
    assert not image.any()


def test_a_class_has_the_same_color_alone_and_among_others() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    alone = draw_detections(image, find((200, 200, 300, 300, 7)), ())
    others = find((10, 50, 90, 100, 3), (200, 200, 300, 300, 7), (10, 300, 90, 390, 12))
    among = draw_detections(image, others, ())
    assert tuple(alone[250, 200]) == tuple(among[250, 200]) == class_color_bgr(7)


def test_neighboring_classes_have_different_hues() -> None:
    def hue(class_id: int) -> float:
        blue, green, red = (value / 255 for value in class_color_bgr(class_id))
        return colorsys.rgb_to_hsv(red, green, blue)[0]

    for class_id in range(90):
        distance = abs(hue(class_id) - hue(class_id + 1))
        assert min(distance, 1 - distance) > 0.2


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('person', 'person'),
        ('fußgänger', 'class 4'),
        ('crème brûlée', 'creme brulee'),
        ('漢字', 'class 4'),
    ],
)
def test_names_in_ascii(name: str, expected: str) -> None:
    assert simplify_label(4, name) == expected


@pytest.mark.parametrize('draws_unicode', [True, False])
def test_names_that_the_font_lacks_are_simplified(
    draws_unicode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    def put_text(image: Any, text: str, *_: Any) -> Any:
        texts.append(text)
        return image

    monkeypatch.setattr(drawing, '_DRAWS_UNICODE', draws_unicode)
    monkeypatch.setattr(cv2, 'putText', put_text)
    draw_detections(np.zeros((99, 99, 3), np.uint8), find((9, 50, 90, 90, 1)), ('a', 'été'))
    assert texts == ['été 0.50' if draws_unicode else 'ete 0.50']


def test_a_trail_is_a_line_through_its_points_in_the_color_of_the_class() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    found = find((150, 150, 190, 190, 1), (150, 20, 190, 60, 0))
    plain = draw_detections(image, found, ())
    drawn = draw_detections(image, found, (), {0: [(20, 170), (60, 120), (120, 120)]})
    changed = (drawn != plain).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max()) == pytest.approx((20, 120), abs=2)
    assert (rows.min(), rows.max()) == pytest.approx((120, 170), abs=2)
    # Not closed: nothing between the first and the last point.
    assert not changed[140:150, 75:90].any()
    assert tuple(drawn[120, 90]) == class_color_bgr(1)
    assert tuple(drawn[145, 40]) == class_color_bgr(1)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('far', [1e5, 3e9, 1e30])
@pytest.mark.parametrize('is_rotated', [False, True])
def test_boxes_and_trails_far_beyond_the_image_are_drawn(far: float, is_rotated: bool) -> None:
    found = find((-far, -far, far, far, 0), (20, 20, 60, 60, 0))
    if is_rotated:
        found = replace(found, angles=np.full(2, 0.5, np.float32))
    drawn = draw_detections(
        np.zeros((99, 99, 3), np.uint8), found, (), {0: [(-far, 90.0), (far, 90.0)]}
    )
    assert tuple(drawn[90, 90]) == class_color_bgr(0)
