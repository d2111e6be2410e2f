# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Pinhole camera with lens distortion, from a CameraInfo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ImageError

__all__ = ['CameraModel']

Floats = npt.NDArray[np.float64]

# Number of coefficients that OpenCV takes for each model.
_COEFFICIENTS = {
    'plumb_bob': (4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
    'fisheye': (4,),
}
_FISHEYE = ('equidistant', 'fisheye')
# Undistortion iterates; a point beyond the edge of the lens model has no solution.
_ITERATIONS = 30
_STEP = 1e-6
_ENOUGH_PX = 1e-4
_MAX_ERROR_PX = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """
    Camera of one image.

    :param width: pixels in a row.
    :param height: rows.
    :param matrix: (3, 3) focal lengths and principal point in pixels; integers are the centers of
        pixels.
    :param distortion: coefficients of OpenCV; empty for a rectified image.
    :param is_fisheye: they are those of the equidistant model.
    :param offset_xy: fourth column of P: what the camera's origin is shifted by, times the focal
        length.
    """

    width: int
    height: int
    matrix: Floats
    distortion: Floats
    is_fisheye: bool = False
    offset_xy: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def from_message(cls, message: Any, *, rectified: bool) -> CameraModel:
        """
        Read a sensor_msgs/CameraInfo.

        :param rectified: the image is rectified, so that P holds, otherwise K and D.
        :raises ImageError: if the camera is not calibrated, or its model is unknown.
        """
        if rectified:
            full = np.asarray(message.p, float).reshape(3, 4)
            name, distortion, is_fisheye = 'P', np.empty(0), False
            offset = (float(full[0, 3]), float(full[1, 3]))
        else:
            full = np.asarray(message.k, float).reshape(3, 3)
            name, offset = 'K', (0.0, 0.0)
            distortion, is_fisheye = _read_distortion(message)
        matrix = full[:3, :3].copy()
        if not np.isfinite(full).all() or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise ImageError(
                f'{name} of the CameraInfo has the focal lengths {matrix[0, 0]:g} and '
                f'{matrix[1, 1]:g}; expected positive numbers: the camera is not calibrated'
                + (', or set rectified to false' if rectified else '')
            )
        # K and P are those of the full sensor; the image is a part of it, and binned.
        bin_x, bin_y = max(message.binning_x, 1), max(message.binning_y, 1)
        roi = message.roi
        width, height = roi.width or message.width, roi.height or message.height
        if width < bin_x or height < bin_y:
            raise ImageError(
                f'CameraInfo has the size {message.width}x{message.height}; expected that of the '
                'image: the driver must set width and height'
            )
        # Integers are the centers of pixels, so that edges of the sensor are at -0.5.
        matrix[0, 2] = (matrix[0, 2] - roi.x_offset + 0.5) / bin_x - 0.5
        matrix[1, 2] = (matrix[1, 2] - roi.y_offset + 0.5) / bin_y - 0.5
        matrix[0, :2] /= bin_x
        matrix[1, :2] /= bin_y
        offset = (offset[0] / bin_x, offset[1] / bin_y)
        return cls(width // bin_x, height // bin_y, matrix, distortion, is_fisheye, offset)

    def rays(self, points_xy: Floats) -> Floats:
        """
        Find the directions in which points of the image lie.

        :param points_xy: (n, 2) pixels; integers are the centers of pixels.
        :return: (n, 2) x and y at the depth 1; NaN for a point beyond the edge of the lens model.
        """
        if not len(points_xy):
            return np.empty((0, 2))
        if not self.distortion.any():
            # P of a rectified image has no skew, K of a raw one practically none.
            center, focal = self.matrix[:2, 2], self.matrix[[0, 1], [0, 1]]
            return np.asarray((points_xy - center) / focal)
        return self._undistort(np.asarray(points_xy, float))

    @property
    def origin_xy(self) -> Floats:
        """Add these (2,) meters to x and y: the right camera of a stereo pair has its P so."""
        return -np.asarray(self.offset_xy) / self.matrix[[0, 1], [0, 1]]

    def _undistort(self, points_xy: Floats) -> Floats:
        """Invert the projection by Newton's method, which every release of OpenCV can do."""
        pinhole = (points_xy - self.matrix[:2, 2]) / self.matrix[[0, 1], [0, 1]]
        rays = pinhole.copy()
        with np.errstate(all='ignore'):
            for _ in range(_ITERATIONS):
                error, jacobian, determinant = self._linearize(rays, points_xy)
                if np.abs(error).max() < _ENOUGH_PX:
                    break
                (a, b), (c, d) = jacobian
                x, y = error.T
                rays -= np.column_stack([d * x - b * y, a * y - c * x]) / determinant[:, None]
            error, _, determinant = self._linearize(rays, points_xy)
            is_found = np.abs(error).max(axis=1) <= _MAX_ERROR_PX
            # Beyond its edge the lens model folds back, and the solution is another direction.
            is_found &= (determinant > 0) & ((rays * pinhole).sum(axis=1) >= 0)
        rays[~is_found] = np.nan
        return rays

    def _linearize(self, rays: Floats, points_xy: Floats) -> tuple[Floats, Floats, Floats]:
        """
        Linearize the projection.

        :param rays: (n, 2).
        :return: error (n, 2) in pixels, Jacobian (2, 2, n) of the pixel by the ray, and its
            determinant (n,).
        """
        here = self._project(rays)
        steps = _STEP * np.eye(2)
        columns = [(self._project(rays + step) - here) / _STEP for step in steps]
        jacobian = np.stack(columns, axis=2).transpose(1, 2, 0)
        determinant = jacobian[0, 0] * jacobian[1, 1] - jacobian[0, 1] * jacobian[1, 0]
        return here - points_xy, jacobian, determinant

    def _project(self, rays: Floats) -> Floats:
        """Project directions (n, 2) to pixels (n, 2)."""
        points = np.column_stack([rays, np.ones(len(rays))]).reshape(-1, 1, 3)
        project: Any = cv2.fisheye.projectPoints if self.is_fisheye else cv2.projectPoints
        pixels, _ = project(points, np.zeros(3), np.zeros(3), self.matrix, self.distortion)
        return np.asarray(pixels, float).reshape(-1, 2)


def _read_distortion(message: Any) -> tuple[Floats, bool]:
    """
    Read the distortion coefficients, and tell whether they are those of a fisheye lens.

    :raises ImageError: if the model or the number of coefficients is unknown.
    """
    coefficients = np.asarray(message.d, float)
    name = message.distortion_model
    if not coefficients.any():
        return np.empty(0), False
    if not np.isfinite(coefficients).all():
        raise ImageError('D of the CameraInfo is not finite: calibrate the camera again')
    if name not in _COEFFICIENTS or len(coefficients) not in _COEFFICIENTS[name]:
        raise ImageError(
            f'CameraInfo has the distortion_model {name!r} with {len(coefficients)} coefficients; '
            f'expected one of {", ".join(_COEFFICIENTS)}: use rectified images and set rectified '
            'to true'
        )
    return coefficients, name in _FISHEYE
