# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Values of tiling and tile_overlap that are read, and those that are refused."""

from __future__ import annotations

from typing import Any

import pytest
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError
from trt_detector.tiling.grid import TileGrid


@pytest.mark.parametrize(
    ('tiling', 'expected'),
    [
        ('none', None),
        ('auto', TileGrid(None, 0.2)),
        ('4x3', TileGrid((4, 3), 0.2)),
        ('1X2', TileGrid((1, 2), 0.2)),
        ('255x1', TileGrid((255, 1), 0.2)),
    ],
)
def test_a_grid_is_read(tiling: str, expected: TileGrid | None) -> None:
    assert DetectorConfig(tiling=tiling).tile_grid == expected
    wide = None if expected is None else TileGrid(expected.columns_rows, 0.5)
    assert DetectorConfig(tiling=tiling, tile_overlap=0.5).tile_grid == wide
    assert DetectorConfig().tile_grid is None


@pytest.mark.parametrize(
    ('values', 'text'),
    [
        ({'tiling': '4'}, "tiling is '4'; expected none, auto, or columns x rows as 4x3"),
        ({'tiling': ''}, "tiling is ''; expected none"),
        ({'tiling': '0x3'}, "tiling is '0x3'; expected none"),
        ({'tiling': '-2x3'}, "tiling is '-2x3'; expected none"),
        ({'tiling': '2x3x4'}, 'expected none'),
        ({'tiling': '2 x 3'}, 'expected none'),
        ({'tiling': 'Auto'}, "tiling is 'Auto'; expected none"),
        ({'tiling': '1x1'}, 'the whole image is among the parts anyway'),
        ({'tiling': '16x16'}, '256 tiles; expected at most 255'),
        ({'tiling': False}, 'tiling is False; expected a string'),
        ({'tile_overlap': -0.1}, r'tile_overlap is -0\.1; expected 0 to 0\.75'),
        ({'tile_overlap': 0.8}, r'tile_overlap is 0\.8; expected 0 to 0\.75'),
        ({'tile_overlap': float('nan')}, 'tile_overlap is nan'),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_expected(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        DetectorConfig(**values)
