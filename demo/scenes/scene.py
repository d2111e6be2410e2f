# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Compose a scene from a seed: place, objects, light, camera, and the boxes that are visible."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .backdrop import Backdrop, draw_backdrop, Place, plan_place
from .camera import Camera, Floats
from .clutter import build_clutter, build_shelf
from .effects import photograph
from .objects import build_object, CLASS_NAMES
from .render import cast_shadow, Layer, Light, trace_layer
from .solids import Solid, turned

__all__ = [
    'MIN_SIDE_PX', 'MIN_VISIBLE', 'find_visible_objects', 'render_layers', 'render_scene', 'Scene',
    'SceneObject',
]  # fmt: skip

MIN_VISIBLE = 0.25
MIN_SIDE_PX = 12.0
"""Shortest side of a box in a picture 1280 pixels long; it grows with the picture."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """
    One visible object.

    :param bbox_xyxy: left, top, right, bottom in pixels, tight around its visible pixels;
        right and bottom are exclusive.
    :param visible_fraction: visible share of the area that it would cover if nothing were in
        front of it and the picture had no border, 0..1.
    """

    class_id: int
    class_name: str
    bbox_xyxy: tuple[int, int, int, int]
    visible_fraction: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture (height, width, 3) uint8 BGR and the objects in it, farthest first."""

    image_bgr: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    camera: Camera
    light: Light
    place: Place
    solids: tuple[Solid, ...]


def _plan_camera(size: tuple[int, int], rng: np.random.Generator) -> Camera:
    focal = rng.uniform(0.72, 1.15) * max(size)
    height = rng.uniform(0.55, 2.1)
    pitch = np.arctan2(height - 0.3, rng.uniform(3.5, 7.0)) + rng.normal(0, 0.035)
    return Camera.looking(size, focal, height, float(pitch), float(rng.normal(0, 0.012)))


def _plan_light(indoor: bool, rng: np.random.Generator) -> Light:
    bearing = rng.uniform(0, 2 * np.pi)
    rise = rng.uniform(0.75, 1.45) if indoor else rng.uniform(0.5, 1.3)
    direction = np.array(
        [np.cos(bearing) * np.cos(rise), np.sin(bearing) * np.cos(rise), np.sin(rise)], np.float32
    )
    strength = rng.uniform(0.25, 0.6) if indoor else rng.uniform(0.2, 0.95)
    soft = rng.uniform(0.06, 0.2) if indoor or strength < 0.5 else rng.uniform(0.015, 0.05)
    return Light(direction, float(1.1 - 0.62 * strength), float(strength), float(soft))


def _moved(solid: Solid, x: float, y: float, base: float = 0.0) -> Solid:
    """Return the solid at `x`, `y`, its lowest point on the height `base`."""
    lift = base - float(solid.corners()[:, 2].min())
    position = np.array([x, y, lift], np.float32)
    return Solid(solid.class_id, solid.parts, solid.footprint, position, solid.rotation)


