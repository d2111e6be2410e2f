# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Trace solids to layers of color and coverage, and their shadows onto the ground."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import Camera, Floats, Region
from .solids import Solid

__all__ = ['cast_shadow', 'covered_area', 'Layer', 'Light', 'trace_depth', 'trace_layer']

_MISS = np.float32(1e8)


@dataclass(frozen=True, slots=True)
class Light:
    """Light from one direction (3,) unit vector toward it, and from everywhere."""

    direction: Floats
    ambient: float
    strength: float
    softness: float


@dataclass(frozen=True, slots=True)
class Layer:
    """
    A solid as the camera sees it alone.

    :param region: the part of the picture that it may touch.
    :param color: (h, w, 3) float32 BGR, already multiplied by the coverage.
    :param alpha: (h, w) float32 coverage, 0..1.
    :param full_area: pixels that it would cover with nothing in front and no picture border.
    """

    region: Region
    color: Floats
    alpha: Floats
    full_area: float


def _region_of(solid: Solid, camera: Camera, points: Floats | None = None) -> Region:
    pixels, _ = camera.project(solid.corners() if points is None else points)
    low, high = np.floor(pixels.min(0)) - 1, np.ceil(pixels.max(0)) + 1
    low, high = np.clip(low, -20000, 20000), np.clip(high, -20000, 20000)
    return Region(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _grid_window(
    part_corners: Floats, camera: Camera, region: Region, shape: tuple[int, ...]
) -> tuple[slice, slice] | None:
    """Return the rows and columns of the grid that the corners (8, 3) span."""
    pixels, depth = camera.project(part_corners)
    if depth.min() < 0.1:
        return slice(None), slice(None)
    scale = np.array([shape[1] / region.width, shape[0] / region.height])
    corner = np.array([region.left, region.top])
    low = np.clip(np.floor((pixels.min(0) - corner) * scale) - 1, 0, shape[::-1]).astype(int)
    high = np.clip(np.ceil((pixels.max(0) - corner) * scale) + 1, 0, shape[::-1]).astype(int)
    if (high <= low).any():
        return None
    return slice(low[1], high[1]), slice(low[0], high[0])


def _nearest(
    solid: Solid, camera: Camera, region: Region, shape: tuple[int, int]
) -> tuple[Floats, Floats, NDArray[np.int16]]:
    """Trace a grid over `region`; return local rays, first hits and the parts that are hit."""
    rays = camera.rays(region, *shape).reshape(3, -1)
    local = (solid.rotation.T @ rays).reshape(3, *shape)
    origin = solid.rotation.T @ (camera.position - solid.position)
    best = np.full(shape, _MISS, np.float32)
    which = np.full(shape, -1, np.int16)
    corners = solid.corners().reshape(len(solid.parts), 8, 3)
    for index, part in enumerate(solid.parts):
        window = _grid_window(corners[index], camera, region, shape)
        if window is None:
            continue
        t = part.shape.hit(origin, local[:, window[0], window[1]])
        closer = t < best[window]
        best[window] = np.where(closer, t, best[window])
        which[window][closer] = index
    return local, best, which


def covered_area(solid: Solid, camera: Camera) -> float:
    """Return the pixels that the solid alone would cover on an endless picture."""
    region = _region_of(solid, camera)
    rows, cols = min(region.height, 64), min(region.width, 64)
    if rows == 0 or cols == 0:
        return 0.0
    _, best, _ = _nearest(solid, camera, region, (rows, cols))
    return float((best < _MISS).mean() * region.width * region.height)


def trace_depth(solid: Solid, camera: Camera, region: Region) -> Floats:
    """Return (height, width) depths through pixel centers of a region, 1e8 beside the solid."""
    _, best, _ = _nearest(solid, camera, region, (region.height, region.width))
    return best


def _shade(
    solid: Solid, index: int, origin: Floats, rays: Floats, t: Floats, light: Light
) -> Floats:
    """Return (n, 3) lit colors where local `rays` (3, n) hit part `index` at `t`."""
    part = solid.parts[index]
    points = (origin[:, None] + rays * t).T.astype(np.float32)
    normals = part.shape.normals(points)
    facing = np.einsum('ij,ji->i', normals, rays)
    normals = np.where((facing > 0)[:, None], -normals, normals)
    color = part.paint(points, normals)
    toward = (solid.rotation.T @ light.direction).astype(np.float32)
    up = normals @ solid.rotation[2]
    lit = np.maximum(normals @ toward, 0)
    low = np.clip((points @ solid.rotation[2] + solid.position[2]) / np.float32(0.25), 0, 1)
    bounce = (0.72 + 0.28 * up) * (0.72 + 0.28 * low)
    out = color * (light.ambient * bounce + light.strength * lit)[:, None]
    if part.gloss > 0:
        view = -rays / np.linalg.norm(rays, axis=0)
        half = toward[:, None] + view
        half /= np.maximum(np.linalg.norm(half, axis=0), np.float32(1e-6))
        shine = np.maximum(np.einsum('ij,ji->i', normals, half), 0) ** 40
        rim = (1 - np.abs(np.einsum('ij,ji->i', normals, view))) ** 4
        out = out + np.float32(part.gloss) * (light.strength * shine + 0.12 * rim)[:, None]
    return np.minimum(out, 1.2).astype(np.float32)


def trace_layer(solid: Solid, camera: Camera, light: Light) -> Layer | None:
    """Trace a solid; None if no part of it can be in the picture."""
    whole = _region_of(solid, camera)
    region = whole.clip(camera.width, camera.height)
    area = region.width * region.height
    if area == 0:
        return None
    fine = 3 if area < 2500 else 2 if area < 50000 else 1
    shape = (region.height * fine, region.width * fine)
    rays, best, which = _nearest(solid, camera, region, shape)
    rays, best, which = rays.reshape(3, -1), best.reshape(-1), which.reshape(-1)
    origin = solid.rotation.T @ (camera.position - solid.position)
    image = np.zeros((len(best), 4), np.float32)
    for index in range(len(solid.parts)):
        at = np.flatnonzero(which == index)
        if len(at):
            image[at, :3] = _shade(solid, index, origin, rays[:, at], best[at], light)
            image[at, 3] = 1
    image = image.reshape(*shape, 4)
    if fine == 1:
        image = cv2.GaussianBlur(image, (3, 3), 0.5)
    else:
        image = cv2.resize(image, (region.width, region.height), interpolation=cv2.INTER_AREA)
    inside = whole == region
    full = float(image[..., 3].sum()) if inside else covered_area(solid, camera)
    return Layer(region, image[..., :3], image[..., 3], full)


def cast_shadow(shade: Floats, ground: Floats, solid: Solid, camera: Camera, light: Light) -> None:
    """
    Darken the ground where the solid hides the light, and under it.

    :param shade: (height, width) float32 factor on the ground's color, changed in place.
    :param ground: (height, width) float32, 1 where the ground is visible.
    """
    corners = solid.corners()
    drop = corners[:, 2:] / light.direction[2]
    fallen = corners - drop * light.direction
    near = camera.project(corners)[1].min() > 0.2
    region = _region_of(solid, camera, np.concatenate([corners, fallen]))
    size = max(
        4,
        int(
            solid.footprint
            * camera.focal_px
            / max(float(np.linalg.norm(solid.position - camera.position)), 0.3)
        ),
    )
    pad = size // 3 + 2
    region = Region(
        region.left - pad, region.top - pad, region.right + pad, region.bottom + pad
    ).clip(camera.width, camera.height)
    if not near or region.width < 2 or region.height < 2:
        return
    step = 2 if region.width * region.height > 20000 else 1
    rows, cols = max(1, region.height // step), max(1, region.width // step)
    rays = camera.rays(region, rows, cols)
    reach = -camera.position[2] / np.minimum(rays[2], np.float32(-1e-4))
    spots = camera.position[:, None, None] + rays * reach
    local = np.tensordot(solid.rotation.T, spots - solid.position[:, None, None], 1)
    toward = (solid.rotation.T @ light.direction).astype(np.float32)
    hidden = np.zeros((rows, cols), bool)
    for part in solid.parts:
        hidden |= part.shape.hit(local, toward) < _MISS
    flat = spots[:2] - solid.position[:2, None, None]
    distance = np.hypot(flat[0], flat[1]) / np.float32(solid.footprint)
    under = np.clip(1.35 - distance, 0, 1) * np.float32(0.5 if solid.position[2] < 0.3 else 0.1)
    blur = max(0.8, size * light.softness / step)
    soft = cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), blur)
    depth = light.strength / (light.strength + light.ambient)
    factor = (1 - np.float32(depth * 0.85) * soft) * (1 - under * under)
    factor = cv2.resize(factor, (region.width, region.height), interpolation=cv2.INTER_LINEAR)
    window = (slice(region.top, region.bottom), slice(region.left, region.right))
    shade[window] *= 1 - ground[window] * (1 - factor)
