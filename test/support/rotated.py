# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rotated boxes as polygons, in Python's numbers."""

from __future__ import annotations

from collections.abc import Sequence
import math

Point = tuple[float, float]


def corners(box: Sequence[float], angle: float) -> list[Point]:
    """Return the corners of a box turned about its center from the x axis to the y axis."""
    x1, y1, x2, y2 = box
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    c, s = math.cos(angle), math.sin(angle)
    local = [(x1 - cx, y1 - cy), (x2 - cx, y1 - cy), (x2 - cx, y2 - cy), (x1 - cx, y2 - cy)]
    return [(cx + c * x - s * y, cy + s * x + c * y) for x, y in local]


def area(polygon: Sequence[Point]) -> float:
    """Return the area of a polygon."""
    following = [*polygon[1:], *polygon[:1]]
    return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(polygon, following, strict=True))) / 2


def _clip(polygon: Sequence[Point], start: Point, end: Point) -> list[Point]:
    """Return the part of a polygon on the inner side of a line."""

    def side(point: Point) -> float:
        return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (
            point[0] - start[0]
        )

    kept: list[Point] = []
    for here, there in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
        a, b = side(here), side(there)
        if a >= 0:
            kept.append(here)
        if (a > 0 > b) or (a < 0 < b):
            t = a / (a - b)
            kept.append((here[0] + t * (there[0] - here[0]), here[1] + t * (there[1] - here[1])))
    return kept


def overlap(first: Sequence[Point], second: Sequence[Point]) -> float:
    """Return the intersection over union of two convex polygons with corners in one order."""
    common = list(first)
    for start, end in zip(second, [*second[1:], *second[:1]], strict=True):
        common = _clip(common, start, end) if common else []
    shared = area(common) if len(common) > 2 else 0.0
    return shared / (area(first) + area(second) - shared)
