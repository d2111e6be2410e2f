# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test polygons: their texts, what is refused, and what is inside."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from trt_detector.errors import ConfigError
from trt_detector.regions.region import parse_region, Point, Region


@pytest.mark.parametrize(
    ('text', 'camera', 'include', 'corners'),
    [
        ('include 0,0 1,0 1,0.5', '', True, 3),
        ('  /left/image:  exclude 0,0 1,0 1,1 0,1 ', '/left/image', False, 4),
        ('~/image:Exclude 0,0; .5,0; .5,1', '~/image', False, 3),
        ('include 0,0 1,0 1,1 0,0', '', True, 3),
        ('INCLUDE 0,0 1,0 1,0.5', '', True, 3),
        # A concave polygon is fine, and so are two edges on one line.
        ('include 0,0 1,0 0.5,0.2 0,1', '', True, 4),
        ('include 0,0 .2,0 .2,.3 .5,.3 .5,.6 .2,.6 .2,1 0,1', '', True, 8),
        ('include 0,0 0,.2 .3,.2 .3,.5 .6,.5 .6,.2 1,.2 1,0', '', True, 8),
    ],
)
def test_texts_are_read(text: str, camera: str, include: bool, corners: int) -> None:
    region = parse_region(text)
    assert (region.camera, region.include, len(region.points)) == (camera, include, corners)
    assert region.points[0] == (0, 0)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('0,0 1,0 1,1', r"expected '\[camera:\] include\|exclude x,y"),
        ('keep 0,0 1,0 1,1', 'include.exclude'),
        ('include', 'include.exclude'),
        ('/left/image: 0,0 1,0 1,1', 'include.exclude'),
        ('include 0,0 1,0', r'has 2 different corner\(s\); expected 3 to 1000'),
        ('include 0,0 1,0 0,0', 'has 2 different corner'),
        ('include 0,0 1 1,1', "'1' is no point x,y"),
        ('include 0,0,0 1,0,0 1,1,0', "'0,0,0' is no point"),
        ('include 0,0 640,0 640,480', r'640,0 is outside the image; .*divide pixels by them'),
        ('include 0,0 1,0 1,-0.1', r'1,-0.1 is outside'),
        ('include 0,0 1,0 nan,1', 'nan,1 is outside'),
        (
            'include 0,0 1,1 1,0 0,1',
            'edge from 1,0 to 0,1 crosses or touches the one from 0,0',
        ),
        # A corner that lies on another edge, and two corners at one place.
        ('include 0,0 1,0 1,1 0.5,0 0,1', 'crosses or touches'),
        ('include 0,0 .5,.5 1,0 1,1 .5,.5 0,1', 'crosses or touches'),
        ('include 0,0 1,0 .5,0 .5,1', 'crosses or touches'),
        ('include .5,0 1,0 0,0 .5,1', 'crosses or touches'),
        ('include 1,1 0,1 .5,1 .5,0', 'crosses or touches'),
        # On the edge, but for the rounding of 0.3 and 0.1.
        ('include 0,0 .9,.3 .9,.9 .3,.1 0,.9', 'crosses or touches'),
        ('include 0,0 1,0 0,0 1,1', 'crosses or touches'),
        ('include 0,0 0,0 1,0 1,1', 'the point 0,0 is there twice in a row'),
        ('include 0,0 0.5,0.5 1,1', 'which has no area'),
        ('include 0,0 1,1 0.5,0.5', 'which has no area'),
    ],
)
def test_what_is_no_polygon_is_refused_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_region(text)
    assert str(caught.value).startswith('regions holds ')


def test_long_texts_are_cut_in_messages_and_huge_polygons_refused() -> None:
    points = ' '.join(f'{i / 5000},0' for i in range(5000))
    with pytest.raises(ConfigError, match='has 5000 different') as caught:
        parse_region(f'include {points}')
    assert len(str(caught.value)) < 500


def winding(point: Point, corners: tuple[Point, ...]) -> int:
    """Count how often a polygon winds about a point: the sum of the angles seen from it."""
    total = 0.0
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        ax, ay, bx, by = ax - point[0], ay - point[1], bx - point[0], by - point[1]
        total += math.atan2(ax * by - ay * bx, ax * bx + ay * by)
    return round(total / (2 * math.pi))


@given(
    radii=st.lists(st.floats(0.05, 0.49), min_size=3, max_size=12),
    turn=st.floats(0, 6.28),
    points=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20),
)
def test_inside_is_what_the_polygon_winds_about(
    radii: list[float], turn: float, points: list[Point]
) -> None:
    corners = tuple(
        (
            0.5 + radius * math.cos(turn + 2 * math.pi * i / len(radii)),
            0.5 + radius * math.sin(turn + 2 * math.pi * i / len(radii)),
        )
        for i, radius in enumerate(radii)
    )
    inside = Region('', True, corners).contains(np.array(points))
    for point, found in zip(points, inside, strict=True):
        edges = zip(corners, (*corners[1:], corners[0]), strict=True)
        if min(distance(point, *edge) for edge in edges) > 1e-6:
            assert bool(found) == (winding(point, corners) != 0)


def distance(point: Point, a: Point, b: Point) -> float:
    """Measure the distance of a point from an edge."""
    length2 = math.dist(a, b) ** 2
    if not length2:
        return math.dist(point, a)
    along = (point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])
    share = min(max(along / length2, 0), 1)
    return math.dist(point, (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))
