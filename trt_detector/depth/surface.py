# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of the object in a box, apart from what is before and behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ['Surface', 'find_surface']

Floats = npt.NDArray[np.float64]

# Depths are counted in bins of this relative width; layers are apart by an empty bin at least.
_BIN = 0.025
# A bin holds more than stray pixels, which depth cameras show at the edges of objects.
_STRAY_SHARE = 0.004
# The object's layer holds this share of the inner part at least.
_MIN_SHARE = 0.05
# An object reaches from edge to edge of its box, in this share of the columns and rows at least;
# something before it in most cases does not.
_MIN_FILL = 0.7
# Of a normal distribution, the standard deviation is this multiple of the median deviation.
_SIGMA_PER_MAD = 1.4826


@dataclass(frozen=True, slots=True)
class Surface:
    """
    Visible surface of an object.

    :param depth_m: median depth of the inner part.
    :param nearest_m: smallest depth there.
    :param sigma_m: robust standard deviation of the depths there.
    :param span_m: difference in depth over the whole box, of the plane that fits best there.
    """

    depth_m: float
    nearest_m: float
    sigma_m: float
    span_m: float


def find_surface(depths: Floats, is_inner: npt.NDArray[np.bool_]) -> Surface | None:
    """
    Find the surface of the object among the layers of depth in its box.

    A box shows the object, and what is behind and before it. Depths with a gap between them are
    different layers. The object is the nearest layer that reaches across the box; if none does, it
    is the layer with most pixels in the inner part.

    :param depths: (rows, columns) meters, a grid over the whole box; NaN is invalid.
    :param is_inner: (rows, columns), true in the inner part of the box.
    :return: None without a valid depth in the inner part.
    """
    is_valid = np.isfinite(depths)
    inner = depths[is_inner & is_valid]
    if not len(inner):
        return None
    low, high = _choose_layer(depths, is_valid, inner)
    is_chosen = is_inner & _is_between(depths, low, high)
    chosen = depths[is_chosen]
    median = float(np.median(chosen))
    deviation = float(np.median(np.abs(chosen - median)))
    return Surface(
        median, float(chosen.min()), _SIGMA_PER_MAD * deviation, _measure_slope(depths, is_chosen)
    )


def _choose_layer(
    depths: Floats, is_valid: npt.NDArray[np.bool_], inner: Floats
) -> tuple[float, float]:
    """Choose the object's layer, and return its nearest and farthest depth."""
    # Rows and columns without any depth say nothing.
    rows, columns = is_valid.any(axis=1), is_valid.any(axis=0)
    largest, largest_count = (0.0, np.inf), 0
    for low, high in _list_layers(inner):
        count = int(((inner >= low) & (inner <= high)).sum())
        if count > largest_count:
            largest, largest_count = (low, high), count
        if count < _MIN_SHARE * len(inner):
            continue
        shown = _is_between(depths, low, high)
        fill_x = shown[:, columns].any(axis=0).mean()
        fill_y = shown[rows].any(axis=1).mean()
        if min(fill_x, fill_y) >= _MIN_FILL:
            return low, high
    return largest


def _is_between(depths: Floats, low: float, high: float) -> npt.NDArray[np.bool_]:
    """Tell which depths are in a range; NaN is not."""
    with np.errstate(invalid='ignore'):
        return np.asarray(np.logical_and(depths >= low, depths <= high), bool)


def _measure_slope(depths: Floats, is_chosen: npt.NDArray[np.bool_]) -> float:
    """Fit a plane, and return its difference in depth over the whole box."""
    rows, columns = np.nonzero(is_chosen)
    height, width = depths.shape
    across, down = columns / width - 0.5, rows / height - 0.5
    points = np.column_stack([across, down, np.ones(len(rows))])
    plane, _, rank, _ = np.linalg.lstsq(points, depths[is_chosen], rcond=None)
    return float(np.abs(plane[:2]).sum()) if rank == 3 else 0.0


def _list_layers(depths: Floats) -> list[tuple[float, float]]:
    """List the nearest and farthest depth of every layer, nearest layer first."""
    bins = np.floor(np.log(depths) / np.log1p(_BIN)).astype(np.int64)
    numbers, counts = np.unique(bins, return_counts=True)
    numbers = numbers[counts > _STRAY_SHARE * len(depths)]
    if not len(numbers):
        return [(float(depths.min()), float(depths.max()))]
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 3) > 2)
    ends = np.append(starts[1:], len(numbers)) - 1
    edge = 1 + _BIN
    # Half a bin more on each side: the object's outer part is a little nearer or farther.
    return [
        (float(edge ** (numbers[start] - 0.5)), float(edge ** (numbers[end] + 1.5)))
        for start, end in zip(starts, ends, strict=True)
    ]
