# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes and class values of a DETR in two outputs: names, and values that are scores already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.planted import assert_same, dark_and_bright, Found, HEIGHT, open_planted, plant, WIDTH
from trt_detector.decode import GraphInfo, recognize
from trt_detector.errors import DecodeError
from trt_detector.values.tensor_spec import TensorSpec

QUERIES = 50
# Per image, in pixels.
PLANTED: list[list[Found]] = [
    [(10, 20, 40, 50, 0.9, 1), (50, 4, 90, 36, 0.8, 0)],
    [(40, 12, 64, 60, 0.6, 3), (8, 8, 24, 40, 0.5, 2)],
]


def _answers(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Make boxes [2, Q, 4] and scores [2, Q, C]."""
    boxes = np.full((2, QUERIES, 4), 0.3)
    scores = np.full((2, QUERIES, classes), 0.001)
    for image, found in enumerate(PLANTED):
        for row, (left, top, right, bottom, score, label) in enumerate(found):
            boxes[image, row] = (
                (left + right) / 2 / WIDTH,
                (top + bottom) / 2 / HEIGHT,
                (right - left) / WIDTH,
                (bottom - top) / HEIGHT,
            )
            scores[image, row, label] = score
    return boxes.astype(np.float32), scores.astype(np.float32)


def _logits(scores: np.ndarray) -> np.ndarray:
    return np.log(scores / (1 - scores))


def _add_background(scores: np.ndarray, *, first: bool) -> np.ndarray:
    """Add the share of the background to scores [2, Q, C], which sum to less than 1."""
    parts = [1 - scores.sum(axis=2, keepdims=True), scores]
    return np.concatenate(parts if first else parts[::-1], axis=2).astype(np.float32)


@pytest.mark.parametrize('masks', [False, True])
@pytest.mark.parametrize('boxes_first', [True, False])
def test_four_classes_are_told_from_the_boxes_by_the_names_of_rf_detr(
    *, boxes_first: bool, masks: bool, tmp_path: Path
) -> None:
    boxes, scores = _answers(4)
    outputs = {'dets': boxes, 'labels': _logits(scores)}
    if not boxes_first:
        outputs = dict(reversed(outputs.items()))
    if masks:
        outputs['masks'] = np.zeros((2, QUERIES, 16, 24), np.float32)
    path = plant(tmp_path / 'm.onnx', outputs, metadata={'names': "['a', 'b', 'c', 'd']"})
    with open_planted(path) as detector:
        assert detector.info.warnings == ()
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], PLANTED[image])


@pytest.mark.parametrize('given', ['auto', 'probabilities'])
@pytest.mark.parametrize('head', ['detr_sigmoid', 'detr_softmax', 'detr_softmax_first'])
def test_values_that_are_scores_already_are_read_as_such(
    head: str, given: str, tmp_path: Path
) -> None:
    boxes, scores = _answers(4)
    if head != 'detr_sigmoid':
        scores = _add_background(scores, first=head == 'detr_softmax_first')
    path = plant(tmp_path / 'm.onnx', {'pred_boxes': boxes, 'logits': scores})
    with open_planted(path, head=head, scores=given, preprocess_preset='detr') as detector:
        found = detector.detect(dark_and_bright()).detections
        assert detector.info.warnings == ()
    for image in (0, 1):
        assert_same(found[image], PLANTED[image])


def test_scores_that_pass_a_sigmoid_twice_are_refused(tmp_path: Path) -> None:
    boxes, scores = _answers(4)
    path = plant(tmp_path / 'm.onnx', {'pred_boxes': boxes, 'logits': scores})
    with (
        open_planted(path, head='detr_sigmoid', scores='logits') as detector,
        pytest.raises(DecodeError, match=r'for all 50 predictions.*set scores to probabilities'),
    ):
        detector.detect(dark_and_bright())


@pytest.mark.parametrize('first', [False, True])
def test_a_background_at_the_other_end_is_told(*, first: bool, tmp_path: Path) -> None:
    boxes, scores = _answers(4)
    values = np.log(_add_background(scores, first=first)) + np.float32(3)
    path = plant(tmp_path / 'm.onnx', {'pred_boxes': boxes, 'pred_logits': values})
    right, wrong = ('detr_softmax_first', 'detr_softmax')[:: 1 if first else -1]
    for head in (wrong, 'detr_sigmoid'):
        with open_planted(path, head=head) as detector:
            detector.detect(dark_and_bright())
            assert any(f'to {right} if' in text for text in detector.info.warnings)
    with open_planted(path, head=right, preprocess_preset='detr') as detector:
        found = detector.detect(dark_and_bright()).detections
        assert detector.info.warnings == ()
        assert detector.class_names == ('0', '1', '2', '3')
    for image in (0, 1):
        assert_same(found[image], PLANTED[image])


@pytest.mark.parametrize('classes', [1, 4])
def test_values_for_a_sigmoid_are_told_from_those_with_a_background(
    classes: int, tmp_path: Path
) -> None:
    boxes, scores = _answers(4)
    # Deformable DETR has a value more than classes, which no object uses.
    values = np.concatenate((_logits(scores[..., :classes]), np.full((2, QUERIES, 1), -9.0)), 2)
    outputs = {'pred_boxes': boxes, 'pred_logits': values.astype(np.float32)}
    path = plant(tmp_path / 'm.onnx', outputs)
    names = [f'name {number}' for number in range(classes)]
    with open_planted(path, class_names=tuple(names)) as detector:
        detector.detect(dark_and_bright())
        assert 'head detr_softmax ' in detector.description
        told = ' '.join(detector.info.warnings)
    assert f'set head to detr_sigmoid, with {classes + 1} class_names' in told
    parameters = {'head': 'detr_sigmoid', 'preprocess_preset': 'detr'}
    with open_planted(path, class_names=(*names, 'none'), **parameters) as detector:
        found = detector.detect(dark_and_bright()).detections
        assert detector.info.warnings == ()
    for image in (0, 1):
        assert_same(found[image], [one for one in PLANTED[image] if one[5] < classes])


@pytest.mark.parametrize('names', [3, 4])
def test_rf_detr_has_a_sigmoid_whatever_the_number_of_names(names: int, tmp_path: Path) -> None:
    boxes, scores = _answers(4)
    scores[..., names:] = 0.001
    path = plant(tmp_path / 'm.onnx', {'dets': boxes, 'labels': _logits(scores)})
    class_names = tuple(f'name {number}' for number in range(names))
    with open_planted(path, class_names=class_names) as detector:
        found = detector.detect(dark_and_bright()).detections
        assert len(detector.info.warnings) == (names < 4)
        assert all('4 values for 3 class names' in text for text in detector.info.warnings)
    for image in (0, 1):
        assert_same(found[image], [one for one in PLANTED[image] if one[5] < names])


def test_classes_that_are_numbered_from_1_are_told(tmp_path: Path) -> None:
    boxes, scores = _answers(4)
    path = plant(tmp_path / 'm.onnx', {'dets': boxes, 'labels': _logits(scores)})
    with open_planted(path, class_names=('a', 'b', 'c')) as detector:
        # Class 3, the last of four, is found in the second image.
        detector.detect(dark_and_bright())
        assumed, told = detector.info.warnings
    assert 'give 4 class_names' in assumed
    assert 'is the best one of 1 queries' in told
    with open_planted(path, class_names=('none', 'a', 'b', 'c')) as detector:
        found = detector.detect(dark_and_bright()).detections
        assert detector.info.warnings == ()
    for image in (0, 1):
        assert_same(found[image], PLANTED[image])


@pytest.mark.parametrize(
    ('operator', 'layout'), [('Sigmoid', 'detr_sigmoid'), ('Softmax', 'detr_softmax')]
)
def test_the_activation_in_the_graph_tells_the_background(operator: str, layout: str) -> None:
    outputs = (
        TensorSpec('logits', (1, 100, 92), np.dtype('f4')),
        TensorSpec('pred_boxes', (1, 100, 4), np.dtype('f4')),
    )
    tails = {'logits': frozenset({'Add', operator})}
    info = GraphInfo(outputs, input_size=(640, 640), tails=tails)
    found = recognize(info)
    assert found.name == layout
    assert found.head.num_classes == (92 if operator == 'Sigmoid' else 91)
