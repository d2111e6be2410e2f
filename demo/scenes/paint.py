# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Noise and colors of surfaces."""

from collections.abc import Callable, Sequence
import colorsys
from functools import cache

import cv2
import numpy as np

from .camera import Floats

__all__ = [
    'Paint',
    'between',
    'grime',
    'jittered',
    'noise_tile',
    'plain',
    'sample_noise',
    'sample_picture',
    'streaks',
]

Paint = Callable[[Floats, Floats], Floats]
"""Maps (n, 3) local points in meters and (n, 3) normals to (n, 3) BGR colors in 0..1."""

_TILE = 512


@cache
def noise_tile(seed: int = 1, coarsest: int = 4) -> Floats:
    """Return a 512x512 tile of fractal noise that wraps, mean 0, about -1..1."""
    rng = np.random.Generator(np.random.PCG64(seed))
    total = np.zeros((_TILE, _TILE), np.float32)
    cells, weight = coarsest, 1.0
    while cells <= _TILE // 2:
        grid = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 2, mode='wrap')
        zoom = _TILE // cells
        large = cv2.resize(grid, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        total += (
            np.float32(weight) * large[2 * zoom : 2 * zoom + _TILE, 2 * zoom : 2 * zoom + _TILE]
        )
        cells, weight = cells * 2, weight * 0.6
    total -= total.mean()
    return np.clip(total / (2.2 * total.std()), -1.4, 1.4).astype(np.float32)


def _bilinear(image: Floats, x: Floats, y: Floats, wrap: bool) -> Floats:
    rows, cols = image.shape[:2]
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    ix, iy = x0.astype(np.int64), y0.astype(np.int64)
    if wrap:
        left, right, top, bottom = ix % cols, (ix + 1) % cols, iy % rows, (iy + 1) % rows
    else:
        left, right = np.clip(ix, 0, cols - 1), np.clip(ix + 1, 0, cols - 1)
        top, bottom = np.clip(iy, 0, rows - 1), np.clip(iy + 1, 0, rows - 1)
    if image.ndim == 3:
        fx, fy = fx[:, None], fy[:, None]
    upper = image[top, left] * (1 - fx) + image[top, right] * fx
    lower = image[bottom, left] * (1 - fx) + image[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def sample_noise(x: Floats, y: Floats, texels_per_unit: float, seed: int = 1) -> Floats:
    """Return (n,) noise in about -1..1 at the coordinates `x`, `y`."""
    scale = np.float32(texels_per_unit)
    return _bilinear(noise_tile(seed), x * scale + 64 * seed, y * scale, True)


def sample_picture(image: Floats, x: Floats, y: Floats) -> Floats:
    """Sample a (rows, cols, 3) picture at pixel coordinates, its border repeated outward."""
    return _bilinear(image, x - np.float32(0.5), y - np.float32(0.5), False)


def jittered(
    rng: np.random.Generator, hue: float, saturation: float, value: float, spread: float = 1.0
) -> Floats:
    """Return a BGR color in 0..1 near an HSV color, all in 0..1."""
    h = (hue + rng.normal(0, 0.012) * spread) % 1.0
    s = float(np.clip(saturation + rng.normal(0, 0.08) * spread, 0.0, 1.0))
    v = float(np.clip(value + rng.normal(0, 0.09) * spread, 0.05, 0.97))
    return np.array(colorsys.hsv_to_rgb(h, s, v)[::-1], np.float32)


def between(x: Floats, low: float, high: float, soft: float = 0.004) -> Floats:
    """Return 1 where `low` < `x` < `high` and 0 elsewhere, with edges `soft` wide."""
    return (np.clip((x - low) / soft + 0.5, 0, 1) * np.clip((high - x) / soft + 0.5, 0, 1)).astype(
        np.float32
    )


def grime(color: Floats, points: Floats, amount: float, seed: int = 1) -> Floats:
    """Darken and brighten (n, 3) colors in patches, as use and dust do."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    patch = sample_noise(x + np.float32(0.7) * z, y - np.float32(0.6) * z, 260.0, seed)
    fine = sample_noise(x - z, y + z, 900.0, seed + 1)
    return color * (1 + np.float32(amount) * (0.7 * patch + 0.4 * fine))[:, None]


def plain(color: Floats, wear: float = 0.1, seed: int = 1) -> Paint:
    """Return a paint of one color with some wear."""

    def paint(points: Floats, _normals: Floats) -> Floats:
        return grime(np.broadcast_to(color, points.shape), points, wear, seed)

    return paint


def streaks(color: Floats, along: int, seed: int, contrast: float = 0.2) -> Paint:
    """Return a wood-like paint: grain along the axis `along` (0, 1 or 2)."""
    across: Sequence[int] = [axis for axis in range(3) if axis != along]

    def paint(points: Floats, _normals: Floats) -> Floats:
        wide = points[:, across[0]] + points[:, across[1]]
        grain = sample_noise(wide, points[:, along] * np.float32(0.05), 1100.0, seed)
        knots = sample_noise(wide, points[:, along], 150.0, seed + 1)
        shade = 1 + np.float32(contrast) * (0.7 * grain + 0.6 * knots)
        return color * shade[:, None]

    return paint
