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