def _spot(
    camera: Camera, place: Place, placed: list[Solid], footprint: float, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Draw a free place on the ground in view, often close to something else."""
    limit = min(place.wall_m - 1.0, 15.0)
    nearest = max(1.4, float(camera.position[2]) * 1.15)
    for _ in range(12):
        if placed and rng.random() < 0.45:
            other = placed[rng.integers(len(placed))]
            angle = rng.uniform(0, 2 * np.pi)
            apart = (other.footprint + footprint) * rng.uniform(1.02, 1.3)
            x = float(other.position[0]) + apart * np.cos(angle)
            y = float(other.position[1]) + apart * np.sin(angle)
        else:
            y = nearest * (max(limit, nearest + 1) / nearest) ** rng.random()
            half = 0.5 * camera.width / camera.focal_px * y
            x = rng.uniform(-1.03, 1.03) * half
        wall = place.wall_m + np.tan(place.wall_yaw) * x - 0.1
        if y - footprint < 1.1 or y + footprint * 1.05 > wall:
            continue
        if all(
            np.hypot(x - s.position[0], y - s.position[1]) > s.footprint + footprint
            for s in placed
        ):
            return x, y
    return None


def _stacked(below: Solid, rng: np.random.Generator) -> Solid | None:
    """Draw something that stands on a pallet or a crate."""
    choices = {4: (2, 2, 3, 0), 2: (2, 1, 0)}.get(below.class_id, ())
    if not choices or rng.random() < 0.6:
        return None
    solid = build_object(int(rng.choice(choices)), rng)
    if solid.footprint > below.footprint * 0.95:
        return None
    return _moved(solid, float(below.position[0]), float(below.position[1]), below.top() + 0.001)


def _plan(seed: int, size: tuple[int, int]) -> _Plan:
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    place = plan_place(rng)
    camera = _plan_camera(size, rng)
    light = _plan_light(place.indoor, rng)
    placed: list[Solid] = []
    upper: list[Solid] = []
    if np.isfinite(place.wall_m) and rng.random() < 0.4:
        shelf = build_shelf(rng)
        x = rng.uniform(-0.4, 0.4) * place.wall_m
        y = place.wall_m + np.tan(place.wall_yaw) * x - 0.5
        shelf = Solid(-1, shelf.parts, shelf.footprint, rotation=turned(float(place.wall_yaw)))
        placed.append(_moved(shelf, x, y))
    wanted = int(np.clip(rng.geometric(0.16), 1, 13))
    for index in range(wanted + int(rng.integers(0, 4))):
        solid = (
            build_object(int(rng.integers(len(CLASS_NAMES))), rng)
            if index < wanted
            else build_clutter(rng)
        )
        spot = _spot(camera, place, placed, solid.footprint, rng)
        if spot is None:
            continue
        placed.append(_moved(solid, *spot))
        above = _stacked(placed[-1], rng)
        if above is not None:
            upper.append(above)
    return _Plan(camera, light, place, tuple(placed + upper))


def _behind_first(plan: _Plan) -> list[Solid]:
    def key(solid: Solid) -> tuple[float, float]:
        flat = solid.position - plan.camera.position
        return -float(np.hypot(flat[0], flat[1])), float(solid.position[2])

    return sorted(plan.solids, key=key)


def _visible(layers: list[tuple[Solid, Layer]], size: tuple[int, int]) -> list[Floats]:
    """Return, for each layer, its (h, w) coverage that no later layer hides."""
    open_sky = np.ones((size[1], size[0]), np.float32)
    masks = []
    for _, layer in reversed(layers):
        window = _window(layer)
        masks.append(layer.alpha * open_sky[window])
        open_sky[window] *= 1 - layer.alpha
    return masks[::-1]


def _window(layer: Layer) -> tuple[slice, slice]:
    region = layer.region
    return slice(region.top, region.bottom), slice(region.left, region.right)


def _box(layer: Layer, mask: Floats) -> tuple[int, int, int, int] | None:
    rows = np.flatnonzero((mask >= 0.5).any(1))
    cols = np.flatnonzero((mask >= 0.5).any(0))
    if not len(rows):
        return None
    left, top = layer.region.left, layer.region.top
    return (
        left + int(cols[0]),
        top + int(rows[0]),
        left + int(cols[-1]) + 1,
        top + int(rows[-1]) + 1,
    )


def render_layers(seed: int, size: tuple[int, int]) -> tuple[_Plan, list[tuple[Solid, Layer]]]:
    """
    Trace the solids of a scene, farthest first.

    An object of which less than MIN_VISIBLE is visible, or whose box is shorter than
    MIN_SIDE_PX, is left out of the scene altogether: then nothing is drawn that a detector
    would have to guess about. What it hid becomes more visible, never less.
    """
    plan = _plan(seed, size)
    traced = [(s, trace_layer(s, plan.camera, plan.light)) for s in _behind_first(plan)]
    layers = [(s, layer) for s, layer in traced if layer is not None]
    shortest = MIN_SIDE_PX * max(size) / 1280
    _remove_unclear(layers, size, (shortest, np.inf))
    return plan, layers


def _remove_unclear(
    layers: list[tuple[Solid, Layer]], size: tuple[int, int], sides_px: tuple[float, float]
) -> None:
    """
    Remove the objects that are hidden or of the wrong size, the least visible first.

    :param layers: farthest first; changed in place.
    :param sides_px: shortest and longest permitted side of a box in pixels.
    """
    while True:
        worst, lowest = -1, MIN_VISIBLE
        for index, mask in enumerate(_visible(layers, size)):
            solid, layer = layers[index]
            box = _box(layer, mask)
            share = float(mask.sum()) / max(layer.full_area, 1.0)
            sides = (0, 0) if box is None else (box[2] - box[0], box[3] - box[1])
            if min(sides) < sides_px[0] or max(sides) > sides_px[1]:
                share = 0.0
            if solid.class_id >= 0 and share < lowest:
                worst, lowest = index, share
        if worst < 0:
            return
        del layers[worst]


def find_visible_objects(
    layers: list[tuple[Solid, Layer]], size: tuple[int, int]
) -> list[tuple[Solid, SceneObject]]:
    """Find the solids that are to be detected and visible, with their boxes, farthest first."""
    found = []
    for (solid, layer), mask in zip(layers, _visible(layers, size), strict=True):
        box = _box(layer, mask)
        if solid.class_id >= 0 and box is not None:
            share = min(1.0, float(mask.sum()) / max(layer.full_area, 1.0))
            name = CLASS_NAMES[solid.class_id]
            found.append((solid, SceneObject(solid.class_id, name, box, round(share, 4))))
    return found


def _compose(backdrop: Backdrop, plan: _Plan, layers: list[tuple[Solid, Layer]]) -> Floats:
    shade = np.ones(backdrop.ground.shape, np.float32)
    for solid, _ in layers:
        cast_shadow(shade, backdrop.ground, solid, plan.camera, plan.light)
    image = backdrop.color * shade[..., None]
    for _, layer in layers:
        window = _window(layer)
        image[window] = image[window] * (1 - layer.alpha)[..., None] + layer.color
    return image


def render_scene(seed: int, size: tuple[int, int] = (1280, 720)) -> Scene:
    """
    Draw the scene of a seed.

    :param seed: any non-negative integer; the same one gives the same scene.
    :param size: width and height in pixels; both change what the camera sees, not the place.
    """
    plan, layers = render_layers(seed, size)
    backdrop = draw_backdrop(
        plan.camera, plan.place, np.random.Generator(np.random.PCG64([seed, 2]))
    )
    image = _compose(backdrop, plan, layers)
    pixels = photograph(image, np.random.Generator(np.random.PCG64([seed, 3])))
    return Scene(pixels, tuple(thing for _, thing in find_visible_objects(layers, size)))
