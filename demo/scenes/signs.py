# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sign plates on posts: triangle, octagon, round and rectangle."""

import cv2
import numpy as np

from .camera import Floats
from .paint import grime, jittered, Paint, plain, sample_picture
from .solids import Box, Frustum, Part, Plate, Solid, turned

__all__ = ['build_sign']

_ART = 192
_WORDS = ('STOP', 'SLOW', 'EXIT', 'DOCK 4', 'ZONE B', 'P', 'LAB 2', 'CHARGE', 'AGV', 'BAY 7')


def _ring(count: int, turn: float, stretch: tuple[float, float] = (1.0, 1.0)) -> Floats:
    """Return (count, 2) corners x, z on the unit circle, counter-clockwise."""
    angle = turn + np.arange(count) * 2 * np.pi / count
    return (np.stack([np.cos(angle), np.sin(angle)], 1) * stretch).astype(np.float32)


def _bytes(color: Floats) -> tuple[int, ...]:
    return tuple(int(255 * c) for c in color)


def _fill(art: Floats, outline: Floats, color: Floats, scale: float) -> None:
    """Fill an outline (in units of the plate's radius) drawn `scale` times as large."""
    center = outline.mean(0)
    points = (outline - center) * scale + center
    pixels = (points * [1, -1] + 1) * (_ART / 2) * 16
    cv2.fillPoly(art, [np.round(pixels).astype(np.int32)], _bytes(color), cv2.LINE_AA, 4)


def _word(art: Floats, text: str, color: Floats, width: float, middle: float = 0.5) -> None:
    """Write a word `width` wide, both as shares of the plate's picture."""
    face, thick = cv2.FONT_HERSHEY_SIMPLEX, 5
    (w, h), _ = cv2.getTextSize(text, face, 1.0, thick)
    scale = min(width * _ART / w, 0.45 * _ART / h)
    corner = (int(_ART / 2 - w * scale / 2), int(_ART * middle + h * scale / 2))
    cv2.putText(
        art, text, corner, face, scale, _bytes(color), max(2, int(thick * scale)), cv2.LINE_AA
    )


def _arrow(art: Floats, color: Floats, turn: float) -> None:
    shape = np.array(
        [
            (-0.5, 0.1),
            (-0.5, -0.1),
            (0.05, -0.1),
            (0.05, -0.32),
            (0.5, 0.0),
            (0.05, 0.32),
            (0.05, 0.1),
        ]
    )
    cos, sin = np.cos(turn), np.sin(turn)
    _fill(art, (shape @ [[cos, sin], [-sin, cos]]).astype(np.float32), color, 1.0)


def _octagon(rng: np.random.Generator) -> tuple[Floats, Floats]:
    outline = _ring(8, np.pi / 8)
    art = np.zeros((_ART, _ART, 3), np.uint8)
    white, red = jittered(rng, 0.1, 0.02, 0.92, 0.4), jittered(rng, 0.99, 0.85, 0.75)
    _fill(art, outline, white, 1.1)
    _fill(art, outline, red, 0.9)
    _word(art, 'STOP', white, 0.68)
    return outline, art


def _triangle(rng: np.random.Generator) -> tuple[Floats, Floats]:
    outline = _ring(3, np.pi / 2 if rng.random() < 0.8 else -np.pi / 2)
    art = np.zeros((_ART, _ART, 3), np.uint8)
    border = jittered(rng, 0.99, 0.85, 0.75) if rng.random() < 0.5 else np.full(3, 0.08)
    inner = jittered(rng, 0.14, rng.choice([0.05, 0.85]), 0.92)
    _fill(art, outline, border, 1.2)
    _fill(art, outline, inner, 0.72)
    black = np.full(3, 0.08, np.float32)
    if rng.random() < 0.6:
        low = outline[:, 1].mean() * _ART / 2
        cx, cy = _ART // 2, int(_ART / 2 - low)
        cv2.ellipse(art, (cx, cy - 14), (9, 30), 0, 0, 360, _bytes(black), -1, cv2.LINE_AA)
        cv2.circle(art, (cx, cy + 32), 9, _bytes(black), -1, cv2.LINE_AA)
    else:
        _arrow(art, black, rng.choice([0.0, np.pi / 2, np.pi]))
    return outline, art


