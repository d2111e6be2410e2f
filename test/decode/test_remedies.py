# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Suggestions for outputs that no layout fits, each for the outputs that it is about."""

from __future__ import annotations

import numpy as np
import pytest
from trt_detector.decode import GraphInfo
from trt_detector.decode.remedies import suggest
from trt_detector.values.tensor_spec import TensorSpec

GRIDS = 'several maps'
CELLS = 80 * 80 + 40 * 40 + 20 * 20


@pytest.mark.parametrize(
    ('shapes', 'expected'),
    [
        ([(8400, 84)], ['batch dimension is missing']),
        ([(1, 84)], ['one vector per image']),
        ([(None, 84)], ['one vector per image']),
        ([(1, 84), (1,)], ['one vector per image']),
        ([(1, 255, 80, 80), (1, 255, 40, 40)], [GRIDS]),
        ([(1, 3, 80, 80, 85), (1, 3, 40, 40, 85)], [GRIDS]),
        ([(1, 3, 80, 80, 85), (1, 255, 40, 40)], [GRIDS]),
        ([(1, 3, 80, 80, 85)], []),
        ([(1, 255, 80, 80)], []),
        ([(1, 1, 8400, 84)], ['dimension of 1 too many']),
        ([(1, 8400, 84, 1)], ['dimension of 1 too many']),
        ([(1, CELLS, 84), (1, CELLS, 30)], ['several outputs']),
        ([(1, CELLS, 84), (1, 32, 160, 160)], []),
        ([(1, None, 84)], ['number of values is open']),
        ([(None, CELLS, 84)], []),
        ([(1, CELLS, 4)], ['fewer than five values']),
        ([(1, CELLS, 5)], []),
        ([(1, 4, CELLS)], ['fewer than five values']),
        ([(1, CELLS + 1, 84)], ['number of predictions is not that of 640x640']),
        ([(1, 84, CELLS)], []),
        ([(1, 85, CELLS)], ['81 classes, or objectness and 80 classes']),
        ([(1, 86, CELLS)], []),
        ([(1, 84, 3 * CELLS)], []),
        # No more than two.
        ([(1, 255, 80, 80), (1, 255, 40, 40), (1, 7, 84), (1, 9, 84)], [GRIDS, 'several outputs']),
        ([], []),
    ],
)  # fmt: skip
def test_each_remedy_is_for_its_outputs(
    shapes: list[tuple[int | None, ...]], expected: list[str]
) -> None:
    outputs = [TensorSpec(f'o{n}', shape, np.dtype('f4')) for n, shape in enumerate(shapes)]
    *found, last = suggest(GraphInfo(tuple(outputs), input_size=(640, 640)))
    assert len(found) == len(expected)
    for text, part in zip(found, expected, strict=True):
        assert part in text
    assert 'docs/models.md' in last


def test_without_an_input_size_no_number_of_predictions_is_blamed() -> None:
    output = TensorSpec('o', (1, CELLS + 1, 84), np.dtype('f4'))
    assert len(suggest(GraphInfo((output,)))) == 1
