# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the tiles."""

from __future__ import annotations

from dataclasses import dataclass
import re

from ..errors import ConfigError
from ..parameter_spec import parameter
from .grid import TileGrid

__all__ = ['TilingParameters']

_MAX_TILES = 255


@dataclass(frozen=True, kw_only=True)
class TilingParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

    tiling: str = parameter(
        'none',
        'Detect in overlapping tiles and in the whole image, for small objects: none, columns x '
        'rows as 4x3, or auto: as many tiles, 16 at most, as show the image nearly at full size. '
        'Each tile costs what an image costs; batch_size counts tiles.',
    )
    tile_overlap: float = parameter(
        0.2,
        "Share of a tile's width and height that the next tile shows as well; objects up to this "
        'size are whole in one of them.',
        minimum=0.0,
        maximum=0.75,
    )

    def check_tiling(self) -> None:
        """
        Refuse a grid that is none.

        :raises ConfigError: with the value, and the values that are possible.
        """
        if self.tiling in ('none', 'auto'):
            return
        expected = 'expected none, auto, or columns x rows as 4x3'
        if not re.fullmatch('[1-9][0-9]{0,2}[xX][1-9][0-9]{0,2}', self.tiling):
            raise ConfigError(f'tiling is {self.tiling!r}; {expected}')
        columns, rows = self._read_grid()
        if columns * rows == 1:
            raise ConfigError(
                f'tiling is {self.tiling!r}, but the whole image is among the parts anyway; '
                f'{expected}'
            )
        if columns * rows > _MAX_TILES:
            raise ConfigError(
                f'tiling is {self.tiling!r}: {columns * rows} tiles; expected at most {_MAX_TILES}'
            )

    @property
    def tile_grid(self) -> TileGrid | None:
        """Grid of the tiles; None without tiles."""
        if self.tiling == 'none':
            return None
        return TileGrid(None if self.tiling == 'auto' else self._read_grid(), self.tile_overlap)

    def _read_grid(self) -> tuple[int, int]:
        """Read the numbers of columns and rows."""
        columns, rows = self.tiling.lower().split('x')
        return int(columns), int(rows)
