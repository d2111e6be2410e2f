# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The six kinds of object that the demo model finds."""

from collections.abc import Callable

import numpy as np

from .camera import Floats
from .paint import between, grime, jittered, Paint, plain, sample_noise, streaks
from .signs import build_sign
from .solids import Box, Frustum, Part, Solid, Sphere, turned

__all__ = ['build_object', 'CLASS_NAMES']

CLASS_NAMES = ('cone', 'ball', 'crate', 'barrel', 'pallet', 'sign')

_CONE_HUES = (
    (0.04, 0.93, 0.95),
    (0.06, 0.9, 0.95),
    (0.01, 0.85, 0.85),
    (0.14, 0.9, 0.92),
    (0.22, 0.8, 0.85),
    (0.6, 0.7, 0.75),
)
_WOODS = (
    (0.09, 0.5, 0.72),
    (0.08, 0.42, 0.58),
    (0.1, 0.36, 0.82),
    (0.09, 0.2, 0.52),
    (0.07, 0.5, 0.42),
)
_BARREL_HUES = (
    (0.6, 0.8, 0.6),
    (0.01, 0.8, 0.65),
    (0.38, 0.6, 0.42),
    (0.13, 0.85, 0.85),
    (0.6, 0.06, 0.2),
    (0.05, 0.6, 0.45),
    (0.58, 0.1, 0.72),
)


def _pick(rng: np.random.Generator, choices: tuple[tuple[float, float, float], ...]) -> Floats:
    hue, saturation, value = choices[rng.integers(len(choices))]
    return jittered(rng, hue, saturation, value)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 6))


def build_cone(rng: np.random.Generator) -> Solid:
    height = rng.uniform(0.38, 0.78)
    radius = height * rng.uniform(0.2, 0.27)
    body = _pick(rng, _CONE_HUES)
    stripe = jittered(rng, 0.1, 0.03, 0.9, 0.4)
    bands = [(0.42, 0.62), (0.7, 0.82)][: rng.integers(0, 3)]
    seed = _seed(rng)

    def paint(points: Floats, _normals: Floats) -> Floats:
        level = points[:, 2] / np.float32(height)
        white = np.zeros_like(level)
        for low, high in bands:
            white = np.maximum(white, between(level, low, high, 0.01))
        color = body * (1 - white)[:, None] + stripe * white[:, None]
        dirt = np.clip(1 - level * 4, 0, 1) * 0.25
        return grime(color * (1 - dirt)[:, None], points, 0.12, seed)

    base = radius * rng.uniform(1.2, 1.4)
    foot = body * 0.95 if rng.random() < 0.55 else jittered(rng, 0.6, 0.05, 0.16)
    parts = (
        Part(Box((0, 0, 0.018), (base, base, 0.018)), plain(foot, 0.15, seed)),
        Part(Frustum(0.03, height, radius, 0.022 + 0.02 * rng.random()), paint, 0.15),
    )
    fallen = rng.random() < 0.08
    tilt = -np.pi / 2 - np.arctan2(base, height) if fallen else 0.0
    return Solid(
        0,
        parts,
        height * 0.75 if fallen else base * 1.2,
        rotation=turned(rng.uniform(0, 2 * np.pi), tilt),
    )


def _icosahedron() -> Floats:
    golden = (1 + 5**0.5) / 2
    points: list[tuple[float, float, float]]
    points = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    points += [(s, t * golden, 0) for s in (-1, 1) for t in (-1, 1)]
    points += [(t * golden, 0, s) for s in (-1, 1) for t in (-1, 1)]
    return (np.array(points) / np.hypot(1, golden)).astype(np.float32)


def _football(first: Floats, second: Floats) -> Paint:
    spots = _icosahedron()

    def paint(_points: Floats, normals: Floats) -> Floats:
        nearest = (normals @ spots.T).max(1)
        dark = np.clip((nearest - 0.925) / 0.008, 0, 1)[:, None]
        seam = between((normals @ spots.T).max(1), 0.79, 0.805, 0.01)[:, None]
        return (first * (1 - dark) + second * dark) * (1 - 0.3 * seam)

    return paint


def _basketball(first: Floats, second: Floats) -> Paint:
    def paint(_points: Floats, normals: Floats) -> Floats:
        x, y, z = normals[:, 0], normals[:, 1], normals[:, 2]
        bow = np.abs(x) - 0.62 + 0.25 * z * z
        line = np.minimum(np.minimum(np.abs(y), np.abs(z)), np.abs(bow))
        mix = np.clip((0.035 - line) / 0.012, 0, 1)[:, None]
        return first * (1 - mix) + second * mix

    return paint


