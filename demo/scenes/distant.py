# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Large pictures with many small objects, as a camera on a mast sees them."""

import numpy as np

from .backdrop import draw_backdrop, Place, plan_place
from .camera import Camera
from .effects import photograph
from .objects import build_object, CLASS_NAMES
from .render import trace_layer
from .scene import (
    _behind_first,
    _compose,
    _moved,
    _Plan,
    _plan_light,
    _remove_unclear,
    find_visible_objects,
    Scene,
)
from .solids import Solid

__all__ = ['render_distant_scene']


def _plan_distant(
    seed: int, size: tuple[int, int], objects: int, sides_px: tuple[int, int]
) -> _Plan:
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    focal = rng.uniform(0.8, 1.0) * max(size)
    # The mast is as high as lets objects of such sizes fill the picture.
    height = float(rng.uniform(0.3, 0.4)) * focal / sides_px[1]
    camera = Camera.looking(
        size, focal, height, float(rng.uniform(0.3, 0.36)), float(rng.normal(0, 0.01))
    )
    place = Place(plan_place(rng).floor, indoor=False, wall_m=np.inf, wall_yaw=0.0)
    placed: list[Solid] = []
    for _ in range(40 * objects):
        if len(placed) == objects:
            break
        solid = build_object(int(rng.integers(len(CLASS_NAMES))), rng)
        corners = solid.corners()
        extent = float((corners.max(axis=0) - corners.min(axis=0)).max())
        side = np.exp(rng.uniform(*np.log(sides_px)))
        range_m = focal * extent / side
        if range_m <= height:
            continue
        y = float(np.sqrt(range_m**2 - height**2))
        x = float(rng.uniform(-0.48, 0.48)) * size[0] / focal * range_m
        moved = _moved(solid, x, y)
        pixels, _ = camera.project(moved.corners())
        if (pixels < 4).any() or (pixels > np.array(size) - 4).any():
            continue
        if all(np.hypot(*(moved.position - other.position)[:2]) > 1.5 for other in placed):
            placed.append(moved)
    return _Plan(camera, _plan_light(False, rng), place, tuple(placed))


def render_distant_scene(
    seed: int,
    size: tuple[int, int] = (3840, 2160),
    objects: int = 60,
    sides_px: tuple[int, int] = (12, 40),
) -> Scene:
    """
    Draw a field with distant objects.

    :param seed: any non-negative integer; the same one gives the same scene.
    :param size: width and height in pixels.
    :param objects: number of objects to place; some are hidden or too small, and removed.
    :param sides_px: shortest and longest side of their boxes in pixels.
    """
    plan = _plan_distant(seed, size, objects, sides_px)
    traced = [(s, trace_layer(s, plan.camera, plan.light)) for s in _behind_first(plan)]
    layers = [(s, layer) for s, layer in traced if layer is not None]
    _remove_unclear(layers, size, sides_px)
    backdrop = draw_backdrop(
        plan.camera, plan.place, np.random.Generator(np.random.PCG64([seed, 2]))
    )
    image = _compose(backdrop, plan, layers)
    pixels = photograph(image, np.random.Generator(np.random.PCG64([seed, 3])))
    return Scene(pixels, tuple(thing for _, thing in find_visible_objects(layers, size)))
