# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Ray-traced primitives and the solids that are put together from them."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .camera import Floats
from .paint import Paint

__all__ = ['Box', 'Frustum', 'Part', 'Plate', 'Shape', 'Solid', 'Sphere', 'turned']

_FAR = np.float32(1e9)
_NEAR = np.float32(1e-3)


class Shape(Protocol):
    """A surface that rays can hit; coordinates are local to the solid, in meters."""

    def hit(self, origin: Floats, ray: Floats) -> Floats:
        """Return ray parameters of the first hits ahead, 1e9 where there is none."""
        ...

    def normals(self, points: Floats) -> Floats:
        """Return (n, 3) outward unit normals at (n, 3) surface points."""
        ...

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the (3,) low and high corners."""
        ...

    def reach(self, axis: Floats) -> float:
        """Return the largest coordinate of its points along a (3,) unit vector."""
        ...


def _nonzero(values: Floats) -> Floats:
    return values + np.float32(1e-9)


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box, by its center and half sizes (3,)."""

    center: tuple[float, float, float]
    half: tuple[float, float, float]

    def hit(self, origin: Floats, ray: Floats) -> Floats:
        enter, leave = -_FAR, _FAR
        for axis in range(3):
            inverse = 1 / _nonzero(ray[axis])
            middle = (np.float32(self.center[axis]) - origin[axis]) * inverse
            reach = np.abs(np.float32(self.half[axis]) * inverse)
            enter = np.maximum(enter, middle - reach)
            leave = np.minimum(leave, middle + reach)
        return np.where((leave >= enter) & (enter > _NEAR), enter, _FAR)

    def normals(self, points: Floats) -> Floats:
        local = (points - np.array(self.center, np.float32)) / np.array(self.half, np.float32)
        axis = np.argmax(np.abs(local), axis=1)
        rows = np.arange(len(points))
        normals = np.zeros_like(points)
        normals[rows, axis] = np.sign(local[rows, axis])
        return normals

    def bounds(self) -> tuple[Floats, Floats]:
        center, half = np.array(self.center, np.float32), np.array(self.half, np.float32)
        return center - half, center + half

    def reach(self, axis: Floats) -> float:
        return float(axis @ self.center + np.abs(axis) @ self.half)


@dataclass(frozen=True, slots=True)
class Sphere:
    """A sphere, by its center and radius."""

    center: tuple[float, float, float]
    radius: float

    def hit(self, origin: Floats, ray: Floats) -> Floats:
        to_x, to_y, to_z = (origin[i] - np.float32(self.center[i]) for i in range(3))
        a = ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2]
        b = to_x * ray[0] + to_y * ray[1] + to_z * ray[2]
        c = to_x * to_x + to_y * to_y + to_z * to_z - np.float32(self.radius**2)
        inside = b * b - a * c
        near = (-b - np.sqrt(np.maximum(inside, 0))) / a
        return np.where((inside > 0) & (near > _NEAR), near, _FAR)

    def normals(self, points: Floats) -> Floats:
        return (points - np.array(self.center, np.float32)) / np.float32(self.radius)

    def bounds(self) -> tuple[Floats, Floats]:
        center = np.array(self.center, np.float32)
        return center - np.float32(self.radius), center + np.float32(self.radius)

    def reach(self, axis: Floats) -> float:
        return float(axis @ self.center + self.radius)


