# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters boxes and scores, for layouts with either unit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from trt_detector.decode import DecodeOptions, GraphInfo, Head, recognize
from trt_detector.errors import ModelError
from trt_detector.values.tensor_spec import TensorSpec

HEIGHT, WIDTH = 64, 128
CELLS = 8 * 16 + 4 * 8 + 2 * 4


def _open(layout: str, boxes: str, scores: str, size: tuple[int, int] | None) -> Head:
    shape = (1, 6, CELLS) if layout == 'yolo' else (1, 10, 6)
    info = GraphInfo((TensorSpec('output0', shape, np.dtype('f4')),), input_size=size)
    return recognize(info, layout, boxes=boxes, scores=scores).head


@pytest.mark.parametrize('boxes', ['auto', 'pixels', 'normalized'])
@pytest.mark.parametrize('scores', ['auto', 'probabilities', 'logits'])
def test_a_unit_and_a_kind_of_scores_are_read_as_told(boxes: str, scores: str) -> None:
    size = (WIDTH, HEIGHT) if boxes == 'normalized' else (1, 1)
    output = np.zeros((1, 6, CELLS), np.float32)
    output[0, 4:] = -9
    output[0, :, 7] = (48 / size[0], 32 / size[1], 32 / size[0], 16 / size[1], -9, 0.625)
    head = _open('yolo', boxes, scores, (HEIGHT, WIDTH))
    assert head.num_classes == 2
    expected = [text for text in (boxes, scores) if text != 'auto']
    assert head.layout.split(', ')[-len(expected) :] == expected or not expected
    assert 'auto' not in head.layout
    found = head.decode([output], DecodeOptions(0.3))[0]
    np.testing.assert_allclose(found.boxes_xyxy, [[32, 24, 64, 40]], atol=1e-4)
    score = 1 / (1 + math.exp(-0.625)) if scores == 'logits' else 0.625
    np.testing.assert_allclose(found.scores, [score], atol=1e-6)
    assert found.class_ids.tolist() == [1]


@pytest.mark.parametrize('boxes', ['auto', 'pixels', 'normalized'])
def test_a_normalized_layout_is_read_in_pixels_only_if_told(boxes: str) -> None:
    size = (1, 1) if boxes == 'pixels' else (WIDTH, HEIGHT)
    output = np.zeros((1, 10, 6), np.float32)
    output[0, 3] = (48 / size[0], 32 / size[1], 32 / size[0], 16 / size[1], 0.75, 1)
    head = _open('detr_rows', boxes, 'probabilities', (HEIGHT, WIDTH))
    found = head.decode([output], DecodeOptions(0.3))[0]
    np.testing.assert_allclose(found.boxes_xyxy, [[32, 24, 64, 40]], atol=1e-4)


def test_normalized_boxes_need_an_input_size() -> None:
    with pytest.raises(ModelError, match="boxes is 'normalized'.*set input_shape"):
        _open('yolo', 'normalized', 'auto', None)
    for boxes in ('auto', 'pixels'):
        assert 'logits' in _open('yolo', boxes, 'logits', None).layout


@pytest.mark.parametrize('layout', ['detr_sigmoid', 'detr_softmax'])
@pytest.mark.parametrize('scores', ['auto', 'probabilities', 'logits'])
@pytest.mark.parametrize('inside', [False, True])
def test_class_values_of_a_detr_are_read_as_told(
    layout: str, scores: str, *, inside: bool
) -> None:
    # The graph may end with the activation already.
    tail = frozenset({'Softmax' if layout == 'detr_softmax' else 'Sigmoid'} if inside else {'Add'})
    classes = 3 if layout == 'detr_softmax' else 2
    info = GraphInfo(
        (
            TensorSpec('pred_boxes', (1, 10, 4), np.dtype('f4')),
            TensorSpec('pred_logits', (1, 10, classes), np.dtype('f4')),
        ),
        input_size=(HEIGHT, WIDTH),
        tails={'pred_logits': tail},
    )
    head = recognize(info, layout, scores=scores).head
    values = np.full((1, 10, classes), -9, np.float32)
    values[0, 4] = (0.25, 0.75, 0.5)[:classes]
    boxes = np.full((1, 10, 4), 0.5, np.float32)
    found = head.decode([boxes, values], DecodeOptions(0.3))[0]
    if scores == 'probabilities' or (inside and scores == 'auto'):
        expected = 0.75
    elif layout == 'detr_sigmoid' or inside:
        expected = 1 / (1 + math.exp(-0.75))
    else:
        expected = math.exp(0.75) / sum(math.exp(value) for value in (0.25, 0.75, 0.5))
    assert found.scores[0] == pytest.approx(expected, abs=1e-6)
    assert found.class_ids[0] == 1
    np.testing.assert_allclose(found.boxes_xyxy[0], [32, 16, 96, 48], atol=1e-4)


@pytest.mark.parametrize('given', ['logits', 'auto'])
@pytest.mark.parametrize('layout', ['yolo_split', 'yolo_grid', 'darknet_grid'])
def test_logits_of_maps_and_their_sigmoids_give_the_same(layout: str, given: str) -> None:
    rng = np.random.default_rng(7)
    specs, logits, scores = [], [], []
    for stride in (8, 16, 32):
        rows, columns = HEIGHT // stride, WIDTH // stride
        if layout == 'yolo_split':
            box = rng.uniform(0, 3, (1, 64, rows, columns)).astype('f4')
            values = rng.normal(-1, 2, (1, 2, rows, columns)).astype('f4')
            arrays = [(box, box), (values, 1 / (1 + np.exp(-values)))]
        elif layout == 'yolo_grid':
            values = rng.normal(-1, 2, (1, 3, rows, columns, 7)).astype('f4')
            arrays = [(values, 1 / (1 + np.exp(-values)))]
        else:
            values = rng.normal(-1, 2, (1, 3, 7, rows, columns)).astype('f4')
            done = 1 / (1 + np.exp(-values))
            # Width and height are exponents in both.
            done[:, :, 2:4] = values[:, :, 2:4]
            shape = (1, 21, rows, columns)
            arrays = [(values.reshape(shape), done.reshape(shape))]
        for raw, plain in arrays:
            specs.append(TensorSpec(f'o{len(specs)}', raw.shape, np.dtype('f4')))
            logits.append(raw)
            scores.append(plain)
    info = GraphInfo(tuple(specs), input_size=(HEIGHT, WIDTH), num_names=2)
    read = recognize(info, layout, scores=given).head
    plain_head = recognize(info, layout, scores='probabilities').head
    options = DecodeOptions(0.3, 0.99)
    found = read.decode(logits, options)[0]
    expected = plain_head.decode(scores, options)[0]
    assert len(expected) > 5
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, rtol=1e-4, atol=1e-3)
    # What is told counts, whatever the values look like.
    positive = [np.abs(array) for array in logits]
    as_logits = recognize(info, layout, scores='logits').head.decode(positive, options)[0]
    assert len(as_logits) > 0
    assert as_logits.scores.max() < 1