def _round(rng: np.random.Generator) -> tuple[Floats, Floats]:
    outline = _ring(28, 0.0)
    art = np.zeros((_ART, _ART, 3), np.uint8)
    white, red = jittered(rng, 0.1, 0.02, 0.92, 0.4), jittered(rng, 0.99, 0.85, 0.78)
    kind = rng.integers(3)
    if kind == 0:
        _fill(art, outline, jittered(rng, 0.6, 0.85, 0.7), 1.1)
        _arrow(art, white, rng.uniform(0, 2 * np.pi))
    elif kind == 1:
        _fill(art, outline, red, 1.1)
        cv2.rectangle(art, (34, 80), (_ART - 34, _ART - 80), _bytes(white), -1)
    else:
        _fill(art, outline, red, 1.1)
        _fill(art, outline, white, 0.76)
        _word(art, str(rng.choice(['5', '10', '20', '30'])), np.full(3, 0.08), 0.5)
    return outline, art


def _rectangle(rng: np.random.Generator) -> tuple[Floats, Floats]:
    tall = rng.uniform(0.55, 0.95)
    stretch = (1.35, 1.35 * tall) if rng.random() < 0.6 else (1.35 * tall, 1.35)
    outline = np.clip(_ring(4, np.pi / 4, stretch), -1, 1)
    art = np.zeros((_ART, _ART, 3), np.uint8)
    hue, saturation, value = (
        (0.38, 0.8, 0.5),
        (0.6, 0.85, 0.65),
        (0.14, 0.85, 0.9),
        (0.1, 0.03, 0.9),
    )[rng.integers(4)]
    back = jittered(rng, hue, saturation, value)
    ink = np.full(3, 0.93 if value < 0.8 else 0.08, np.float32)
    _fill(art, outline, ink, 1.1)
    _fill(art, outline, back, 0.9)
    if rng.random() < 0.6:
        _word(art, str(rng.choice(_WORDS)), ink, 0.72 * float(outline[:, 0].max()))
    else:
        _arrow(art, ink, rng.choice([0.0, np.pi / 2, np.pi]))
    return outline, art


def _plate_paint(art: Floats, center_z: float, radius: float, seed: int) -> Paint:
    picture = cv2.GaussianBlur(art, (0, 0), 1.0).astype(np.float32) / 255
    back = np.full(3, 0.55, np.float32)

    def paint(points: Floats, normals: Floats) -> Floats:
        scale = np.float32(_ART / (2 * radius))
        x = (points[:, 0] + np.float32(radius)) * scale
        y = (np.float32(center_z + radius) - points[:, 2]) * scale
        color = sample_picture(picture, x, y)
        color = np.where((normals[:, 1] > 0)[:, None], back, color)
        return grime(color, points, 0.06, seed)

    return paint


def build_sign(rng: np.random.Generator) -> Solid:
    """Build a plate on a post with a foot; its front looks along -y before it is turned."""
    radius = rng.uniform(0.2, 0.36)
    height = rng.uniform(0.9, 1.9)
    outline, art = (_triangle, _octagon, _round, _rectangle)[rng.integers(4)](rng)
    center = height - radius
    placed = (outline * radius + [0, center]).astype(np.float32)
    post = rng.uniform(0.018, 0.035)
    metal = plain(jittered(rng, 0.6, 0.04, rng.choice([0.6, 0.75, 0.2, 0.4])), 0.1)
    seed = int(rng.integers(1, 6))
    foot = plain(jittered(rng, 0.13, rng.choice([0.05, 0.7]), rng.choice([0.25, 0.6])), 0.12)
    size = rng.uniform(0.13, 0.2)
    base = (
        Frustum(0, 0.05, size, size * 0.9)
        if rng.random() < 0.5
        else Box((0, 0, 0.025), (size, size, 0.025))
    )
    parts = (
        Part(Plate(-post - 0.006, placed), _plate_paint(art, center, radius, seed), 0.12),
        Part(Frustum(0, height - 0.6 * radius, post, post), metal, 0.3),
        Part(base, foot),
    )
    yaw = rng.normal(0, 0.5) if rng.random() < 0.9 else rng.uniform(0, 2 * np.pi)
    return Solid(5, parts, max(size * 1.3, radius * 0.6), rotation=turned(yaw))
