# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Edges of a box beyond which its object may go on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .depth_image import DepthImage

__all__ = ['find_cut_edges']

Floats = npt.NDArray[np.float64]

# Detectors place an edge that lies on the border of the image this near to it: in pixels, and as a
# share of the box.
_BORDER_PX, _BORDER_SHARE = 2.0, 0.02
# Depths are read along strips of this width beside an edge, as a share of the box.
_STRIP = 0.04
_STRIP_MIN_PX = 2.0
_ALONG, _ACROSS = 32, 3
# What lies beside an edge hides the object if it is nearer by this share of the distance. The
# ground before an object is nearer, too, but less so.
_NEARER = 0.1
# Share of an edge that has to be hidden.
_MIN_HIDDEN = 0.15


def find_cut_edges(
    box: Floats, depth: DepthImage, scale: float, nearest_m: float
) -> npt.NDArray[np.bool_]:
    """
    Find the edges of a box that cut its object: at the border of the image, or at what hides it.

    :param box: (5,) center x and y, width, height in pixels and rotation in radians.
    :param scale: pixels of the depth image per pixel of the box.
    :param nearest_m: nearest depth of the object.
    :return: (4,), left, right, top and bottom edge of the box before its rotation.
    """
    along = (np.arange(_ALONG) + 0.5) / _ALONG - 0.5
    beside = 0.5 + (np.arange(_ACROSS) + 0.5) / _ACROSS * np.maximum(
        _STRIP, _STRIP_MIN_PX / box[2:4, None]
    )
    # Points (2, 4, ...) as shares of the box, from its center: x and y of the four strips.
    far_x, far_y = (np.repeat(row[:, None], _ALONG, axis=1) for row in beside)
    near = np.broadcast_to(along, far_x.shape)
    x = np.stack([-far_x, far_x, near, near]) * box[2]
    y = np.stack([near, near, -far_y, far_y]) * box[3]
    cos, sin = np.cos(box[4]), np.sin(box[4])
    u, v = (box[0] + cos * x - sin * y) * scale, (box[1] + sin * x + cos * y) * scale
    width, height = depth.size_wh
    margin = (_BORDER_PX + _BORDER_SHARE * box[2:4].max()) * scale
    is_inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    columns, rows = u.clip(0, width - 1).astype(np.intp), v.clip(0, height - 1).astype(np.intp)
    depths = depth.sample(columns, rows)
    with np.errstate(invalid='ignore'):
        is_hidden = is_inside & (depths > 0) & (depths < nearest_m * (1 - _NEARER))
    middles = _middles(box) * scale
    size = np.array([width, height])
    is_border = ((middles < margin) | (middles > size - margin)).any(axis=1)
    return np.asarray(is_border | (is_hidden.mean(axis=(1, 2)) > _MIN_HIDDEN))


def _middles(box: Floats) -> Floats:
    """Compute (4, 2) pixels: the middles of the left, right, top and bottom edge."""
    cos, sin = np.cos(box[4]), np.sin(box[4])
    across, down = box[2] / 2 * np.array([cos, sin]), box[3] / 2 * np.array([-sin, cos])
    return np.stack([box[:2] - across, box[:2] + across, box[:2] - down, box[:2] + down])
