# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Overlap of upright boxes, given by their edges: left, top, right, bottom."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['box_areas', 'enclose_rotated', 'intersection_areas', 'intersection_over_union']

_Array = npt.NDArray[Any]


def box_areas(edges: _Array) -> _Array:
    """Calculate the areas (...) of boxes (4, ...)."""
    return np.asarray((edges[2] - edges[0]) * (edges[3] - edges[1]))


def intersection_areas(first: _Array, second: _Array) -> _Array:
    """
    Calculate the areas that boxes have in common, in the precision of the edges.

    :param first: (4, ...) edges.
    :param second: (4, ...) edges; (4, n, 1) and (4, m) give all pairs (n, m).
    """
    shared = np.minimum(first[2], second[2])
    shared -= np.maximum(first[0], second[0])
    np.maximum(shared, 0, out=shared)
    height = np.minimum(first[3], second[3])
    height -= np.maximum(first[1], second[1])
    np.maximum(height, 0, out=height)
    shared *= height
    return np.asarray(shared)


def intersection_over_union(first: _Array, second: _Array) -> _Array:
    """Calculate the IoU of boxes, 0 without area; as :func:`intersection_areas`."""
    shared = intersection_areas(first, second)
    union = box_areas(first) + box_areas(second)
    union -= shared
    np.maximum(union, np.finfo(union.dtype).tiny, out=union)
    shared /= union
    return shared


def enclose_rotated(edges: _Array, angles: _Array) -> _Array:
    """
    Calculate the edges (4, n) of the upright boxes around rotated ones.

    :param edges: (4, n) before the rotation about the centers.
    :param angles: (n,) in radians.
    """
    cos, sin = np.abs(np.cos(angles)), np.abs(np.sin(angles))
    center, (width, height) = (edges[:2] + edges[2:]) / 2, edges[2:] - edges[:2]
    half = np.stack((width * cos + height * sin, width * sin + height * cos)) / 2
    return np.concatenate((center - half, center + half))