def _panels(first: Floats, second: Floats, count: int) -> Paint:
    def paint(_points: Floats, normals: Floats) -> Floats:
        turn = np.arctan2(normals[:, 1], normals[:, 0]) * np.float32(count / 2)
        mix = np.clip(0.5 + np.sin(turn) * 12, 0, 1)[:, None]
        pole = np.clip((np.abs(normals[:, 2]) - 0.93) * 40, 0, 1)[:, None]
        return (first * (1 - mix) + second * mix) * (1 - pole) + pole * 0.9

    return paint


def _felt(first: Floats) -> Paint:
    def paint(points: Floats, normals: Floats) -> Floats:
        wave = normals[:, 2] - 0.55 * np.sin(2 * np.arctan2(normals[:, 1], normals[:, 0]))
        line = np.clip((0.06 - np.abs(wave)) / 0.02, 0, 1)[:, None]
        return grime(first * (1 - line) + 0.92 * line, points, 0.12, 3)

    return paint


def build_ball(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.1, 0.24)
    white = jittered(rng, 0.1, 0.02, 0.92, 0.5)
    vivid = jittered(rng, rng.random(), 0.8, 0.85)
    kind = rng.integers(5)
    paint: Paint
    if kind == 0:
        paint = _football(white, jittered(rng, 0.6, 0.1, 0.12))
    elif kind == 1:
        paint = _basketball(jittered(rng, 0.06, 0.8, 0.78), np.full(3, 0.08, np.float32))
    elif kind == 2:
        paint = _panels(white, vivid, int(rng.integers(3, 6)) * 2)
    elif kind == 3:
        paint = _felt(jittered(rng, 0.19, 0.75, 0.9))
    else:
        paint = plain(vivid, 0.05, _seed(rng))
    ball = Part(Sphere((0, 0, radius), radius), paint, rng.uniform(0.15, 0.6))
    return Solid(1, (ball,), radius * 1.1, rotation=turned(rng.uniform(0, 2 * np.pi)))


def _boards(color: Floats, along: int, half: float, count: int, seed: int) -> Paint:
    """Planks of one face: `count` boards side by side with dark gaps between them."""
    grain = streaks(color, along, seed)

    def paint(points: Floats, normals: Floats) -> Floats:
        across = np.where(np.abs(normals[:, 2]) > 0.5, points[:, 1], points[:, 2])
        cell = (across / np.float32(2 * half) + 1) * count
        gap = np.abs(cell - np.round(cell)) / count * 2 * half
        tint = sample_noise(np.floor(cell) * np.float32(0.37), np.zeros_like(cell), 97.0, seed)
        dark = 1 - 0.7 * np.clip((0.008 - gap) / 0.004, 0, 1)
        return grain(points, normals) * (dark * (1 + 0.14 * tint))[:, None]

    return paint


def _frame(hx: float, hy: float, hz: float, width: float) -> list[Box]:
    """Return the twelve edge boards of a crate with half sizes `hx`, `hy`, `hz`."""
    t = width / 2
    boxes = [
        Box((sx * (hx - t), sy * (hy - t), hz), (t, t, hz)) for sx in (-1, 1) for sy in (-1, 1)
    ]
    for level in (t, 2 * hz - t):
        boxes += [Box((0, s * (hy - t), level), (hx - 2 * t, t, t)) for s in (-1, 1)]
        boxes += [Box((s * (hx - t), 0, level), (t, hy - 2 * t, t)) for s in (-1, 1)]
    return boxes


def build_crate(rng: np.random.Generator) -> Solid:
    hx, hz = rng.uniform(0.18, 0.42), rng.uniform(0.14, 0.36)
    hy = hx * rng.uniform(0.7, 1.1)
    seed = _seed(rng)
    painted = rng.random() < 0.25
    color = jittered(rng, rng.random(), 0.5, 0.5) if painted else _pick(rng, _WOODS)
    edge = color * np.float32(rng.uniform(0.8, 1.15))
    inset = 0.02
    body = Part(
        Box((0, 0, hz), (hx - inset, hy - inset, hz - inset)),
        _boards(color, 0, hz, int(rng.integers(3, 6)), seed),
    )
    width = hz * rng.uniform(0.18, 0.3)
    frame = [
        Part(box, streaks(edge, int(np.argmax(box.half)), seed + 1))
        for box in _frame(hx, hy, hz, width)
    ]
    return Solid(
        2,
        (body, *frame),
        float(np.hypot(hx, hy)) * 1.02,
        rotation=turned(rng.uniform(0, 2 * np.pi)),
    )


