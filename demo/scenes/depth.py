# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Depth image of a scene, with the true position and size of each object."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import Camera, Floats, Region
from .objects import CLASS_NAMES
from .render import trace_depth
from .scene import find_visible_objects, render_layers
from .solids import Solid

__all__ = ['DepthObject', 'DepthScene', 'render_depth']


@dataclass(frozen=True, slots=True)
class DepthObject:
    """
    One visible object.

    :param bbox_xyxy: left, top, right, bottom in pixels, as in the picture of the scene.
    :param visible_fraction: visible share of its area, 0..1.
    :param center_xyz: (3,) center in meters of the box around the whole object whose edges are
        parallel to the camera's axes x right, y down, z forward.
    :param size_xyz: (3,) edges of that box in meters.
    """

    class_name: str
    bbox_xyxy: tuple[int, int, int, int]
    visible_fraction: float
    center_xyz: NDArray[np.float64]
    size_xyz: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DepthScene:
    """
    Depth image of a scene.

    :param depth_m: (height, width) float32, depth along the camera's axis in meters through the
        center of each pixel, infinite in the sky.
    :param ids: (height, width) int16, index of the object that the pixel shows, -1 for others.
    :param focal_px: focal length in pixels; the principal point is the center of the picture.
    """

    depth_m: NDArray[np.float32]
    ids: NDArray[np.int16]
    focal_px: float
    objects: tuple[DepthObject, ...]


def render_depth(seed: int, size: tuple[int, int] = (640, 480)) -> DepthScene:
    """
    Trace one ray per pixel of the scene of a seed.

    :param seed: seed of the scene, as for render_scene.
    :param size: width and height in pixels.
    """
    plan, layers = render_layers(seed, size)
    camera = plan.camera
    whole = Region(0, 0, *size)
    rays = camera.rays(whole, size[1], size[0])
    depth = _trace_place(rays, camera, plan.place.wall_m, plan.place.wall_yaw)
    solids = {id(solid): number for number, (solid, _) in enumerate(layers)}
    owner = np.full(depth.shape, -1, np.int16)
    for solid, layer in layers:
        region = layer.region
        window = (slice(region.top, region.bottom), slice(region.left, region.right))
        hits = trace_depth(solid, camera, region)
        closer = hits < depth[window]
        depth[window] = np.where(closer, hits, depth[window])
        owner[window][closer] = solids[id(solid)]
    objects, ids = [], np.full(depth.shape, -1, np.int16)
    for solid, thing in find_visible_objects(layers, size):
        ids[owner == solids[id(solid)]] = len(objects)
        center, extent = _box_along_camera(solid, camera)
        objects.append(
            DepthObject(
                CLASS_NAMES[solid.class_id],
                thing.bbox_xyxy,
                thing.visible_fraction,
                center,
                extent,
            )
        )
    return DepthScene(depth, ids, camera.focal_px, tuple(objects))


def _trace_place(rays: Floats, camera: Camera, wall_m: float, wall_yaw: float) -> Floats:
    """Return (height, width) depths of the ground and the wall."""
    down = rays[2] < -1e-6
    ground = np.where(down, -camera.position[2] / np.where(down, rays[2], -1), np.inf)
    if not np.isfinite(wall_m):
        return ground.astype(np.float32)
    closing = rays[1] - np.float32(np.tan(wall_yaw)) * rays[0]
    wall = np.where(closing > 1e-6, wall_m / np.maximum(closing, 1e-6), np.inf)
    return np.minimum(ground, wall).astype(np.float32)


def _box_along_camera(solid: Solid, camera: Camera) -> tuple[Floats, Floats]:
    """Return center and edges of the box around a solid, along the camera's axes."""
    axes = np.asarray(camera.rotation, float)
    local = axes @ np.asarray(solid.rotation, float)
    high = np.array([max(part.shape.reach(axis) for part in solid.parts) for axis in local])
    low = np.array([-max(part.shape.reach(-axis) for part in solid.parts) for axis in local])
    offset = axes @ (np.asarray(solid.position, float) - np.asarray(camera.position, float))
    return (low + high) / 2 + offset, high - low
