# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the choice of the object among the layers of depth in a box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trt_detector.depth.surface import find_surface

N = 48
BACKGROUND_M, OBJECT_M, OCCLUDER_M = 5.0, 2.0, 1.0


def is_inner(share: float = 0.5) -> Any:
    place = np.abs((np.arange(N) + 0.5) / N - 0.5) <= share / 2
    return place[:, None] & place[None, :]


def background() -> Any:
    return np.full((N, N), BACKGROUND_M)


def find(depths: Any) -> float:
    surface = find_surface(depths, is_inner())
    assert surface is not None
    return surface.depth_m


def test_an_object_that_fills_a_tenth_of_its_box_wins_over_the_background() -> None:
    depths = background()
    depths[:, 22:26] = OBJECT_M  # a post
    depths[:12, 6:42] = OBJECT_M  # with a plate above the inner part
    assert np.median(depths[is_inner()]) == BACKGROUND_M
    assert find(depths) == OBJECT_M


def test_something_before_a_part_of_the_object_is_not_the_object() -> None:
    depths = background()
    depths[4:44, 4:44] = OBJECT_M
    depths[20:, 14:30] = OCCLUDER_M
    assert find(depths) == OBJECT_M


def test_the_largest_layer_counts_if_none_reaches_across() -> None:
    depths = np.full((N, N), np.nan)
    depths[16:30, 16:30] = OBJECT_M
    depths[:4, :] = BACKGROUND_M
    depths[:, :4] = BACKGROUND_M
    assert find(depths) == OBJECT_M


def test_holes_do_not_count_as_missing_parts() -> None:
    depths = background()
    depths[4:44, 4:44] = OBJECT_M
    depths[:, 4:20] = np.nan  # the shadow of a stereo camera
    depths[30:, :] = np.nan
    assert find(depths) == OBJECT_M


def test_stray_pixels_do_not_join_layers_nor_make_one() -> None:
    rng = np.random.default_rng(4)
    depths = background()
    depths[4:44, 4:44] = OBJECT_M
    stray = rng.choice(N * N, 40, replace=False)
    depths.flat[stray] = rng.uniform(0.5, BACKGROUND_M, 40)
    assert find(depths) == OBJECT_M


def test_noise_of_two_percent_does_not_split_the_object() -> None:
    rng = np.random.default_rng(5)
    depths = background()
    depths[4:44, 4:44] = OBJECT_M
    depths *= 1 + 0.02 * rng.standard_normal((N, N))
    surface = find_surface(depths, is_inner())
    assert surface is not None
    assert surface.depth_m == pytest.approx(OBJECT_M, rel=0.005)
    assert surface.sigma_m == pytest.approx(0.02 * OBJECT_M, rel=0.2)
    assert surface.span_m < 0.02 * OBJECT_M


def test_span_is_that_of_a_sloped_surface_over_the_whole_box() -> None:
    rows = np.linspace(0.4, -0.4, N)[:, None]
    depths = np.repeat(OBJECT_M + rows, N, axis=1)
    surface = find_surface(depths, is_inner())
    assert surface is not None
    assert surface.span_m == pytest.approx(0.8, rel=0.03)


def test_without_a_depth_in_the_inner_part_there_is_no_surface() -> None:
    depths = background()
    depths[10:38, 10:38] = np.nan
    assert find_surface(depths, is_inner()) is None


def test_one_pixel_is_a_surface() -> None:
    depths = np.full((N, N), np.nan)
    depths[24, 24] = OBJECT_M
    surface = find_surface(depths, is_inner())
    assert surface is not None
    assert (surface.depth_m, surface.sigma_m, surface.span_m) == (OBJECT_M, 0.0, 0.0)
