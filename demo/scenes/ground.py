# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles that floors and walls are covered with: three photographs and painted materials."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from .camera import Floats
from .paint import jittered, noise_tile

__all__ = ['FLOORS', 'make_floor', 'make_wall', 'mip_chain', 'WALLS']

_SIZE = 512
_TEXTURES = Path(__file__).parent / 'textures'


@cache
def _photo(name: str) -> Floats:
    """Return a photograph (512, 512) as contrast around 1 that wraps at its borders."""
    path = _TEXTURES / f'{name}.png'
    gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if gray is None:
        raise FileNotFoundError(f'{path} is missing or no PNG: restore it with git checkout')
    image = gray.astype(np.float32) / 255
    ramp = np.clip(np.minimum(np.arange(_SIZE), np.arange(_SIZE)[::-1]) / 48, 0, 1)
    keep = (ramp[:, None] * ramp[None, :]).astype(np.float32)
    image = image * keep + np.roll(image, (_SIZE // 2, _SIZE // 2), (0, 1)) * (1 - keep)
    return image / image.mean()


def _tinted(contrast: Floats, color: Floats) -> Floats:
    return np.clip(contrast[..., None] * color, 0, 1).astype(np.float32)


def _cells(
    rng: np.random.Generator, rows: int, cols: int, gap: int, shift: bool, spread: float
) -> tuple[Floats, Floats]:
    """Return (512, 512) tone of each tile, around 1, and 0..1 where the joints are."""
    high, wide = _SIZE // rows, _SIZE // cols
    tone = np.repeat(np.repeat(1 + spread * rng.standard_normal((rows, cols)), high, 0), wide, 1)
    joint = np.zeros((rows * high, cols * wide))
    for row in range(rows):
        offset = wide // 2 if shift and row % 2 else 0
        band = slice(row * high, (row + 1) * high)
        tone[band] = np.roll(tone[band], offset, 1)
        joint[row * high : row * high + gap] = 1
        for col in range(cols):
            start = (col * wide + offset) % (cols * wide)
            joint[band, start : start + gap] = 1
    size = (_SIZE, _SIZE)
    return (
        cv2.resize(tone.astype(np.float32), size, interpolation=cv2.INTER_AREA),
        cv2.resize(joint.astype(np.float32), size, interpolation=cv2.INTER_AREA),
    )


def _concrete(rng: np.random.Generator) -> Floats:
    contrast = 1 + 0.1 * noise_tile(1) + 0.06 * noise_tile(2, 32)
    if rng.random() < 0.7:
        n = int(rng.integers(1, 3))
        _, joint = _cells(rng, n, n, 3, False, 0.0)
        contrast = contrast * (1 - 0.35 * joint)
    return _tinted(contrast, jittered(rng, 0.1, 0.05, rng.uniform(0.4, 0.7)))


def _tiles(rng: np.random.Generator) -> Floats:
    n = int(rng.choice([4, 6, 8]))
    tone, joint = _cells(rng, n, n, 5, False, 0.04)
    color = jittered(rng, rng.choice([0.08, 0.1, 0.6]), 0.1, rng.uniform(0.45, 0.8))
    tile = _tinted(tone * (1 + 0.05 * noise_tile(3, 16)), color)
    if rng.random() < 0.25:
        odd = (np.indices((_SIZE, _SIZE)) * n // _SIZE).sum(0) % 2
        tile = tile * (1 - 0.4 * odd[..., None]).astype(np.float32)
    joint = joint[..., None]
    return tile * (1 - joint) + joint * np.float32(rng.uniform(0.25, 0.6))


def _asphalt(rng: np.random.Generator) -> Floats:
    contrast = 1 + 0.22 * noise_tile(4, 128) + 0.12 * noise_tile(1)
    return _tinted(contrast, jittered(rng, 0.6, 0.04, rng.uniform(0.24, 0.42)))


def _grass(rng: np.random.Generator) -> Floats:
    contrast = np.clip(_photo('grass'), 0.1, 2.2)
    green = jittered(rng, 0.24, 0.52, 0.42)
    dry = jittered(rng, 0.15, 0.45, 0.5)
    mix = np.clip(0.35 + 0.5 * noise_tile(2), 0, 1)[..., None]
    return _tinted(contrast, 1.0) * (green * (1 - mix) + dry * mix)


def _gravel(rng: np.random.Generator) -> Floats:
    return _tinted(_photo('gravel'), jittered(rng, 0.09, 0.12, rng.uniform(0.4, 0.62)))


def _brick(rng: np.random.Generator) -> Floats:
    return _tinted(
        np.rot90(_photo('brick')),
        jittered(
            rng, rng.choice([0.03, 0.08, 0.1]), rng.choice([0.15, 0.45]), rng.uniform(0.45, 0.65)
        ),
    )


def _planks(rng: np.random.Generator) -> Floats:
    tone, joint = _cells(rng, 10, 2, 2, True, 0.09)
    grain = cv2.resize(noise_tile(5, 16)[:, :64], (_SIZE, _SIZE), interpolation=cv2.INTER_LINEAR)
    contrast = tone * (1 + 0.12 * grain) * (1 - 0.5 * joint)
    return _tinted(contrast, jittered(rng, 0.08, 0.4, rng.uniform(0.4, 0.7)))


def _epoxy(rng: np.random.Generator) -> Floats:
    contrast = 1 + 0.04 * noise_tile(5) + 0.02 * noise_tile(2, 64)
    return _tinted(
        contrast, jittered(rng, rng.choice([0.6, 0.38, 0.1]), 0.15, rng.uniform(0.4, 0.68))
    )


def _plaster(rng: np.random.Generator) -> Floats:
    contrast = 1 + 0.04 * noise_tile(3) + 0.03 * noise_tile(1, 64)
    return _tinted(
        contrast,
        jittered(
            rng, rng.choice([0.1, 0.15, 0.58]), rng.choice([0.03, 0.15]), rng.uniform(0.55, 0.85)
        ),
    )


def _corrugated(rng: np.random.Generator) -> Floats:
    wave = np.sin(np.arange(_SIZE) * (2 * np.pi * 16 / _SIZE))
    contrast = (1 + 0.16 * wave)[None, :] * (1 + 0.05 * noise_tile(2))
    return _tinted(contrast, jittered(rng, rng.choice([0.6, 0.3]), 0.1, rng.uniform(0.45, 0.75)))


def _blocks(rng: np.random.Generator) -> Floats:
    tone, joint = _cells(rng, 8, 4, 5, True, 0.05)
    contrast = tone * (1 + 0.07 * noise_tile(4, 32)) * (1 - 0.3 * joint)
    return _tinted(contrast, jittered(rng, 0.1, 0.05, rng.uniform(0.5, 0.8)))


_Maker = Callable[[np.random.Generator], Floats]
FLOORS: dict[str, tuple[_Maker, float]] = {
    'concrete': (_concrete, 4.0),
    'tiles': (_tiles, 2.4),
    'epoxy': (_epoxy, 4.0),
    'planks': (_planks, 1.8),
    'asphalt': (_asphalt, 2.0),
    'grass': (_grass, 1.6),
    'gravel': (_gravel, 1.3),
    'brick': (_brick, 1.5),
}
"""Materials for the ground and the meters that one tile of each covers."""
WALLS: dict[str, tuple[_Maker, float]] = {
    'plaster': (_plaster, 4.0),
    'corrugated': (_corrugated, 2.4),
    'blocks': (_blocks, 1.6),
    'brick': (_brick, 1.4),
}


def make_floor(kind: str, rng: np.random.Generator) -> tuple[Floats, float]:
    """Return a (512, 512, 3) BGR tile in 0..1 that wraps, and its side in meters."""
    maker, side = FLOORS[kind]
    return maker(rng), side


def make_wall(kind: str, rng: np.random.Generator) -> tuple[Floats, float]:
    """Return a (512, 512, 3) BGR tile in 0..1 that wraps, and its side in meters."""
    maker, side = WALLS[kind]
    return maker(rng), side


def mip_chain(tile: Floats, levels: int = 8) -> list[Floats]:
    """Return the tile and its halvings, each averaged over the pixels that it replaces."""
    chain = [tile]
    for _ in range(levels - 1):
        last = chain[-1]
        side = last.shape[0] // 2
        chain.append(cv2.resize(last, (side, side), interpolation=cv2.INTER_AREA))
    return chain
