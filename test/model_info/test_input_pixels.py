# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on the pixels of graphs that no exporter writes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest
from trt_detector.model_info.box_form import find_box_form
from trt_detector.model_info.input_pixels import find_input_pixels, InputPixels


def _graph(*nodes: onnx.NodeProto, **constants: object) -> onnx.GraphProto:
    tensors = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    return helper.make_graph(list(nodes), 'g', [], [], tensors)


@pytest.mark.parametrize(
    ('nodes', 'expected'),
    [
        # Channels whose factors cancel each other, and a factor of 0.
        ([('Mul', ['images', 'opposite'])], InputPixels(0.0, 0.0)),
        ([('Mul', ['images', 'zero'])], InputPixels()),
        ([('Div', ['images', 'zero'])], InputPixels()),
        ([('Div', ['one', 'images'])], InputPixels()),
        ([('Add', ['images', 'images'])], InputPixels()),
        ([('Gather', ['images'])], InputPixels()),
        ([('Slice', ['images', 'one'])], InputPixels()),
        # Two readers: the arithmetic is a branch of the network.
        ([('Mul', ['images', 'half']), ('Add', ['images', 'half'])], InputPixels()),
        ([('Shape', ['images']), ('Mul', ['images', 'half'])], InputPixels(0.5, 0.0)),
    ],
)
def test_arithmetic_that_says_nothing(
    nodes: list[tuple[str, list[str]]], expected: InputPixels
) -> None:
    graph = _graph(
        *(helper.make_node(kind, names, [f'{n}']) for n, (kind, names) in enumerate(nodes)),
        opposite=[1.0, -2.0, 1.0], zero=0.0, one=1.0, half=0.5,
    )  # fmt: skip
    found = find_input_pixels(graph, 'images')
    assert found == expected
    assert found.maximum is None or found.is_scaled


def test_a_concatenation_of_nothing_has_no_form() -> None:
    assert not find_box_form(_graph(helper.make_node('Concat', [], ['out'], axis=1)), 'out')
