# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Clutter: objects of no class, which a detector must ignore."""

import numpy as np

from .camera import Floats
from .paint import between, grime, jittered, Paint, plain
from .solids import Box, Frustum, Part, Solid, turned

__all__ = ['build_clutter', 'build_shelf']


def _drawers(color: Floats, height: float, count: int, seed: int) -> Paint:
    def paint(points: Floats, normals: Floats) -> Floats:
        cell = points[:, 2] / np.float32(height) * count
        gap = np.abs(cell - np.round(cell)) * height / count
        line = np.clip((0.01 - gap) / 0.004, 0, 1)
        grip = between(np.abs(points[:, 0]), -1.0, 0.09) * between(cell % 1, 0.72, 0.8, 0.02)
        shade = 1 - np.where(np.abs(normals[:, 2]) > 0.5, 0, 0.45 * np.maximum(line, grip))
        return grime(color * shade[:, None].astype(np.float32), points, 0.05, seed)

    return paint


def _cabinet(rng: np.random.Generator) -> Solid:
    hx, hy, height = rng.uniform(0.25, 0.5), rng.uniform(0.22, 0.35), rng.uniform(0.9, 2.0)
    color = jittered(rng, rng.choice([0.58, 0.1, 0.3]), rng.choice([0.04, 0.2]), 0.6)
    paint = _drawers(color, height, int(rng.integers(2, 6)), int(rng.integers(1, 6)))
    part = Part(Box((0, 0, height / 2), (hx, hy, height / 2)), paint, 0.25)
    return Solid(-1, (part,), float(np.hypot(hx, hy)), rotation=turned(rng.normal(0, 0.3)))


def _pillar(rng: np.random.Generator) -> Solid:
    half = rng.uniform(0.15, 0.28)
    color = jittered(rng, 0.1, 0.05, 0.6)
    guard = jittered(rng, 0.14, 0.85, 0.85)
    banded = rng.random() < 0.5

    def paint(points: Floats, _normals: Floats) -> Floats:
        diagonal = (points[:, 2] + points[:, 0] + points[:, 1]) * 6
        stripe = np.clip(np.sin(diagonal * np.float32(np.pi)) * 9 + 0.5, 0, 1)[:, None]
        warning = guard * stripe + 0.08 * (1 - stripe)
        low = between(points[:, 2], -1.0, 0.9 if banded else -2.0)[:, None]
        return grime(color * (1 - low) + warning * low, points, 0.15, 2)

    shape = (
        Box((0, 0, 3.0), (half, half, 3.0)) if rng.random() < 0.6 else Frustum(0, 6.0, half, half)
    )
    return Solid(-1, (Part(shape, paint),), half * 1.45)


def _bench(rng: np.random.Generator) -> Solid:
    hx, hy, height = rng.uniform(0.5, 0.9), rng.uniform(0.28, 0.4), rng.uniform(0.45, 0.95)
    top = plain(jittered(rng, 0.09, rng.choice([0.05, 0.3]), 0.6), 0.12)
    leg = plain(jittered(rng, 0.6, 0.05, 0.3), 0.1)
    parts = [Part(Box((0, 0, height), (hx, hy, 0.025)), top)]
    parts += [
        Part(
            Box((sx * (hx - 0.05), sy * (hy - 0.05), height / 2), (0.025, 0.025, height / 2)), leg
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return Solid(
        -1, tuple(parts), float(np.hypot(hx, hy)), rotation=turned(rng.uniform(0, 2 * np.pi))
    )


def _bollard(rng: np.random.Generator) -> Solid:
    radius, height = rng.uniform(0.05, 0.09), rng.uniform(0.6, 1.0)
    paint = plain(jittered(rng, rng.choice([0.14, 0.6]), rng.choice([0.05, 0.8]), 0.7), 0.12)
    return Solid(-1, (Part(Frustum(0, height, radius, radius), paint, 0.3),), radius * 1.3)


def _beam(rng: np.random.Generator) -> Solid:
    hx, thick = rng.uniform(0.6, 1.3), rng.uniform(0.05, 0.09)
    paint = plain(jittered(rng, rng.choice([0.1, 0.6]), 0.08, rng.uniform(0.3, 0.7)), 0.15)
    return Solid(
        -1,
        (Part(Box((0, 0, thick), (hx, thick, thick)), paint, 0.1),),
        hx * 0.8,
        rotation=turned(rng.uniform(0, 2 * np.pi)),
    )


def build_clutter(rng: np.random.Generator) -> Solid:
    """Build one piece of clutter, standing at the origin."""
    kinds = (_cabinet, _pillar, _bench, _bollard, _beam)
    return kinds[rng.choice(len(kinds), p=[0.25, 0.15, 0.25, 0.2, 0.15])](rng)


def build_shelf(rng: np.random.Generator) -> Solid:
    """Build a rack of shelves with plain cartons, to stand before a wall."""
    hx, hy, height = rng.uniform(0.9, 1.6), 0.3, rng.uniform(1.8, 3.0)
    metal = plain(jittered(rng, rng.choice([0.6, 0.05]), rng.choice([0.1, 0.7]), 0.5), 0.08)
    parts = [
        Part(Box((sx * hx, sy * hy, height / 2), (0.03, 0.03, height / 2)), metal)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    levels = int(rng.integers(2, 5))
    for level in range(levels):
        z = 0.15 + level * (height - 0.3) / levels
        parts.append(Part(Box((0, 0, z), (hx, hy, 0.025)), metal))
        x = -hx + 0.1
        while x < hx - 0.35:
            w, h = rng.uniform(0.1, 0.24), rng.uniform(0.08, 0.2)
            if rng.random() < 0.65:
                carton = plain(jittered(rng, rng.choice([0.58, 0.1, 0.55]), 0.08, 0.6), 0.06)
                parts.append(Part(Box((x + w, 0, z + 0.025 + h), (w, 0.2, h)), carton))
            x += 2 * w + rng.uniform(0.03, 0.2)
    return Solid(-1, tuple(parts), hx, rotation=turned(rng.normal(0, 0.03)))
