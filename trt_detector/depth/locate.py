# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Locate the boxes of an image in 3D."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import ImageError
from .box3d import Box3D
from .camera_model import CameraModel
from .config import DepthConfig
from .cut_edges import find_cut_edges
from .depth_image import DepthImage
from .surface import find_surface

__all__ = ['locate_boxes']

Floats = npt.NDArray[np.float64]

# Depths are read on a grid of this many rows and columns over a box, at a random place in each
# cell: images that are aligned to a larger one have regular holes.
_GRID = 48
_JITTER_X, _JITTER_Y = np.random.default_rng(0).uniform(-0.5, 0.5, (2, _GRID, _GRID)) / _GRID
# The center lies behind the median of the visible surface by this share of the thickness: 0.5 for
# a flat front, less for a round or pointed one.
_CENTER_SHARE = 0.35
# Standard deviation of the center along the ray, as a share of the thickness, which is assumed.
_THICKNESS_SIGMA = 0.15
# Standard deviation of a box in the image, as a share of its size, and at least in pixels.
_BOX_SIGMA = 0.05
_MIN_SIGMA_PX = 0.5
# The same if an edge cuts the object, which goes on beyond it by an unknown length: the center
# may be elsewhere, and the thickness is assumed from a part of the object.
_CUT_SIGMA = 0.4
# Ratios of width and height count as equal up to this many pixels of rounding.
_ROUNDING_PX = 1.5
# Boxes may reach beyond the image by this share of it: some trackers and models do not clip them.
_OUTSIDE_SHARE = 0.1


def _check_sizes(depth: DepthImage, camera: CameraModel, boxes: Floats) -> float:
    """
    Check that the depth image, the CameraInfo and the boxes belong to one image.

    :param boxes: (n, 5) as :func:`locate_boxes` has them.
    :return: pixels of the depth image per pixel of the image of the detections.
    :raises ImageError: if the sizes contradict each other.
    """
    width, height = depth.size_wh
    scale = width / camera.width
    if abs(camera.height * scale - height) > _ROUNDING_PX * max(scale, 1.0):
        raise ImageError(
            f'depth image is {width}x{height}, but the CameraInfo is that of an image of '
            f'{camera.width}x{camera.height}: use the depth image that is aligned to the image '
            'of the detections, and the CameraInfo of the latter'
        )
    x, y = boxes[:, 0], boxes[:, 1]
    is_outside = (
        (x > camera.width * (1 + _OUTSIDE_SHARE))
        | (y > camera.height * (1 + _OUTSIDE_SHARE))
        | (np.minimum(x, y) < -_OUTSIDE_SHARE * camera.width)
    )
    if is_outside.any():
        column, row = boxes[is_outside][0, :2]
        raise ImageError(
            f'a detection is at x = {column:.0f}, y = {row:.0f}, outside the image of '
            f'{camera.width}x{camera.height} that the CameraInfo describes: use the CameraInfo '
            'of the image that the detections come from'
        )
    return scale


def locate_boxes(
    boxes: Floats, depth: DepthImage, camera: CameraModel, config: DepthConfig
) -> list[Box3D | str]:
    """
    Locate boxes in the frame of the camera: x right, y down, z forward.

    The position is that of the center of the object: behind the visible surface by a share of the
    assumed thickness.

    :param boxes: (n, 5) center x and y, width, height in pixels of the image of the detections,
        and rotation in radians; x = 0 is the left edge of the first pixel.
    :return: for each box its place, or the reason why it has none: 'outside', 'no depth' or
        'malformed'.
    :raises ImageError: if the sizes of depth image, CameraInfo and boxes contradict each other.
    """
    is_finite = np.isfinite(boxes).all(axis=1)
    is_good = is_finite & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    scale = _check_sizes(depth, camera, boxes[is_good])
    good = boxes[is_good]
    # Integers of the camera model are the centers of pixels.
    rays = camera.rays(_key_points(good).reshape(-1, 2) - 0.5).reshape(-1, 5, 2)
    located = iter(
        [
            _locate(box, box_rays, depth, scale, camera, config)
            for box, box_rays in zip(good, rays, strict=True)
        ]
    )
    return [next(located) if flag else 'malformed' for flag in is_good]


