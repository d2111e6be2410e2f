# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Grids of tiles: coverage, overlap and choice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from trt_detector.tiling.grid import Box, MAX_AUTO_TILES, TileGrid

SIZES = [(3840, 2160), (1920, 1080), (641, 479), (101, 333), (5000, 40), (7, 5), (3, 2), (1, 1)]
GRIDS = [(1, 2), (2, 1), (2, 2), (3, 2), (4, 4), (7, 5), (17, 15)]
INPUT_WH = (640, 640)


def _shrinks_by(box: Box, input_wh: tuple[int, int]) -> float:
    """Compute the pixels of a part per pixel of the network's input."""
    left, top, right, bottom = box
    return max((right - left) / input_wh[0], (bottom - top) / input_wh[1])


@pytest.mark.parametrize('overlap', [0.0, 0.1, 0.2, 0.5, 0.75])
@pytest.mark.parametrize('grid', [*GRIDS, None], ids=str)
@pytest.mark.parametrize('size_wh', SIZES, ids=str)
def test_tiles_cover_every_pixel_and_keep_pairs_of_pixels_together(
    size_wh: tuple[int, int], grid: tuple[int, int] | None, overlap: float
) -> None:
    tiles = TileGrid(grid, overlap)
    whole, *rest = tiles.find_parts(size_wh, INPUT_WH)
    width, height = size_wh
    assert whole == (0, 0, width, height)
    assert len(rest) + 1 <= tiles.max_parts
    assert len(set(rest)) == len(rest)
    seen = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in rest:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert left % 2 == top % 2 == 0
        assert right % 2 == 0 or right == width
        assert bottom % 2 == 0 or bottom == height
        seen[top:bottom, left:right] = True
    assert not rest or seen.all()


@pytest.mark.parametrize('overlap', [0.0, 0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize(('columns', 'rows'), GRIDS)
def test_neighbors_share_the_overlap(columns: int, rows: int, overlap: float) -> None:
    _, *tiles = TileGrid((columns, rows), overlap).find_parts((3840, 2160), INPUT_WH)
    assert len(tiles) == columns * rows
    for axis in (0, 1):
        spans = sorted({(tile[axis], tile[axis + 2]) for tile in tiles})
        for (first, end), (second, _) in itertools.pairwise(spans):
            # Corners are even: each of the two can be off by a step.
            assert end - second == pytest.approx(overlap * (end - first), abs=4)
            assert end >= second


def test_an_object_up_to_the_overlap_is_whole_in_a_tile() -> None:
    _, *tiles = TileGrid((4, 3), 0.2).find_parts((3840, 2160), INPUT_WH)
    left, top, right, bottom = tiles[0]
    # Two pixels less: corners are even.
    wide, high = int(0.2 * (right - left)) - 2, int(0.2 * (bottom - top)) - 2
    rng = np.random.default_rng(1)
    for x, y in rng.integers((0, 0), (3840 - wide, 2160 - high), (500, 2)):
        assert any(
            tile[0] <= x and x + wide <= tile[2] and tile[1] <= y and y + high <= tile[3]
            for tile in tiles
        )


@pytest.mark.parametrize(
    ('size_wh', 'input_wh'),
    [
        ((3840, 2160), (640, 640)),
        ((3840, 2160), (512, 320)),
        ((3840, 2160), (1280, 1280)),
        ((1920, 1080), (640, 384)),
        ((2160, 3840), (640, 640)),
        ((4000, 300), (640, 640)),
        ((900, 700), (640, 640)),
    ],
)
@pytest.mark.parametrize('overlap', [0.0, 0.2, 0.5])
def test_the_chosen_grid_is_the_smallest_near_full_size_else_the_sharpest(
    size_wh: tuple[int, int], input_wh: tuple[int, int], overlap: float
) -> None:
    chosen = TileGrid(None, overlap).find_parts(size_wh, input_wh)[1:]
    every = [
        TileGrid((columns, rows), overlap).find_parts(size_wh, input_wh)[1:]
        for columns in range(1, MAX_AUTO_TILES + 1)
        for rows in range(1, MAX_AUTO_TILES + 1)
        if 1 < columns * rows <= MAX_AUTO_TILES
    ]
    shown = _shrinks_by(chosen[0], input_wh)
    near = [tiles for tiles in every if _shrinks_by(tiles[0], input_wh) <= 1.25]
    if near:
        fewest = min(len(tiles) for tiles in near)
        assert len(chosen) == fewest
        assert shown == min(
            _shrinks_by(tiles[0], input_wh) for tiles in near if len(tiles) == fewest
        )
    else:
        sharpest = min(_shrinks_by(tiles[0], input_wh) for tiles in every)
        assert shown == sharpest
        assert len(chosen) == min(
            len(tiles) for tiles in every if _shrinks_by(tiles[0], input_wh) == sharpest
        )


@pytest.mark.parametrize('size_wh', [(640, 480), (800, 600), (800, 800), (64, 48), (1, 1)])
def test_an_image_near_full_size_has_no_tiles(size_wh: tuple[int, int]) -> None:
    assert TileGrid(None, 0.2).find_parts(size_wh, INPUT_WH) == ((0, 0, *size_wh),)


def test_a_given_grid_also_divides_an_image_smaller_than_the_input() -> None:
    assert TileGrid((2, 1), 0.0).find_parts((64, 48), INPUT_WH) == (
        (0, 0, 64, 48),
        (0, 0, 32, 48),
        (32, 0, 64, 48),
    )
