# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Grid of overlapping tiles over an image."""

from __future__ import annotations

from dataclasses import dataclass
import functools
import math

__all__ = ['MAX_AUTO_TILES', 'Box', 'TileGrid']

# Left, top, right and bottom in pixels of the image.
Box = tuple[int, int, int, int]

MAX_AUTO_TILES = 16
"""Maximum number of tiles that a grid chooses by itself."""

# Pixels of the image per pixel of the network's input, as which a tile is close enough to 1:1.
_NEAR_FULL_SIZE = 1.25


@dataclass(frozen=True, slots=True)
class TileGrid:
    """
    Number and overlap of the tiles.

    :param columns_rows: number of columns and rows; None to choose them for each image.
    :param overlap: share of the side of a tile that the next one shows as well, 0 to less than 1.
    """

    columns_rows: tuple[int, int] | None
    overlap: float

    @property
    def max_parts(self) -> int:
        """Return the maximum number of tiles per image, plus one for the whole image."""
        if self.columns_rows is None:
            return MAX_AUTO_TILES + 1
        columns, rows = self.columns_rows
        return columns * rows + 1

    def find_parts(self, size_wh: tuple[int, int], input_wh: tuple[int, int]) -> tuple[Box, ...]:
        """
        Find the parts of an image in which to detect: the whole image, then its tiles by rows.

        The tiles cover every pixel. Their corners are even numbers or edges of the image, because
        encodings share color between neighboring pixels. An image that the network shows nearly
        at full size has no tiles if the grid is chosen.

        :param size_wh: width and height of the image in pixels.
        :param input_wh: width and height of the network's input in pixels.
        """
        return _find_parts(self, size_wh, input_wh)

    def choose(self, size_wh: tuple[int, int], input_wh: tuple[int, int]) -> tuple[int, int]:
        """
        Choose the numbers of columns and rows.

        Of the grids of up to 16 tiles, this is the one with the fewest tiles that the network
        shows nearly at full size (at most 1.25 pixels of the image per pixel of its input). If
        there is none, it is the one that shows them largest.

        :param size_wh: width and height of the image in pixels.
        :param input_wh: width and height of the network's input in pixels.
        """
        if self.columns_rows is not None:
            return self.columns_rows
        grids = [
            (columns, rows)
            for columns in range(1, MAX_AUTO_TILES + 1)
            for rows in range(1, MAX_AUTO_TILES // columns + 1)
        ]

        def shrinks_by(grid: tuple[int, int]) -> float:
            sides = zip(size_wh, grid, input_wh, strict=True)
            return max(self._find_side(length, count) / shown for length, count, shown in sides)

        near = [grid for grid in grids if shrinks_by(grid) <= _NEAR_FULL_SIZE]
        if near:
            return min(near, key=lambda grid: (math.prod(grid), shrinks_by(grid)))
        return min(grids, key=lambda grid: (shrinks_by(grid), math.prod(grid)))

    def split(self, length: int, count: int) -> list[tuple[int, int]]:
        """
        Divide one axis of an image into overlapping spans.

        :param length: width or height of the image in pixels.
        :param count: wanted number of spans; an axis too short for them has fewer.
        :return: first pixel and the pixel after the last one of each span, ascending.
        """
        side = self._find_side(length, count)
        # Even steps keep the spans connected: a span has an even side.
        starts = {
            index * (length - side) // max(count - 1, 1) // 2 * 2: None for index in range(count)
        }
        last = max(starts)
        return [(start, length if start == last else start + side) for start in starts]

    def _find_side(self, length: int, count: int) -> int:
        """Find the side of tiles with which so many of them cover an axis: even or the axis."""
        side = length / (count - (count - 1) * self.overlap)
        return min(math.ceil(side / 2) * 2, length)


@functools.lru_cache(maxsize=64)
def _find_parts(
    grid: TileGrid, size_wh: tuple[int, int], input_wh: tuple[int, int]
) -> tuple[Box, ...]:
    """Find the parts of an image; a camera's images all have the same size."""
    columns, rows = grid.choose(size_wh, input_wh)
    whole = (0, 0, *size_wh)
    tiles = [
        (left, top, right, bottom)
        for top, bottom in grid.split(size_wh[1], rows)
        for left, right in grid.split(size_wh[0], columns)
    ]
    return (whole, *(tile for tile in tiles if tile != whole))