def _barrel_paint(rng: np.random.Generator, height: float, wooden: bool) -> Paint:
    color = _pick(rng, _WOODS if wooden else _BARREL_HUES)
    seed = _seed(rng)
    band = jittered(rng, rng.choice([0.14, 0.6, 0.0]), rng.choice([0.05, 0.8]), 0.85)
    low = rng.uniform(0.35, 0.5)
    high = low + (rng.uniform(0.12, 0.25) if rng.random() < 0.5 and not wooden else -1.0)
    rust = np.array([0.12, 0.22, 0.36], np.float32)
    rusty = rng.uniform(0.2, 0.9) if rng.random() < 0.5 and not wooden else 2.0

    def paint(points: Floats, normals: Floats) -> Floats:
        turn = np.arctan2(points[:, 1], points[:, 0])
        base = np.broadcast_to(color, points.shape)
        if wooden:
            stave = np.abs((turn * np.float32(18 / (2 * np.pi))) % 1 - 0.5)
            gap = 1 - 0.55 * np.clip((stave - 0.44) / 0.03, 0, 1)
            base = streaks(color, 2, seed, 0.25)(points, normals) * gap[:, None]
        else:
            mix = between(points[:, 2] / np.float32(height), low, high, 0.008)[:, None]
            base = base * (1 - mix) + band * mix
            spots = sample_noise(turn, points[:, 2] * 3, 60.0, seed)
            mix = np.clip((spots - np.float32(rusty)) * 5, 0, 0.85)[:, None]
            base = base * (1 - mix) + rust * mix
        return grime(base, points, 0.1, seed)

    return paint


def build_barrel(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.22, 0.32)
    height = radius * rng.uniform(2.6, 3.3)
    wooden = rng.random() < 0.35
    paint = _barrel_paint(rng, height, wooden)
    belly = radius * (0.85 if wooden else 1.0)
    shapes = [Frustum(0.0, height / 2, belly, radius), Frustum(height / 2, height, radius, belly)]
    parts = [Part(shape, paint, 0.05 if wooden else 0.45) for shape in shapes]
    hoop = plain(jittered(rng, 0.6, 0.06, 0.28), 0.15) if wooden else paint
    for level in (0.02, 0.33, 0.67, 0.97):
        local = belly + (radius - belly) * (1 - abs(2 * level - 1))
        bulge = local + (0.008 if wooden else 0.012)
        thick = 0.03 if wooden else 0.016
        middle = min(max(level * height, thick), height - thick * 0.8)
        parts.append(Part(Frustum(middle - thick, middle + thick, bulge, bulge), hoop, 0.35))
    lying = rng.random() < 0.15
    rotation = turned(rng.uniform(0, 2 * np.pi), np.pi / 2 if lying else 0.0)
    return Solid(3, tuple(parts), height * 0.6 if lying else radius * 1.08, rotation=rotation)


def build_pallet(rng: np.random.Generator) -> Solid:
    hx, hy = rng.uniform(0.5, 0.62), rng.uniform(0.38, 0.52)
    painted = rng.random() < 0.3
    color = jittered(rng, rng.choice([0.6, 0.01]), 0.65, 0.55) if painted else _pick(rng, _WOODS)
    seed = _seed(rng)
    board, block = 0.022, rng.uniform(0.075, 0.1)
    parts = [
        Part(
            Box((0, s * (hy - 0.05), board / 2), (hx, 0.05, board / 2)),
            streaks(color * np.float32(0.9), 0, seed),
        )
        for s in (-1, 0, 1)
    ]
    for s in (-1, 0, 1):
        for r in (-1, 0, 1):
            box = Box(
                (r * (hx - 0.06), s * (hy - 0.05), board + block / 2), (0.06, 0.05, block / 2)
            )
            parts.append(Part(box, streaks(color * np.float32(0.85), 1, seed)))
    count = int(rng.integers(5, 9))
    width = 2 * hx / (count + (count - 1) * rng.uniform(0.25, 0.6))
    for i in range(count):
        x = -hx + width / 2 + i * (2 * hx - width) / (count - 1)
        tone = color * np.float32(rng.uniform(0.88, 1.1))
        box = Box((x, 0, 1.5 * board + block), (width / 2, hy, board / 2))
        parts.append(Part(box, streaks(tone, 1, seed + i % 3)))
    return Solid(
        4, tuple(parts), float(np.hypot(hx, hy)), rotation=turned(rng.uniform(0, 2 * np.pi))
    )


_BUILDERS: tuple[Callable[[np.random.Generator], Solid], ...] = (
    build_cone,
    build_ball,
    build_crate,
    build_barrel,
    build_pallet,
    build_sign,
)


def build_object(class_id: int, rng: np.random.Generator) -> Solid:
    """Build an object of class `class_id` (an index of CLASS_NAMES), standing at the origin."""
    return _BUILDERS[class_id](rng)
