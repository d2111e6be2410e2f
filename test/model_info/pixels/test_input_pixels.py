# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on the pixels of graphs that no exporter writes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest
from trt_detector.model_info.box_form import find_box_form
from trt_detector.model_info.pixels import find_input_pixels, InputPixels


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


@pytest.mark.parametrize(
    ('kind', 'inputs', 'attributes'),
    [
        ('Split', ['images', 'sizes'], {'axis': 1}),
        ('Split', ['images'], {'axis': 1}),
        ('Gather', ['images', 'sizes'], {'axis': 1}),
        ('Slice', ['images', 'end', 'zero', 'axis'], {}),
        ('Slice', ['images', 'zero', 'end', 'axis', 'zero'], {}),
        ('Slice', ['images', 'end', 'end', 'axis'], {}),
        ('Transpose', ['images'], {'perm': [0, 1]}),
        ('Conv', ['images', 'full'], {}),
        ('Conv', ['images', 'axis'], {}),
        ('BatchNormalization', ['images', 'axis', 'axis', 'axis', 'axis'], {}),
        ('Max', ['images', 'unknown'], {}),
        ('Concat', ['images', 'axis'], {'axis': 1}),
    ],
)
def test_operators_that_cannot_be_followed_count_as_layers(
    kind: str, inputs: list[str], attributes: dict[str, object]
) -> None:
    graph = _graph(
        helper.make_node('Mul', ['images', 'half'], ['shares']),
        helper.make_node(
            kind, ['shares' if name == 'images' else name for name in inputs], ['a', 'b'],
            **attributes,
        ),
        helper.make_node('Mul', ['a', 'half'], ['more']),
        half=0.5, sizes=[7, -4], end=[9], zero=[0], axis=[1], full=np.ones((3, 3, 1, 1)),
    )  # fmt: skip
    assert find_input_pixels(graph, 'images') == InputPixels(0.5, 0.0)


@pytest.mark.parametrize(
    ('kernel', 'strides', 'patches'),
    [(16, 16, True), (14, 14, True), (8, 8, True), (4, 4, False), (16, 8, False), (3, 2, False)],
)
def test_the_patches_of_a_vision_transformer_are_found(
    kernel: int, strides: int, *, patches: bool
) -> None:
    graph = _graph(
        # DINOv3 of DEIMv2 has a stem of small convolutions beside it.
        helper.make_node('Conv', ['images', 'small'], ['stem'], kernel_shape=[3, 3]),
        helper.make_node(
            'Conv', ['images', 'large'], ['tokens'], kernel_shape=[kernel] * 2,
            strides=[strides] * 2,
        ),
        small=np.ones((8, 3, 3, 3)), large=np.ones((8, 3, kernel, kernel)),
    )  # fmt: skip
    assert find_input_pixels(graph, 'images') == InputPixels(patches=patches)


def test_a_learned_mean_near_zero_does_not_tell_the_range() -> None:
    # A batch normalization of the pixels that another step has normalized.
    assert InputPixels(gain=0.97, offset=0.02).maximum is None
    assert InputPixels(gain=1 / 255, offset=1e-5).maximum == 255
    assert InputPixels(gain=4.0, offset=-1.9).maximum == 1


def test_channels_that_double_forever_are_a_layer() -> None:
    nodes = [helper.make_node('Concat', [f'{n}', f'{n}'], [f'{n + 1}'], axis=1) for n in range(60)]
    assert find_input_pixels(_graph(*nodes), '0') == InputPixels()


def test_a_concatenation_of_nothing_has_no_form() -> None:
    assert not find_box_form(_graph(helper.make_node('Concat', [], ['out'], axis=1)), 'out')
