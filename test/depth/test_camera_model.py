# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the directions that a camera looks in, against the projection written out here."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np
import pytest
from support.depth_messages import camera_info
from trt_detector.depth.camera_model import CameraModel
from trt_detector.errors import ImageError

WIDTH, HEIGHT, FOCAL_PX = 640, 480, 400.0
PLUMB_BOB = (-0.28, 0.09, 0.0006, -0.0008, -0.011)
RATIONAL = (0.2, -0.3, 0.0004, 0.0002, 0.05, 0.35, -0.25, 0.02)
FISHEYE = (-0.02, 0.005, -0.002, 0.0003)


def project_plumb_bob(x: float, y: float, d: Sequence[float]) -> tuple[float, float]:
    """Distort a direction as the documentation of OpenCV defines it."""
    k1, k2, p1, p2, k3, *more = d
    k4, k5, k6 = more or (0.0, 0.0, 0.0)
    r2 = x * x + y * y
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    distorted_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    distorted_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return distorted_x, distorted_y


def project_fisheye(x: float, y: float, d: Sequence[float]) -> tuple[float, float]:
    """Distort a direction as Kannala and Brandt define it."""
    r = math.hypot(x, y)
    theta = math.atan(r)
    bent = theta * (1 + sum(k * theta ** (2 * n) for n, k in enumerate(d, start=1)))
    scale = bent / r if r else 1.0
    return x * scale, y * scale


@pytest.mark.parametrize(
    ('model', 'coefficients', 'project'),
    [
        ('plumb_bob', (), project_plumb_bob),
        ('plumb_bob', PLUMB_BOB, project_plumb_bob),
        ('rational_polynomial', RATIONAL, project_plumb_bob),
        ('equidistant', FISHEYE, project_fisheye),
    ],
)
def test_rays_invert_the_projection(model: str, coefficients: tuple[float, ...], project) -> None:
    directions = [(x, y) for x in np.linspace(-0.6, 0.6, 7) for y in np.linspace(-0.45, 0.45, 7)]
    distorted = [project(x, y, coefficients or (0.0,) * 5) for x, y in directions]
    center = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    info = camera_info(WIDTH, HEIGHT, FOCAL_PX, coefficients, model)
    camera = CameraModel.from_message(info, rectified=False)
    found = camera.rays(np.array(distorted) * FOCAL_PX + center)
    np.testing.assert_allclose(found, directions, atol=1e-6)
    if coefficients:
        pinhole = np.array(distorted)
        assert np.abs(pinhole - directions).max() > 0.01, 'the lens has to matter'


def test_points_beyond_the_lens_model_have_no_ray() -> None:
    # This lens folds back: no direction is seen further out than 0.77.
    info = camera_info(WIDTH, HEIGHT, FOCAL_PX, (-0.25, 0.0, 0.0, 0.0, 0.0))
    camera = CameraModel.from_message(info, rectified=False)
    center = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    rays = camera.rays(center + np.array([[0.9 * FOCAL_PX, 0], [0.3 * FOCAL_PX, 0]]))
    assert np.isnan(rays[0]).all()
    assert np.isfinite(rays[1]).all()


def test_rectified_images_use_p_and_its_shift() -> None:
    info = camera_info(WIDTH, HEIGHT, FOCAL_PX, PLUMB_BOB)
    baseline_m = 0.12
    info.p = [300.0, 0, 310.0, -300.0 * baseline_m, 0, 320.0, 200.0, 0, 0, 0, 1, 0]
    camera = CameraModel.from_message(info, rectified=True)
    np.testing.assert_allclose(camera.rays(np.array([[340.0, 168.0]])), [[0.1, -0.1]])
    # A point at (x, y, z) is seen at u = (300 x + 310 z - 36) / z.
    point = np.array([0.5, -0.2, 2.0])
    u = (300 * point[0] + 310 * point[2] - 36) / point[2]
    v = (320 * point[1] + 200 * point[2]) / point[2]
    found = camera.rays(np.array([[u, v]]))[0] * point[2] + camera.origin_xy
    np.testing.assert_allclose(found, point[:2])


def test_region_and_binning_move_the_principal_point() -> None:
    info = camera_info(WIDTH, HEIGHT, FOCAL_PX)
    full = CameraModel.from_message(info, rectified=False)
    info.binning_x = info.binning_y = 2
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 40, 400, 300
    part = CameraModel.from_message(info, rectified=False)
    assert (part.width, part.height) == (200, 150)
    # Pixel 30 of the part covers the pixels 160 and 161 of the sensor: their common edge.
    np.testing.assert_allclose(
        part.rays(np.array([[30.0, 10.0]])), full.rays(np.array([[160.5, 60.5]]))
    )


@pytest.mark.parametrize(
    ('changes', 'rectified', 'sentence'),
    [
        ({'k': [0.0] * 9}, False, 'K of the CameraInfo has the focal lengths 0 and 0'),
        ({'p': [0.0] * 12}, True, 'or set rectified to false'),
        ({'k': [math.nan] * 9}, False, 'not calibrated'),
        ({'width': 0}, False, 'CameraInfo has the size 0x480'),
        ({'d': [0.1] * 3}, False, "'plumb_bob' with 3 coefficients"),
        ({'d': [0.1] * 5, 'distortion_model': ''}, False, "distortion_model '' with 5"),
        ({'d': [math.nan] * 5}, False, 'D of the CameraInfo is not finite'),
    ],
)
def test_cameras_that_cannot_be_used_are_refused(
    changes: dict[str, object], rectified: bool, sentence: str
) -> None:
    info = camera_info(WIDTH, HEIGHT, FOCAL_PX)
    for name, value in changes.items():
        setattr(info, name, value)
    with pytest.raises(ImageError, match=sentence):
        CameraModel.from_message(info, rectified=rectified)


def test_coefficients_of_zero_need_no_known_model() -> None:
    info = camera_info(WIDTH, HEIGHT, FOCAL_PX, (0.0,) * 5, model='')
    camera = CameraModel.from_message(info, rectified=False)
    np.testing.assert_allclose(camera.rays(np.array([[319.5 + 40, 239.5]])), [[0.1, 0.0]])
