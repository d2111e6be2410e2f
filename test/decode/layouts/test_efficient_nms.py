# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of suppression plugins under any names, in pixels or normalized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.planted import (
    assert_same,
    dark_and_bright,
    Found,
    HEIGHT,
    open_planted,
    plant,
    WIDTH,
)  # fmt: skip
from trt_detector.decode import GraphInfo, recognize
from trt_detector.errors import ModelError
from trt_detector.preprocess import PRESETS
from trt_detector.values.tensor_spec import TensorSpec

ROWS = 6
COUNTS = [3, 5]


def _answers(seed: int = 0) -> list[np.ndarray]:
    """Make count, boxes in pixels, scores and classes of two images, best first."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 30, (2, ROWS, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(5, 30, (2, ROWS, 2))), axis=2)
    scores = -np.sort(-rng.uniform(0.35, 1, (2, ROWS)), axis=1)
    classes = rng.integers(0, 4, (2, ROWS))
    count = np.array(COUNTS)[:, None]
    return [
        count.astype(np.int32),
        boxes.astype(np.float32),
        scores.astype(np.float32),
        classes.astype(np.int32),
    ]


def _expected(answers: list[np.ndarray], image: int) -> list[Found]:
    _, boxes, scores, classes = answers
    return [
        (*boxes[image, n].tolist(), float(scores[image, n]), int(classes[image, n]))
        for n in range(COUNTS[image])
    ]


def _plant(path: Path, answers: list[np.ndarray], names: Sequence[str], order: str) -> Path:
    named = list(zip(names, answers, strict=True))
    return plant(path, dict(named[int(n)] for n in order))


@pytest.mark.parametrize(
    ('names', 'order'),
    [
        (('num_dets', 'det_boxes', 'det_scores', 'det_classes'), '0123'),
        (('num_dets', 'bboxes', 'scores', 'labels'), '0123'),
        (('num', 'boxes', 'scores', 'classes'), '3120'),
        (('num_predictions', 'pred_boxes', 'pred_scores', 'pred_classes'), '0123'),
        (('graph2_a', 'graph2_b', 'graph2_c', 'graph2_d'), '2103'),
    ],
)
@pytest.mark.parametrize('normalized', [False, True])
def test_outputs_under_any_names(
    names: tuple[str, ...], order: str, *, normalized: bool, tmp_path: Path
) -> None:
    answers = _answers()
    planted = list(answers)
    if normalized:
        planted[1] = answers[1] / np.array([WIDTH, HEIGHT] * 2, np.float32)
    with open_planted(_plant(tmp_path / 'm.onnx', planted, names, order)) as detector:
        for _ in range(2):
            found = detector.detect(dark_and_bright()).detections
            for image in (0, 1):
                assert_same(found[image], _expected(answers, image))


@pytest.mark.parametrize('names', [
    ('num_detections', 'nmsed_boxes', 'nmsed_scores', 'nmsed_classes'),
    ('BatchedNMS', 'BatchedNMS_1', 'BatchedNMS_2', 'BatchedNMS_3'),
    ('valid', 'boxes', 'scores', 'labels'),
])  # fmt: skip
def test_classes_may_be_real_numbers_if_names_tell(names: tuple[str, ...], tmp_path: Path) -> None:
    answers = _answers(1)
    planted = [*answers[:3], answers[3].astype(np.float32)]
    path = _plant(tmp_path / 'm.onnx', planted, names, '1032')
    with open_planted(path) as detector:
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], _expected(answers, image))


def test_a_small_box_of_a_model_with_pixels_is_not_scaled(tmp_path: Path) -> None:
    answers = _answers(2)
    # The dark image alone could be normalized; the bright one before it tells.
    answers[1][0] = np.array([0.25, 0.5, 1.5, 1.0], np.float32)
    path = _plant(tmp_path / 'm.onnx', answers, ('n', 'boxes', 'scores', 'classes'), '0123')
    dark, bright = dark_and_bright()
    with open_planted(path) as detector:
        detector.detect([bright])
        found = detector.detect([dark]).detections[0]
    assert_same(found, _expected(answers, 0))


def test_rows_that_are_not_finite_are_counted_and_left_out(tmp_path: Path) -> None:
    answers = _answers(3)
    answers[1][0, 1, 2] = np.nan
    answers[2][1, 0] = np.inf
    path = _plant(tmp_path / 'm.onnx', answers, ('n', 'boxes', 'scores', 'classes'), '0123')
    with open_planted(path) as detector:
        found = detector.detect(dark_and_bright()).detections
    assert [(len(f), f.invalid) for f in found] == [(2, 1), (4, 1)]


def _info(*outputs: tuple[str, tuple[int | None, ...], str]) -> GraphInfo:
    specs = [TensorSpec(name, shape, np.dtype(kind)) for name, shape, kind in outputs]
    return GraphInfo(tuple(specs), input_size=(64, 96))


@pytest.mark.parametrize(
    'outputs',
    [
        # Which of two outputs of real numbers are the scores?
        [('a', (1, 1), 'i4'), ('b', (1, 9, 4), 'f4'), ('c', (1, 9), 'f4'), ('d', (1, 9), 'f4')],
        # No count, and different rows.
        [('a', (1, 9), 'i4'), ('b', (1, 9, 4), 'f4'), ('c', (1, 9), 'f4'), ('d', (1, 9), 'i4')],
        [('a', (1, 1), 'i4'), ('b', (1, 9, 4), 'f4'), ('c', (1, 8), 'f4'), ('d', (1, 9), 'i4')],
        # Known names, and dimensions that contradict them.
        [
            ('num_dets', (1, 7), 'i4'),
            ('det_boxes', (1, 9, 4), 'f4'),
            ('det_scores', (1, 9), 'f4'),
            ('det_classes', (1, 9), 'i4'),
        ],
        [
            ('num_dets', (1, 1), 'i4'),
            ('det_boxes', (1, 9, 4), 'f4'),
            ('det_scores', (3, 9), 'f4'),
            ('det_classes', (1, 9), 'i4'),
        ],
    ],
)
def test_outputs_that_cannot_be_told_apart_are_refused(
    outputs: list[tuple[str, tuple[int, ...], str]],
) -> None:
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(_info(*outputs))


def test_open_numbers_of_rows_are_no_contradiction() -> None:
    # super-gradients leaves them open, and only outputs of rank 3 are resolved by a trial run.
    specs = [('n', (1, 1), 'i8'), ('b', (1, 1000, 4), 'f4'), ('s', (1, None), 'f4'),
             ('c', (1, None), 'i8')]  # fmt: skip
    assert recognize(_info(*specs)).name == 'efficient_nms'


def test_models_of_tao_bring_their_preprocessing() -> None:
    names = ('BatchedNMS', 'BatchedNMS_1', 'BatchedNMS_2', 'BatchedNMS_3')
    shapes = [(1, 1), (1, 9, 4), (1, 9), (1, 9)]
    outputs = [(name, shape, 'f4') for name, shape in zip(names, shapes, strict=True)]
    spec = PRESETS[recognize(_info(*outputs)).preset]
    assert (spec.mode, spec.anchor, spec.pad_value) == ('letterbox', 'top_left', 0)
    assert (spec.color, spec.scale, spec.mean[0]) == ('bgr', 1, 103.939)


@pytest.mark.parametrize(('count', 'warned'), [('valid_detections', True), ('counts', False)])
def test_boxes_that_tensorflow_may_have_mirrored_are_warned_of(
    count: str, *, warned: bool, tmp_path: Path
) -> None:
    names = [count, 'nmsed_boxes', 'nmsed_scores', 'nmsed_classes']
    path = _plant(tmp_path / 'm.onnx', _answers(), names, '0123')
    with open_planted(path) as detector:
        assert len(detector.info.warnings) == warned
        assert all('mirrored along the diagonal' in text for text in detector.info.warnings)


def test_outputs_of_a_tensorflow_graph_are_warned_of_under_any_names() -> None:
    outputs = [('Identity:0', (1, 9, 4), 'f4'), ('Identity_1:0', (1, 9), 'i4')]
    outputs += [('Identity_2:0', (1, 9), 'f4'), ('Identity_3:0', (1,), 'i4')]
    info = _info(*outputs)
    assert recognize(info).warnings == ()
    [warning] = recognize(replace(info, from_tensorflow=True)).warnings
    assert 'mirrored along the diagonal' in warning


@pytest.mark.parametrize('boxes', ['boxes', 'bboxes'])
def test_models_of_mmyolo_do_not_tell_their_preprocessing(boxes: str) -> None:
    outputs = [('num_dets', (1, 1), 'i8'), (boxes, (1, 9, 4), 'f4')]
    outputs += [('scores', (1, 9), 'f4'), ('labels', (1, 9), 'i4')]
    found = recognize(_info(*outputs))
    assert ('RTMDet needs preprocess_preset' in found.assumption) == (boxes == 'boxes')


def test_rows_of_padding_do_not_tell_the_unit(tmp_path: Path) -> None:
    # The count is that of all rows, and most of them hold nothing.
    answers = _answers()
    answers[0][:] = ROWS
    for padding, array in ((-1, answers[1]), (-1, answers[2]), (-1, answers[3])):
        array[:, 2:] = padding
    names = ['num_dets', 'det_boxes', 'det_scores', 'det_classes']
    path = _plant(tmp_path / 'm.onnx', answers, names, '0123')
    with open_planted(path, batch_size=1) as detector:
        dark, bright = (detector.detect([image]).detections[0] for image in dark_and_bright())
    assert_same(dark, _expected(answers, 0)[:2])
    assert_same(bright, _expected(answers, 1)[:2])


@pytest.mark.parametrize('outlier', [np.inf, 3.0])
def test_one_large_coordinate_does_not_make_pixels_of_normalized_boxes(
    outlier: float, tmp_path: Path
) -> None:
    answers = _answers()
    boxes = answers[1] / np.array([WIDTH, HEIGHT] * 2, np.float32)
    # The first of three objects in the dark image.
    boxes[0, 0, 2] = outlier
    names = ['num_dets', 'det_boxes', 'det_scores', 'det_classes']
    path = _plant(tmp_path / 'm.onnx', [answers[0], boxes, *answers[2:]], names, '0123')
    with open_planted(path, batch_size=1) as detector:
        dark, bright = (detector.detect([image]).detections[0] for image in dark_and_bright())
    rest = _expected(answers, 0)[1:]
    np.testing.assert_allclose(dark.boxes_xyxy[-2:], [found[:4] for found in rest], atol=1e-3)
    assert_same(bright, _expected(answers, 1))
