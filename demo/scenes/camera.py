# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera of a scene; the world is x right, y forward, z up, in meters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['Camera', 'Floats', 'Region']

Floats = NDArray[Any]
"""An array of float32; NumPy's own types widen too readily to say so."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of pixels, right and bottom exclusive; it may reach outside the picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return max(0, self.right - self.left)

    @property
    def height(self) -> int:
        return max(0, self.bottom - self.top)

    def clip(self, width: int, height: int) -> 'Region':
        """Return the part inside a picture of `width` x `height` pixels."""
        left, top = min(max(self.left, 0), width), min(max(self.top, 0), height)
        right, bottom = min(max(self.right, left), width), min(max(self.bottom, top), height)
        return Region(left, top, right, bottom)


@dataclass(frozen=True, slots=True)
class Camera:
    """
    A pinhole camera without distortion.

    :param width: picture width in pixels.
    :param height: picture height in pixels.
    :param focal_px: focal length in pixels.
    :param position: (3,) place in the world in meters.
    :param rotation: (3, 3) rows are the camera's right, down and forward axes in the world.
    """

    width: int
    height: int
    focal_px: float
    position: Floats
    rotation: Floats

    @classmethod
    def looking(
        cls, size: tuple[int, int], focal_px: float, height_m: float, pitch: float, roll: float
    ) -> 'Camera':
        """Make a camera above the origin that looks along +y, `pitch` radians downward."""
        cos_p, sin_p = np.cos(pitch), np.sin(pitch)
        right = np.array([1.0, 0.0, 0.0])
        down = np.array([0.0, -sin_p, -cos_p])
        forward = np.array([0.0, cos_p, -sin_p])
        cos_r, sin_r = np.cos(roll), np.sin(roll)
        axes = [cos_r * right + sin_r * down, cos_r * down - sin_r * right, forward]
        position = np.array([0.0, 0.0, height_m], np.float32)
        return cls(size[0], size[1], focal_px, position, np.array(axes, np.float32))

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """
        Project world points.

        :param points: (n, 3) in meters.
        :return: (n, 2) pixel coordinates and (n,) depths in meters; points closer than 5 cm or
            behind the camera are projected as if 5 cm away.
        """
        local = (points - self.position) @ self.rotation.T
        depth = local[:, 2]
        scale = self.focal_px / np.maximum(depth, np.float32(0.05))
        center = np.array([self.width / 2, self.height / 2], np.float32)
        return local[:, :2] * scale[:, None] + center, depth

    def rays(self, region: Region, rows: int, cols: int) -> Floats:
        """
        Return world directions, of forward length 1, through a grid of points in `region`.

        :return: (3, rows, cols) float32; the grid's cells divide the region evenly.
        """
        step_x, step_y = region.width / cols, region.height / rows
        u = region.left + (np.arange(cols, dtype=np.float32) + 0.5) * step_x - self.width / 2
        v = region.top + (np.arange(rows, dtype=np.float32) + 0.5) * step_y - self.height / 2
        u, v = (u / self.focal_px).astype(np.float32), (v / self.focal_px).astype(np.float32)
        right, down, forward = self.rotation
        return (
            right[:, None, None] * u[None, None, :]
            + down[:, None, None] * v[None, :, None]
            + forward[:, None, None]
        )
