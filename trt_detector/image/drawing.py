# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw detections into an image, legibly at any resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import colorsys
import math
import unicodedata

import cv2
import numpy as np
import numpy.typing as npt

from ..values.detections import Detections

__all__ = ['class_color_bgr', 'class_label', 'draw_detections', 'simplify_label']

Pixels = npt.NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# OpenCV 5 has fonts; the strokes of OpenCV 4 are ASCII only, and each other byte becomes '?'.
_DRAWS_UNICODE = hasattr(cv2, 'FontFace')
# Steps of the golden ratio keep the hues of neighboring classes far apart.
_HUE_STEP = 0.61803398875
# Beyond every image: OpenCV draws between integers of 32 bits only.
_FAR_PX = 1_000_000


def class_color_bgr(class_id: int) -> tuple[int, int, int]:
    """Return the color of a class, always the same and bright."""
    hue = (0.02 + class_id * _HUE_STEP) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def class_label(class_id: int, class_names: Sequence[str]) -> str:
    """Return the name of a class, or its number if it has no name."""
    return class_names[class_id] if 0 <= class_id < len(class_names) else str(class_id)


def simplify_label(class_id: int, name: str) -> str:
    """Write a class name in ASCII: without accents, or as the number of the class."""
    plain = unicodedata.normalize('NFKD', name)
    plain = ''.join(char for char in plain if not unicodedata.combining(char))
    return plain if plain.isascii() else f'class {class_id}'


def draw_detections(
    image_bgr: Pixels,
    detections: Detections,
    class_names: Sequence[str],
    trails: Mapping[int, Sequence[tuple[float, float]]] | None = None,
) -> Pixels:
    """
    Draw boxes, labels and trails into a copy of an image.

    :param image_bgr: uint8 (height, width, 3) in BGR order.
    :param detections: boxes in pixels of the image.
    :param class_names: names by class id; a class without one is labeled with its number.
    :param trails: last positions (x, y) of rows of the detections.
    """
    drawn = image_bgr.copy()
    for row, points in (trails or {}).items():
        color = class_color_bgr(int(detections.class_ids[row]))
        corners = np.clip(points, -_FAR_PX, _FAR_PX).round().astype(np.int32)
        cv2.polylines(drawn, [corners], False, color, _line_width(drawn), cv2.LINE_AA)
    # Lowest score first, so that the best box is never hidden under a worse one.
    for row in reversed(range(len(detections))):
        class_id = int(detections.class_ids[row])
        box = np.clip(detections.boxes_xyxy[row], -_FAR_PX, _FAR_PX)
        left, top, right, bottom = (round(float(v)) for v in box)
        name = class_label(class_id, class_names)
        shown = name if _DRAWS_UNICODE else simplify_label(class_id, name)
        text = f'{shown} {float(detections.scores[row]):.2f}'
        if detections.track_ids is not None and detections.track_ids[row]:
            text = f'#{detections.track_ids[row]} {text}'
        angle = 0.0 if detections.angles is None else float(detections.angles[row])
        _draw_box(drawn, (left, top, right, bottom), text, class_color_bgr(class_id), angle)
    return drawn


def _draw_box(
    image_bgr: Pixels,
    box: tuple[int, int, int, int],
    label: str,
    color: tuple[int, int, int],
    angle: float,
) -> None:
    """Draw one box, rotated by an angle in radians, with its label above it or inside."""
    height, width = image_bgr.shape[:2]
    line = _line_width(image_bgr)
    scale = max(0.4, min(height, width) / 1000)
    stroke = max(1, round(scale * 1.6))
    left, top, right, bottom = box
    if angle:
        center, size = ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top)
        corners = cv2.boxPoints((center, size, math.degrees(angle)))
        cv2.polylines(image_bgr, [corners.round().astype(int)], True, color, line, cv2.LINE_AA)
        left, top = (int(value) for value in corners.min(axis=0))
    else:
        cv2.rectangle(image_bgr, (left, top), (right, bottom), color, line, cv2.LINE_AA)
    (text_width, text_height), below = cv2.getTextSize(label, _FONT, scale, stroke)
    margin = max(2, round(text_height * 0.3))
    label_height = text_height + below + margin
    x = max(0, min(left - line // 2, width - text_width - 2 * margin))
    y = top - label_height if top >= label_height else min(top, height - label_height)
    y = max(0, y)
    corner = (x + text_width + 2 * margin, y + label_height)
    cv2.rectangle(image_bgr, (x, y), corner, color, cv2.FILLED)
    at = (x + margin, y + text_height + margin // 2 + 1)
    cv2.putText(image_bgr, label, at, _FONT, scale, _text_color(color), stroke, cv2.LINE_AA)


def _line_width(image_bgr: Pixels) -> int:
    """Return the width of lines in pixels."""
    height, width = image_bgr.shape[:2]
    pixels: int = round(min(height, width) / 300)
    return max(2, pixels)


def _text_color(background_bgr: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, the one with more contrast to a color."""
    blue, green, red = background_bgr
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    return (0, 0, 0) if luma > 130 else (255, 255, 255)
