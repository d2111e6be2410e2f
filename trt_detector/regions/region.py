# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Polygon of a camera, written as a text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..parameter_spec import show_value

__all__ = ['Point', 'Region', 'parse_region']

Point = tuple[float, float]

_FORMAT = "expected '[camera:] include|exclude x,y x,y x,y ...', e.g. 'include 0,0.5 1,0.5 1,1'"
_TEXT = re.compile(r'(?:(?P<camera>[^\s:]+)\s*:\s*)?(?P<kind>[A-Za-z]+)\s+(?P<points>.*)')
_MAX_POINTS = 1000
# A smaller polygon is a line: no center of a box is ever inside.
_MIN_AREA = 1e-9


@dataclass(frozen=True, slots=True)
class Region:
    """
    Polygon in which detections are wanted, or not.

    :param camera: image topic; '' for every camera.
    :param include: detections inside are wanted; False if they are not.
    :param points: corners (x, y) as shares of the width and height of the image, 0 to 1.
    """

    camera: str
    include: bool
    points: tuple[Point, ...]

    def contains(self, points_xy: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """
        Mask the points that are inside.

        :param points_xy: (n, 2), as shares of the width and height of the image.
        """
        x, y = points_xy[:, :1], points_xy[:, 1:]
        start = np.array(self.points)
        end = np.roll(start, -1, axis=0)
        # A ray to the right crosses an odd number of edges.
        spans = (start[:, 1] > y) != (end[:, 1] > y)
        rise = np.where(start[:, 1] == end[:, 1], 1.0, end[:, 1] - start[:, 1])
        at_x = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / rise
        return np.asarray(np.count_nonzero(spans & (x < at_x), axis=1) % 2 == 1)


def parse_region(text: str) -> Region:
    """
    Read a region, e.g. '/left/image: exclude 0,0 0.2,0 0.2,1 0,1'.

    A last point that repeats the first one is left out.

    :raises ConfigError: if it has another format, or is not a polygon inside the image.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None or match['kind'].lower() not in ('include', 'exclude'):
        raise ConfigError(f'regions holds {show_value(text)}; {_FORMAT}')
    parts = re.split(r'[\s;]+', match['points'].strip(' ;'))
    points = [_parse_point(part, text) for part in parts]
    if len(points) > 1 and points[0] == points[-1]:
        del points[-1]
    _check_polygon(points, text)
    return Region(match['camera'] or '', match['kind'].lower() == 'include', tuple(points))


def _parse_point(part: str, text: str) -> Point:
    """Read 'x,y', or raise ConfigError."""
    try:
        x, y = (float(number) for number in part.split(','))
    except ValueError:
        raise ConfigError(
            f'regions holds {show_value(text)}: {show_value(part)} is no point x,y; {_FORMAT}'
        ) from None
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ConfigError(
            f'regions holds {show_value(text)}: the point {part} is outside the image; expected '
            'shares of its width and height, 0 to 1: divide pixels by them'
        )
    return x, y


def _check_polygon(points: list[Point], text: str) -> None:
    """Refuse what is no simple polygon."""
    if not 3 <= len(points) <= _MAX_POINTS:
        raise ConfigError(
            f'regions holds {show_value(text)}, which has {len(points)} different corner(s); '
            f'expected 3 to {_MAX_POINTS}'
        )
    edges = list(pairwise([*points, points[0]]))
    for i, edge in enumerate(edges):
        if edge[0] == edge[1]:
            raise ConfigError(
                f'regions holds {show_value(text)}: the point {_show(edge[0])} is there twice in '
                'a row; remove one'
            )
        for j, other in enumerate(edges[:i]):
            # Neighbors have a corner in common. One that runs back over the other touches a third
            # edge, too, or the polygon is a triangle without area.
            are_neighbors = i - j in (1, len(edges) - 1)
            if not are_neighbors and _touch(edge, other):
                raise ConfigError(
                    f'regions holds {show_value(text)}: the edge from {_show(edge[0])} to '
                    f'{_show(edge[1])} crosses or touches the one from {_show(other[0])} to '
                    f'{_show(other[1])}; list the corners in their order along the border'
                )
    if abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in edges)) / 2 < _MIN_AREA:
        raise ConfigError(f'regions holds {show_value(text)}, which has no area')


def _turn(a: Point, b: Point, c: Point) -> float:
    """Compute to which side of the line from a to b the point c is: its sign."""
    product = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return 0.0 if math.isclose(product, 0, abs_tol=1e-12) else product


def _touch(edge: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Tell whether two edges have a point in common."""
    (a, b), (c, d) = edge, other
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    spans = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _is_between(*each) for turn, each in zip(turns, spans, strict=True))


def _is_between(a: Point, b: Point, c: Point) -> bool:
    """Tell whether c, a point of the line through a and b, is between them."""
    return all(min(a[i], b[i]) <= c[i] <= max(a[i], b[i]) for i in (0, 1))


def _show(point: Point) -> str:
    """Write a point as in the parameter."""
    return f'{point[0]:g},{point[1]:g}'
