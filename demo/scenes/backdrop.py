# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Background of a scene: ground, walls, sky, markings, pools of light."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from .camera import Camera, Floats, Region
from .ground import make_floor, make_wall, mip_chain, WALLS
from .paint import jittered, noise_tile

__all__ = ['Backdrop', 'draw_backdrop', 'Place', 'plan_place']

_INDOOR = ('concrete', 'tiles', 'epoxy', 'planks', 'concrete', 'epoxy')
_OUTDOOR = ('asphalt', 'grass', 'gravel', 'brick', 'asphalt')


@dataclass(frozen=True, slots=True)
class Place:
    """The kind of place; `wall_m` is the distance of the wall, or infinity outdoors."""

    floor: str
    indoor: bool
    wall_m: float
    wall_yaw: float


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The empty place as (height, width, 3) BGR in 0..1, and where the ground is visible."""

    color: Floats
    ground: Floats


def plan_place(rng: np.random.Generator) -> Place:
    """Draw indoors or outdoors, the floor and the wall."""
    indoor = bool(rng.random() < 0.6)
    floor = str(rng.choice(_INDOOR if indoor else _OUTDOOR))
    far = rng.uniform(6, 16) if indoor or rng.random() < 0.35 else np.inf
    return Place(floor, indoor, float(far), float(rng.normal(0, 0.22)))


def _covered(chain: list[Floats], u: Floats, v: Floats, level: Floats) -> Floats:
    """
    Look a tile up with the level of detail of each row.

    :param u: (rows, cols) in tiles; `v` likewise.
    :param level: (rows,) levels of `chain`, fractional.
    """
    out = np.empty((*u.shape, 3), np.float32)
    level = np.clip(level, 0, len(chain) - 1.001)
    whole = np.floor(level).astype(int)
    edges = [0, *(np.flatnonzero(np.diff(whole)) + 1).tolist(), len(level)]
    for start, end in pairwise(edges):
        if start == end:
            continue
        rows = slice(start, end)
        looked = []
        for step in (0, 1):
            tile = chain[whole[start] + step]
            side = np.float32(tile.shape[0])
            x = (u[rows] - np.floor(u[rows])) * side - np.float32(0.5)
            y = (v[rows] - np.floor(v[rows])) * side - np.float32(0.5)
            looked.append(cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))
        part = (level[rows] - whole[start]).astype(np.float32)[:, None, None]
        out[rows] = looked[0] + (looked[1] - looked[0]) * part
    return out


def _detail(texels_per_m: float, meters_per_px: Floats) -> Floats:
    return np.log2(np.maximum(texels_per_m * meters_per_px, 1e-3)).astype(np.float32)


def _markings(camera: Camera, rng: np.random.Generator) -> Floats:
    """Return a (height, width) mask of lines painted on the ground."""
    mask = np.zeros((camera.height, camera.width), np.uint8)
    for _ in range(rng.integers(1, 4)):
        angle, width = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.25), rng.uniform(0.05, 0.12)
        offset = rng.uniform(-3, 3) + (5 if abs(np.cos(angle)) > 0.7 else 0)
        along = np.array([np.cos(angle), np.sin(angle)])
        side = np.array([-along[1], along[0]])
        dash = rng.uniform(0.6, 1.5) if rng.random() < 0.3 else 0.5
        for start in np.arange(-12, 20, 0.5 if dash == 0.5 else 2 * dash):
            corners = [
                along * a + side * b
                for a, b in (
                    (start, offset),
                    (start + dash, offset),
                    (start + dash, offset + width),
                    (start, offset + width),
                )
            ]
            points = np.array([[*corner, 0] for corner in corners], np.float32)
            pixels, depth = camera.project(points)
            if depth.min() > 0.3:
                cv2.fillPoly(mask, [np.round(pixels * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _wall_canvas(rng: np.random.Generator) -> tuple[Floats, float]:
    """Return a wall of 24 m by 6 m as (384, 1536, 3) BGR and its texels per metre."""
    density = 64
    tile, side = make_wall(str(rng.choice(list(WALLS))), rng)
    small = cv2.resize(tile, (int(side * density),) * 2, interpolation=cv2.INTER_AREA)
    repeat = (6 * density // small.shape[0] + 1, 24 * density // small.shape[1] + 1, 1)
    wall = np.tile(small, repeat)[: 6 * density, : 24 * density].copy()
    if rng.random() < 0.4:
        top = int((6 - rng.uniform(0.8, 1.4)) * density)
        wall[top:] = wall[top:] * 0.3 + jittered(rng, rng.random(), 0.3, 0.4) * 0.7
    for _ in range(rng.integers(4, 14)):
        _wall_item(wall, density, rng)
    for _ in range(rng.integers(0, 3)):
        y = int(rng.uniform(0.5, 4.5) * density)
        thick = int(rng.integers(3, 9))
        tone = jittered(rng, rng.choice([0.6, 0.01, 0.1]), rng.choice([0.05, 0.5]), 0.5)
        for row in range(thick):
            wall[y + row] = tone * (0.7 + 0.5 * np.sin(np.pi * (row + 0.5) / thick))
    wall *= np.linspace(1.12, 0.85, wall.shape[0], dtype=np.float32)[:, None, None]
    return wall, float(density)


def _wall_item(wall: Floats, density: int, rng: np.random.Generator) -> None:
    """Paint a window, a door, a poster or a lamp onto a wall."""
    x = rng.uniform(0, 23)
    kind = rng.choice(4, p=[0.25, 0.15, 0.45, 0.15])
    low, high, wide = (
        (1.2, rng.uniform(2.2, 3.5), rng.uniform(0.8, 2.0)),
        (0.0, rng.uniform(2.0, 3.2), rng.uniform(0.9, 2.6)),
        (rng.uniform(0.9, 2.0), 0.0, rng.uniform(0.3, 1.1)),
        (rng.uniform(2.5, 4), 0.0, rng.uniform(0.6, 1.4)),
    )[kind]
    high = high or low + (rng.uniform(0.3, 0.9) if kind == 2 else 0.14)
    top, bottom = int((6 - high) * density), int((6 - low) * density)
    left, right = int(x * density), int((x + wide) * density)
    saturation, value = ((0.25, 0.85), (0.25, 0.45), (0.45, 0.7), (0.03, 0.97))[kind]
    color = jittered(rng, rng.random() if kind != 0 else 0.57, saturation, value)
    rim = color * np.float32(0.55)
    cv2.rectangle(wall, (left - 3, top - 3), (right + 3, bottom + 3), rim.tolist(), -1)
    cv2.rectangle(wall, (left, top), (right, bottom), color.tolist(), -1)
    if kind == 0:
        for part in (1, 2):
            column = left + (right - left) * part // 3
            cv2.line(wall, (column, top), (column, bottom), rim.tolist(), 2)
    elif kind == 2:
        for row in range(top + 5, bottom - 4, 6):
            end = int(rng.uniform(left + 8, right - 2))
            cv2.line(wall, (left + 4, row), (end, row), rim.tolist(), 2)


def _sky(camera: Camera, rng: np.random.Generator, rays: Floats) -> Floats:
    """Return sky over a far line of trees or buildings, for every pixel."""
    up = rays[2] / np.maximum(rays[1], np.float32(0.1))
    zenith, haze = jittered(rng, 0.58, 0.35, 0.8), jittered(rng, 0.57, 0.07, 0.88)
    mix = np.clip(up * 2.2, 0, 1)[..., None]
    cloud = noise_tile(2)
    side = rays[0] / np.maximum(rays[1], np.float32(0.1))
    over = cv2.remap(
        cloud,
        (side * 200 % 511).astype(np.float32),
        (up * 420 % 511).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    sky = haze * (1 - mix) + zenith * mix + np.clip(over, 0, 1)[..., None] * 0.16
    ridge = noise_tile(3 if rng.random() < 0.5 else 4)[int(rng.integers(512))]
    if rng.random() < 0.4:
        ridge = np.repeat(ridge[::24], 24)[:512]
    bearing = np.clip((side * 0.5 + 0.5) * 511, 0, 511).astype(np.int64)
    height = np.float32(rng.uniform(0.03, 0.08)) * (1 + 0.6 * ridge[bearing])
    solid = np.clip((height - up) * camera.focal_px + 0.5, 0, 1)[..., None]
    tone = jittered(rng, rng.choice([0.28, 0.6, 0.1]), 0.25, 0.38) * (1 + 0.25 * over[..., None])
    return np.clip(sky * (1 - solid) + tone * solid, 0, 1).astype(np.float32)


def _floor(camera: Camera, place: Place, rng: np.random.Generator, x: Floats, y: Floats) -> Floats:
    """Return the colors of the ground at (rows, cols) world coordinates."""
    tile, side = make_floor(place.floor, rng)
    chain = mip_chain(tile)
    height = camera.position[2]
    far = np.maximum(y[:, camera.width // 2] - camera.position[1], np.float32(0.1))
    per_px = np.sqrt(far**3 / height) / camera.focal_px
    turn = rng.uniform(0, np.pi) if place.floor in ('grass', 'gravel') else rng.normal(0, 0.15)
    cos, sin = np.float32(np.cos(turn) / side), np.float32(np.sin(turn) / side)
    out = _covered(chain, x * cos + y * sin, y * cos - x * sin, _detail(512 / side, per_px))
    stains = mip_chain(np.repeat(noise_tile(2)[..., None], 3, 2))
    blotch = _covered(stains, x / 9 + np.float32(rng.random()), y / 9, _detail(57, per_px))
    out *= 1 + np.float32(rng.uniform(0.06, 0.18)) * blotch
    if place.floor in ('concrete', 'epoxy', 'asphalt', 'tiles') and rng.random() < 0.6:
        mask = _markings(camera, rng) * np.clip(0.8 + 0.35 * blotch[..., 0], 0, 1)
        paint = jittered(rng, rng.choice([0.14, 0.14, 0.6, 0.99]), rng.choice([0.05, 0.8]), 0.85)
        out += (paint - out) * (mask * np.float32(rng.uniform(0.5, 0.9)))[..., None]
    for _ in range(rng.integers(1, 4)):
        at_x, at_y, wide = rng.uniform(-5, 5), rng.uniform(2, 12), rng.uniform(1.5, 4)
        glow = np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / np.float32(2 * wide**2))
        out *= 1 + np.float32(rng.uniform(-0.22, 0.28)) * glow[..., None]
    if np.isfinite(place.wall_m):
        gap = np.abs(place.wall_m + np.float32(np.tan(place.wall_yaw)) * x - y)
        out *= (1 - 0.45 * np.exp(-gap / np.float32(0.35)))[..., None]
    return np.clip(out, 0, 1)


def draw_backdrop(camera: Camera, place: Place, rng: np.random.Generator) -> Backdrop:
    """Draw the empty place as `camera` sees it."""
    rays = camera.rays(Region(0, 0, camera.width, camera.height), camera.height, camera.width)
    start_x, start_y, height = camera.position
    down = np.minimum(rays[2], np.float32(-1e-4))
    reach = np.minimum(-height / down, np.float32(400))
    color = _floor(camera, place, rng, start_x + rays[0] * reach, start_y + rays[1] * reach)
    wall_t = np.full(reach.shape, np.inf, np.float32)
    if np.isfinite(place.wall_m):
        slope = np.float32(np.tan(place.wall_yaw))
        closing = np.maximum(rays[1] - slope * rays[0], np.float32(1e-3))
        distance = np.float32(place.wall_m) + slope * start_x - start_y
        wall_t = np.minimum(distance / closing, np.float32(400))
    ground_t = np.where(rays[2] < -1e-4, reach, np.float32(1e6))
    edge = np.clip((rays[2] + 0.5 / camera.focal_px) * camera.focal_px, 0, 1)
    above = wall_t if np.isfinite(place.wall_m) else np.where(edge > 0, 1, np.inf)
    if np.isfinite(place.wall_m):
        canvas, density = _wall_canvas(rng)
        u = (start_x + rays[0] * above + 12) * np.float32(density)
        v = (6 - height - rays[2] * above) * np.float32(density)
        behind = cv2.remap(
            cv2.GaussianBlur(canvas, (0, 0), 0.8),
            u % canvas.shape[1],
            v,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        edge = np.clip((ground_t - wall_t) * 200 / place.wall_m + 0.5, 0, 1)
    else:
        behind = _sky(camera, rng, rays)
    behind = behind * edge[..., None]
    color = color * (1 - edge)[..., None] + behind
    return Backdrop(color.astype(np.float32), (edge < 0.5).astype(np.float32))