@dataclass(frozen=True, slots=True)
class Frustum:
    """An upright round body with flat ends: radius `r0` at height `z0` to `r1` at `z1`."""

    z0: float
    z1: float
    r0: float
    r1: float
    x: float = 0.0
    y: float = 0.0

    def hit(self, origin: Floats, ray: Floats) -> Floats:
        slope = np.float32((self.r1 - self.r0) / (self.z1 - self.z0))
        ox, oy, oz = origin[0] - np.float32(self.x), origin[1] - np.float32(self.y), origin[2]
        base = np.float32(self.r0) + slope * (oz - np.float32(self.z0))
        grow = slope * ray[2]
        a = _nonzero(ray[0] * ray[0] + ray[1] * ray[1] - grow * grow)
        b = ox * ray[0] + oy * ray[1] - base * grow
        c = ox * ox + oy * oy - base * base
        inside = b * b - a * c
        root = np.sqrt(np.maximum(inside, 0))
        best = np.broadcast_to(_FAR, inside.shape)
        for candidate in ((-b - root) / a, (-b + root) / a):
            z = oz + candidate * ray[2]
            valid = (inside > 0) & (candidate > _NEAR) & (z >= self.z0) & (z <= self.z1)
            best = np.where(valid & (candidate < best), candidate, best)
        rise = _nonzero(ray[2])
        for level, radius in ((self.z0, self.r0), (self.z1, self.r1)):
            cap = (np.float32(level) - oz) / rise
            x, y = ox + cap * ray[0], oy + cap * ray[1]
            valid = (x * x + y * y <= np.float32(radius**2)) & (cap > _NEAR) & (cap < best)
            best = np.where(valid, cap, best)
        return best

    def normals(self, points: Floats) -> Floats:
        slope = (self.r1 - self.r0) / (self.z1 - self.z0)
        x, y = points[:, 0] - np.float32(self.x), points[:, 1] - np.float32(self.y)
        radius = np.maximum(np.hypot(x, y), np.float32(1e-6))
        side = np.stack([x / radius, y / radius, np.full_like(x, -slope)], 1)
        side /= np.float32(np.hypot(1, slope))
        margin = np.float32(2e-4)
        low, high = points[:, 2] < self.z0 + margin, points[:, 2] > self.z1 - margin
        inner = radius < self.r0 + slope * (points[:, 2] - self.z0) - margin
        cap = inner & (low | high)
        side[cap] = 0
        side[cap, 2] = np.where(high[cap], 1, -1)
        return side.astype(np.float32)

    def bounds(self) -> tuple[Floats, Floats]:
        radius = max(self.r0, self.r1)
        return (
            np.array([self.x - radius, self.y - radius, self.z0], np.float32),
            np.array([self.x + radius, self.y + radius, self.z1], np.float32),
        )

    def reach(self, axis: Floats) -> float:
        middle = axis[0] * self.x + axis[1] * self.y
        side = np.hypot(axis[0], axis[1])
        ends = ((self.z0, self.r0), (self.z1, self.r1))
        return float(max(middle + axis[2] * z + side * radius for z, radius in ends))


@dataclass(frozen=True, slots=True)
class Plate:
    """
    A thin upright plate in the plane y = `y`, its outline a regular or free convex polygon.

    :param outline: (k, 2) float32 corners x, z, counter-clockwise seen from -y.
    """

    y: float
    outline: Floats

    def hit(self, origin: Floats, ray: Floats) -> Floats:
        t = (np.float32(self.y) - origin[1]) / _nonzero(ray[1])
        x, z = origin[0] + t * ray[0], origin[2] + t * ray[2]
        inside = t > _NEAR
        for (x0, z0), (x1, z1) in zip(self.outline, np.roll(self.outline, -1, 0), strict=True):
            inside &= (x1 - x0) * (z - z0) - (z1 - z0) * (x - x0) >= 0
        return np.where(inside, t, _FAR)

    def normals(self, points: Floats) -> Floats:
        normals = np.zeros_like(points)
        normals[:, 1] = -1
        return normals

    def bounds(self) -> tuple[Floats, Floats]:
        low, high = self.outline.min(0), self.outline.max(0)
        return (
            np.array([low[0], self.y, low[1]], np.float32),
            np.array([high[0], self.y, high[1]], np.float32),
        )

    def reach(self, axis: Floats) -> float:
        return float((self.outline @ axis[[0, 2]]).max() + axis[1] * self.y)


@dataclass(frozen=True, slots=True)
class Part:
    """One primitive with its paint; `gloss` in 0..1 is the strength of the highlight."""

    shape: Shape
    paint: Paint
    gloss: float = 0.0


@dataclass(frozen=True, slots=True)
class Solid:
    """
    A thing of several parts placed in the world.

    :param class_id: index of its class, or -1 for clutter that is not to be detected.
    :param parts: the primitives, in local coordinates, standing on z = 0.
    :param position: (3,) world place of the local origin in meters.
    :param rotation: (3, 3) local to world.
    :param footprint: radius in meters of the circle that it needs on the ground.
    """

    class_id: int
    parts: tuple[Part, ...]
    footprint: float
    position: Floats = field(default_factory=lambda: np.zeros(3, np.float32))
    rotation: Floats = field(default_factory=lambda: np.eye(3, dtype=np.float32))

    def corners(self) -> Floats:
        """Return the (8 k, 3) world corners of the boxes around its parts."""
        corners = []
        for part in self.parts:
            low, high = part.shape.bounds()
            grid = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
            corners.append(grid)
        return (np.concatenate(corners) @ self.rotation.T + self.position).astype(np.float32)

    def top(self) -> float:
        """Return the height in meters of its highest point's bounding box."""
        return float(self.corners()[:, 2].max())


def turned(yaw: float, tilt: float = 0.0) -> Floats:
    """Return the rotation that tilts about x by `tilt`, then turns about z by `yaw` radians."""
    cos_t, sin_t, cos_y, sin_y = np.cos(tilt), np.sin(tilt), np.cos(yaw), np.sin(yaw)
    lean = np.array([[1, 0, 0], [0, cos_t, -sin_t], [0, sin_t, cos_t]])
    turn = np.array([[cos_y, -sin_y, 0], [sin_y, cos_y, 0], [0, 0, 1]])
    return (turn @ lean).astype(np.float32)