def _key_points(boxes: Floats) -> Floats:
    """Compute (n, 5, 2) center and middles of the left, right, top and bottom edge, in pixels."""
    across = boxes[:, 2:3] / 2 * np.column_stack([np.cos(boxes[:, 4]), np.sin(boxes[:, 4])])
    down = boxes[:, 3:4] / 2 * np.column_stack([-np.sin(boxes[:, 4]), np.cos(boxes[:, 4])])
    center = boxes[:, :2]
    return np.stack([center, center - across, center + across, center - down, center + down], 1)


def _locate(
    box: Floats,
    rays: Floats,
    depth: DepthImage,
    scale: float,
    camera: CameraModel,
    config: DepthConfig,
) -> Box3D | str:
    """Locate one box, whose key points lie in the directions (5, 2)."""
    if not np.isfinite(rays).all():
        return 'outside'
    depths, is_inside = _sample(box, depth, scale, config)
    place = np.abs((np.arange(_GRID) + 0.5) / _GRID - 0.5) <= config.inner_share / 2
    is_inner = place[:, None] & place[None, :]
    seen = int((is_inner & is_inside).sum())
    if not seen:
        return 'outside'
    valid = int((is_inner & np.isfinite(depths)).sum())
    surface = find_surface(depths, is_inner) if valid >= config.min_valid_share * seen else None
    if surface is None:
        return 'no depth'
    width, height = np.hypot(*(rays[[2, 4]] - rays[[1, 3]]).T) * surface.depth_m
    if not min(width, height) > 0:
        # Edges closer than numbers can tell.
        return 'malformed'
    assumed = config.thickness_ratio * min(width, height)
    thickness = max(assumed, surface.span_m)
    center_z = surface.depth_m + _CENTER_SHARE * assumed
    ray = np.append(rays[0], 1.0)
    center = ray * center_z
    center[:2] += camera.origin_xy
    cut = find_cut_edges(box, depth, scale, surface.nearest_m).reshape(2, 2).any(axis=1)
    thickness_sigma = _CUT_SIGMA if cut.any() else _THICKNESS_SIGMA
    hidden = _find_missing(depths[np.ix_(place, place)]) * max(assumed, surface.span_m)
    sigma_z = np.linalg.norm([surface.sigma_m, thickness_sigma * assumed, hidden])
    sigma_xy = np.maximum(
        np.where(cut, _CUT_SIGMA, _BOX_SIGMA) * np.array([width, height]),
        _MIN_SIGMA_PX * center_z / camera.matrix[[0, 1], [0, 1]],
    )
    rotation = _turn(box[4])
    lateral = rotation @ np.diag([*np.square(sigma_xy), 0.0]) @ rotation.T
    return Box3D(
        center=center,
        rotation=rotation,
        size=np.array([width, height, thickness]),
        covariance=sigma_z**2 * np.outer(ray, ray) + lateral,
    )


def _sample(
    box: Floats, depth: DepthImage, scale: float, config: DepthConfig
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Read (48, 48) depths on a grid over a box, and tell which points are inside the image."""
    steps = (np.arange(_GRID) + 0.5) / _GRID - 0.5
    x = (steps[None, :] + _JITTER_X) * box[2]
    y = (steps[:, None] + _JITTER_Y) * box[3]
    cos, sin = np.cos(box[4]), np.sin(box[4])
    u, v = (box[0] + cos * x - sin * y) * scale, (box[1] + sin * x + cos * y) * scale
    width, height = depth.size_wh
    is_inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    # Clipped first: integers do not hold every number that a message may.
    columns = u.clip(0, width - 1).astype(np.intp)
    rows = v.clip(0, height - 1).astype(np.intp)
    depths = depth.sample(columns, rows)
    with np.errstate(invalid='ignore'):
        is_usable = is_inside & (depths >= config.min_depth) & (depths <= config.max_depth)
    depths[~is_usable] = np.nan
    return depths, is_inside


def _find_missing(depths: Floats) -> float:
    """Find the share of depths (rows, columns) in rows and columns without any: of large holes."""
    is_valid = np.isfinite(depths)
    return 1.0 - float(is_valid.any(axis=0).mean() * is_valid.any(axis=1).mean())


def _turn(theta: float) -> Floats:
    """Create the rotation about the z axis."""
    cos, sin = np.cos(theta), np.sin(theta)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
