# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""PaddleDetection's rows of class, score and box, and its inputs of image sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest
from support.planted import (
    assert_same,
    dark_and_bright,
    Found,
    HEIGHT,
    open_planted,
    WIDTH,
)  # fmt: skip
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.errors import ModelError
from trt_detector.image.image import Image
from trt_detector.values.tensor_spec import TensorSpec

# (left, top, right, bottom, score, class) in pixels of the network's input, best first.
PLANTED: list[list[Found]] = [
    [(10.0, 4.0, 40.0, 24.0, 0.9, 3), (50.0, 20.0, 90.0, 60.0, 0.8, 0)],
    [(0.0, 0.0, 96.0, 64.0, 0.99, 1), (6.0, 7.0, 8.0, 9.0, 0.5, 79), (3.0, 3.0, 9.0, 9.0, 0.4, 2)],
]  # fmt: skip


def _rows(image: list[Found]) -> list[list[float]]:
    return [[number, score, *box] for *box, score, number in image]


def _build(path: Path, inputs: tuple[str, ...]) -> Path:
    """
    Write a model that scales what is planted to the original image, as Paddle's do.

    The first planted image is dark, the second one bright: its third row is missing in the first.
    """
    answers = np.full((2, 3, 6), -1, np.float32)
    for n, image in enumerate(PLANTED):
        answers[n, : len(image)] = _rows(image)
    # From pixels of the input to the size that the inputs say.
    if 'im_shape' in inputs:
        answers[:, :, 2:] /= np.array([WIDTH, HEIGHT] * 2, np.float32)
    constants = {
        'answers': answers, 'counts': np.array([2, 3], np.int32), 'half': np.float32(0.5),
        'zero': np.array([0]), 'two': np.array([2]), 'end': np.array([6]), 'one': np.array([1]),
        'swap': np.array([1, 0, 1, 0]), 'first': np.array(0),
    }  # fmt: skip
    nodes = [
        helper.make_node('ReduceMean', ['image'], ['mean'], keepdims=0),
        helper.make_node('Greater', ['mean', 'half'], ['bright']),
        helper.make_node('Cast', ['bright'], ['which'], to=TensorProto.INT64),
        helper.make_node('Gather', ['answers', 'which'], ['all'], axis=0),
        helper.make_node('Gather', ['counts', 'which'], ['number'], axis=0),
        helper.make_node('Cast', ['number'], ['last'], to=TensorProto.INT64),
        helper.make_node('Unsqueeze', ['last', 'zero'], ['limit']),
        helper.make_node('Slice', ['all', 'zero', 'limit', 'zero'], ['found']),
        helper.make_node('Slice', ['found', 'zero', 'two', 'one'], ['head']),
        helper.make_node('Slice', ['found', 'two', 'end', 'one'], ['box']),
        # [N, 2] of y, x to the four edges x, y, x, y of the first image.
        helper.make_node('Gather', ['scale_factor', 'swap'], ['scale'], axis=1),
        helper.make_node('Gather', ['scale', 'first'], ['edges'], axis=0),
        helper.make_node('Div', ['box', 'edges'], ['scaled']),
    ]
    box = 'scaled'
    if 'im_shape' in inputs:
        nodes += [
            helper.make_node('Gather', ['im_shape', 'swap'], ['sides'], axis=1),
            helper.make_node('Gather', ['sides', 'first'], ['size'], axis=0),
            helper.make_node('Mul', ['scaled', 'size'], ['sized']),
        ]
        box = 'sized'
    nodes += [
        helper.make_node('Concat', ['head', box], ['multiclass_nms3_0.tmp_0'], axis=1),
        helper.make_node('Unsqueeze', ['number', 'zero'], ['multiclass_nms3_0.tmp_2']),
    ]
    real, whole = TensorProto.FLOAT, TensorProto.INT32
    values = [
        helper.make_tensor_value_info('multiclass_nms3_0.tmp_0', real, ('n', 6)),
        helper.make_tensor_value_info('multiclass_nms3_0.tmp_2', whole, ('batch',)),
    ]
    sides = [helper.make_tensor_value_info(name, real, ('batch', 2)) for name in inputs]
    image = helper.make_tensor_value_info('image', real, ('batch', 3, HEIGHT, WIDTH))
    graph = helper.make_graph(
        nodes, 'paddle', [image, *sides], values,
        initializer=[numpy_helper.from_array(v, name) for name, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize('inputs', [('scale_factor',), ('im_shape', 'scale_factor')])
def test_the_inputs_for_sizes_are_filled(inputs: tuple[str, ...], tmp_path: Path) -> None:
    path = _build(tmp_path / 'm.onnx', inputs)
    before = path.read_bytes()
    with open_planted(path) as detector:
        assert detector.batch_size == 1
        assert 'detr_imagenet' in detector.info.warnings[0]
        found = [detector.detect([image]).detections[0] for image in dark_and_bright()]
        # Stretched, so that every edge is mapped by the size of its own axis.
        wide = Image.from_array(np.full((2 * HEIGHT, 5 * WIDTH, 3), 255, np.uint8))
        larger = detector.detect([wide]).detections[0]
    for image in (0, 1):
        assert_same(found[image], PLANTED[image])
    grown = [(5 * b[0], 2 * b[1], 5 * b[2], 2 * b[3], b[4], b[5]) for b in PLANTED[1]]
    assert_same(larger, grown)
    assert path.read_bytes() == before


def test_rows_are_split_by_the_counts_of_a_batch() -> None:
    outputs = [np.array([5, 0, 3]), np.zeros((8, 6), np.float32)]
    specs = (
        TensorSpec('bbox_num', (None,), np.dtype('i4')),
        TensorSpec('bbox', (None, 6), np.dtype('f4')),
    )
    outputs[1][:5] = [[n, 0.9 - 0.1 * n, n, n, n + 9, n + 9] for n in range(5)]
    outputs[1][5:] = [[-1, -1, 0, 0, 0, 0], [7, np.nan, 0, 0, 9, 9], [8, 0.5, 0, 0, 9, 9]]
    head = recognize(GraphInfo(specs, input_size=(64, 96))).head
    found = head.decode(outputs, DecodeOptions())
    assert [f.class_ids.tolist() for f in found] == [[0, 1, 2, 3, 4], [], [8]]
    assert [f.invalid for f in found] == [0, 0, 1]
    np.testing.assert_allclose(found[0].boxes_xyxy[4], [4, 4, 13, 13])


def test_rows_under_other_names_are_refused() -> None:
    specs = (
        TensorSpec('a', (None, 6), np.dtype('f4')), TensorSpec('b', (None,), np.dtype('i4'))
    )  # fmt: skip
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(GraphInfo(specs, input_size=(64, 96)))


@pytest.mark.parametrize('batch_size', [0, 2])
def test_a_fixed_batch_of_several_images_is_refused(batch_size: int, tmp_path: Path) -> None:
    path = _build(tmp_path / 'm.onnx', ('scale_factor',))
    model = onnx.load(path)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r'a fixed batch of 2; export it with a batch of 1'):
        open_planted(path, batch_size=batch_size)
