# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs that have the shape of another layout: told by their values, and read right if told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import constant_detector
from trt_detector.config import DetectorConfig
from trt_detector.decode import SanityCheck
from trt_detector.decode.doubts import check_exchanged, check_rows, read_rows
from trt_detector.errors import ConfigError, DecodeError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.values.candidates import CandidateRule, Candidates
from trt_detector.values.detections import Detections

HEIGHT, WIDTH = 64, 96
ANCHORS = 8 * 12 + 4 * 6 + 2 * 3
IMAGE = Image.from_array(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
# An object that fires at three anchors, as it does in real networks: its best score and its box.
SCORES = (0.9, 0.8, 0.7)
CENTER = (20.0, 35.0, 20.0, 30.0)
CORNERS = [[10, 20, 30, 50]]


def _open(path: Path, output: np.ndarray, **parameters: Any) -> Detector:
    """Open a detector that answers every picture with one output, without a warm-up."""
    constant_detector(path / 'm.onnx', output, size=(HEIGHT, WIDTH))
    values = {'backend': 'onnxruntime', 'warmup_iterations': 0, **parameters}
    return create_detector(DetectorConfig(model_path=str(path / 'm.onnx'), **values))


def _rows(columns: int, label: int, objectness: int | None = None) -> np.ndarray:
    """
    Make rows of boxes all over the input, and one object of a class.

    :param columns: number of values after the box.
    :param label: column of the class.
    :param objectness: column of the objectness, None for none.
    """
    rng = np.random.default_rng(0)
    rows = rng.uniform(0, 0.01, (ANCHORS, 4 + columns))
    rows[:, :2] = rng.uniform(4, (WIDTH - 4, HEIGHT - 4), (ANCHORS, 2))
    rows[:, 2:4] = rng.uniform(2, 8, (ANCHORS, 2))
    for anchor, score in enumerate(SCORES):
        rows[20 + anchor, :4] = CENTER
        rows[20 + anchor, 4 + label] = score
        if objectness is not None:
            rows[20 + anchor, 4 + objectness] = 1.0
    return rows.astype(np.float32)


def _names(count: int) -> tuple[str, ...]:
    return tuple(f'name {number}' for number in range(count))


def test_81_classes_are_told_from_objectness(tmp_path: Path) -> None:
    classes = _rows(81, 0)
    with _open(tmp_path, classes) as detector:
        # Before any image.
        [assumed] = detector.info.warnings
        assert 'objectness and 80 classes' in assumed
        assert 'give class_names, or set head to yolo_transposed' in assumed
        detector.detect([IMAGE])
        assert 'no class above 0.1' in detector.info.warnings[-1]
        assert 'yolo_transposed if the model has 81 classes' in detector.info.warnings[-1]
    # One name too few makes it objectness, too.
    with _open(tmp_path, classes, class_names=_names(80)) as detector:
        assert detector.info.warnings == ()
        for _ in range(2):
            detector.detect([IMAGE])
        [told] = detector.info.warnings
    assert 'the first class, or the background, may be read as objectness' in told
    for parameters in ({'head': 'yolo_transposed'}, {'class_names': _names(81)}):
        with _open(tmp_path, classes, **parameters) as detector:
            found = detector.detect([IMAGE]).detections[0]
            assert detector.info.warnings == ()
        np.testing.assert_allclose(found.boxes_xyxy, CORNERS, atol=1e-3)
        assert (found.class_ids.tolist(), found.scores.tolist()) == ([0], [np.float32(0.9)])


@pytest.mark.parametrize('parameters', [{'class_names': _names(80)}, {'head': 'yolo_objectness'}])
def test_objectness_that_the_user_told_is_no_doubt(
    parameters: dict[str, Any], tmp_path: Path
) -> None:
    with _open(tmp_path, _rows(81, 3, objectness=0), **parameters) as detector:
        found = detector.detect([IMAGE]).detections[0]
        assert detector.info.warnings == ()
    np.testing.assert_allclose(found.boxes_xyxy, CORNERS, atol=1e-3)
    assert found.class_ids.tolist() == [2]


@pytest.mark.parametrize('rows_first', [True, False])
def test_objectness_as_a_class_comes_with_a_second_one(
    *, rows_first: bool, tmp_path: Path
) -> None:
    rows = _rows(6, 3, objectness=0)
    with _open(tmp_path, rows if rows_first else rows.T, class_names=_names(6)) as detector:
        detector.detect([IMAGE])
        [told] = detector.info.warnings
    assert '3 of 3 predictions of class 0 have a second class' in told
    assert told.endswith('with 5 class_names')
    assert ('(with a Transpose) and set head to yolo_objectness' in told) != rows_first
    with _open(tmp_path, rows, class_names=_names(5), head='yolo_objectness') as detector:
        found = detector.detect([IMAGE]).detections[0]
        assert detector.info.warnings == ()
    assert found.class_ids.tolist() == [2]


@pytest.mark.parametrize('extra', [1, 32])
def test_small_values_of_another_task_are_no_classes(extra: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = _rows(5, 3)
    rest = rng.uniform(-0.1, 0.1, (ANCHORS, extra)).astype(np.float32)
    output = np.concatenate((rows, rest), axis=1).T
    with _open(tmp_path, output) as detector:
        with pytest.raises(DecodeError, match=f'the last {extra} of {5 + extra} class columns'):
            detector.detect([IMAGE])
        [told] = detector.info.warnings
    assert 'set head to yolo_obb for an angle' in told
    if extra == 1:
        with _open(tmp_path, output, head='yolo_obb', class_names=_names(5)) as detector:
            found = detector.detect([IMAGE]).detections[0]
            assert detector.info.warnings == ()
        assert found.class_ids.tolist() == [3]
        assert found.angles is not None


@pytest.mark.parametrize(
    ('names', 'remedy'),
    [(5, 'set head to yolo_obb if'), (1, 'task .and kpt_shape. in m.yaml if the last 5 values')],
)
def test_values_of_another_task_are_more_than_the_names(
    names: int, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f'has {names} names .* 6 classes.*, or {remedy}'):
        _open(tmp_path, _rows(6, 3).T, class_names=_names(names))


@pytest.mark.parametrize('columns', [1, 3])
def test_corners_are_not_read_as_center_and_size(columns: int, tmp_path: Path) -> None:
    rows = _rows(columns, 0)
    low, high = rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2
    rows[:, :2], rows[:, 2:4] = low, high
    with (
        _open(tmp_path, rows.T, class_names=_names(columns)) as detector,
        pytest.raises(DecodeError, match='x1, y1, x2, y2 seem to be read as center x'),
    ):
        detector.detect([IMAGE])


def _read_corners(low: np.ndarray, high: np.ndarray) -> Detections:
    """Read corners (n, 2) as center and size."""
    boxes = np.concatenate((low - high / 2, low + high / 2), axis=1).astype(np.float32)
    count = len(boxes)
    return Detections(boxes, np.full(count, 0.01, np.float32), np.zeros(count, np.int32))


def test_corners_of_queries_are_told() -> None:
    low = np.linspace(0, 1, 60)[:, None] * (WIDTH - 9, HEIGHT - 9)
    check = SanityCheck('detr_sigmoid', None, queries=True)
    check.probe(_read_corners(low, low + 8), (HEIGHT, WIDTH))
    [told] = check.warnings
    assert 'wider than their center x' in told


@pytest.mark.parametrize('flags', [{'dense': True}, {'queries': True}])
def test_boxes_that_fill_the_input_are_no_corners(flags: dict[str, bool]) -> None:
    near = np.random.default_rng(2).uniform(0, 9, (60, 2))
    size = np.array((WIDTH, HEIGHT)) - near
    check = SanityCheck('yolo', None, **flags)
    # Right centers and sizes, of which each is wider than its center x.
    check.probe(_read_corners((near + size) / 2, size - near), (HEIGHT, WIDTH))
    assert check.warnings == ()


@pytest.mark.parametrize('axis', [0, 1])
def test_boxes_beyond_one_side_only_are_no_corners(axis: int) -> None:
    low = np.linspace(0, 1, 60)[:, None] * (WIDTH - 9, HEIGHT - 9)
    high = low + 8
    # Nothing reaches far beyond the other side.
    low[:, axis], high[:, axis] = 2, 6
    check = SanityCheck('detr_sigmoid', None, queries=True)
    check.probe(_read_corners(low, high), (HEIGHT, WIDTH))
    assert check.warnings == ()


RULE = CandidateRule(0, values_last=False, values=6, first=4, last=6)


def test_values_on_a_device_are_checked_like_those_of_the_output() -> None:
    rows = np.zeros((7, 8), np.float32)
    rows[2, 5] = -0.5
    rows[:, 6:] = -9
    candidates = [Candidates(rows[:, :6], np.arange(7, dtype=np.int32))]
    for read in (
        read_rows(RULE, [rows.T[None]], None),
        read_rows(RULE, [], candidates),
    ):
        [one] = read
        np.testing.assert_array_equal(one, rows[:, :6])
        found = check_rows('yolo', RULE, one, 0.002)
        assert found is not None
        assert found.certain
        assert 'values down to -0.5 in the last 1 of 2 class columns' in found.text
        assert 'yolo_obb' in found.text


@pytest.mark.parametrize(
    ('low', 'tolerance', 'found'),
    [(-0.003, 0.002, True), (-0.001, 0.002, False), (-0.04, 0.05, False), (-np.inf, 0.002, False)],
)
def test_only_values_beyond_the_rounding_count(
    low: float, tolerance: float, *, found: bool
) -> None:
    rows = np.zeros((7, 6), np.float32)
    rows[2, 4] = low
    assert (check_rows('yolo', RULE, rows, tolerance) is not None) == found


@pytest.mark.parametrize(
    'layout', ['yolo', 'yolo_transposed', 'yolo_obb', 'nanodet', 'nanodet_plus']
)
def test_negative_classes_are_told_for_each_layout_that_has_a_column_per_class(
    layout: str,
) -> None:
    rows = np.zeros((7, 7), np.float32)
    rows[2, 5] = -0.5
    # Three predictions of class 0 with a second class: less certain, so not told.
    rows[3:6, 4], rows[3:6, 5] = 0.9, 0.4
    found = check_rows(layout, RULE, rows, 0.002)
    assert found is not None
    assert (found.kind, found.certain) == ('negative', True)
    # Another layout has no angle that it could miss.
    assert ('set head to yolo_obb' in found.text) == (layout == 'yolo')


def test_classes_that_are_all_negative_are_no_angle() -> None:
    found = check_rows('yolo', RULE, np.full((7, 6), -1, np.float32), 0.002)
    assert found is not None
    assert 'values down to -1 in 2 of 2 class columns' in found.text
    assert 'yolo_obb' not in found.text


def test_no_prediction_is_no_doubt() -> None:
    assert check_rows('yolo', RULE, np.empty((0, 6), np.float32), 0.002) is None


@pytest.mark.parametrize(
    ('first', 'second', 'count', 'found'),
    [
        (0.6, 0.4, 3, True),
        (0.6, 0.2, 3, False),
        (0.4, 0.4, 3, False),
        (0.6, 0.4, 2, False),
    ],
)
def test_few_or_weak_second_classes_are_no_doubt(
    first: float, second: float, count: int, *, found: bool
) -> None:
    rows = np.zeros((50, 6), np.float32)
    rows[:count, 4], rows[:count, 5] = first, second
    assert (check_rows('yolo', RULE, rows, 0.002) is not None) == found


@pytest.mark.parametrize(('count', 'found'), [(17, False), (19, True)])
def test_nine_of_ten_objects_have_to_agree(count: int, *, found: bool) -> None:
    rows = np.zeros((50, 6), np.float32)
    rows[:20, 4], rows[:count, 5] = 0.9, 0.4
    assert (check_rows('yolo', RULE, rows, 0.002) is not None) == found
    rule = CandidateRule(0, values_last=True, values=8, first=4, last=5)
    rows = np.zeros((50, 8), np.float32)
    rows[:20, 4], rows[count:20, 6] = 0.9, 0.6
    assert (check_rows('yolo_objectness', rule, rows, 0.002) is not None) == found


def test_a_single_class_has_no_second_one() -> None:
    rule = CandidateRule(0, values_last=False, values=5, first=4, last=5)
    assert check_rows('yolo', rule, np.full((7, 5), 0.9, np.float32), 0.002) is None


@pytest.mark.parametrize('layout', ['yolo_objectness', 'yolox', 'yolox_decoded'])
def test_a_constant_objectness_is_none(layout: str) -> None:
    rule = CandidateRule(0, values_last=True, values=8, first=4, last=5)
    rows = np.zeros((50, 8), np.float32)
    rows[:, 4] = 1
    assert check_rows(layout, rule, rows, 0.002) is None
    rows[10:, 4] = 0
    assert check_rows(layout, rule, rows, 0.002) is not None
    rows[2:, 4] = 0
    assert check_rows(layout, rule, rows, 0.002) is None
    rows[:10, 4], rows[:10, 5] = 1, 0.2
    assert check_rows(layout, rule, rows, 0.002) is None


@pytest.mark.parametrize(
    ('angles', 'found'),
    [
        ((0.0, 0.0, 0.0, 0.0), False),
        ((0.0, 0.0, 0.0, 0.9), True),
        # A quarter turn, and one to the left.
        ((0.0, 0.0, 0.0, 1.57), False),
        ((0.0, 0.0, 0.0, -0.7), False),
    ],
)
def test_angles_of_mostly_upright_boxes_are_no_class(
    angles: tuple[float, ...], *, found: bool
) -> None:
    rows = np.zeros((4, 7), np.float32)
    rows[:, 6] = angles
    assert (check_rows('yolo_obb', RULE, rows, 0.002) is not None) == found


def test_a_class_is_not_read_as_an_angle(tmp_path: Path) -> None:
    output = _rows(5, 3).T
    with _open(tmp_path, output, head='yolo_obb') as detector:
        detector.detect([IMAGE])
        [told] = detector.info.warnings
    assert 'the last class may be read as the angle: set head to yolo' in told
    # A quarter turn is none of a score.
    output[-1] = np.linspace(0, 1.5, ANCHORS)
    with _open(tmp_path, output, head='yolo_obb') as detector:
        detector.detect([IMAGE])
        assert detector.info.warnings == ()


@pytest.mark.parametrize('degrees', [30, -30])
def test_angles_in_degrees_are_refused(degrees: float, tmp_path: Path) -> None:
    output = _rows(5, 3).T
    output[-1] = degrees
    with (
        _open(tmp_path, output, head='yolo_obb') as detector,
        pytest.raises(DecodeError, match='an angle of 30; expected radians'),
    ):
        detector.detect([IMAGE])


def test_selected_rows_of_a_detr_are_told_from_corners(tmp_path: Path) -> None:
    rows = np.zeros((10, 6), np.float32)
    rows[0] = (20 / WIDTH, 35 / HEIGHT, 20 / WIDTH, 30 / HEIGHT, 0.9, 1)
    rows[1] = (0.2, 0.2, 0.3, 0.3, 0.8, 0)
    with (
        _open(tmp_path, rows) as detector,
        pytest.raises(DecodeError, match='set boxes to normalized .*, head to detr_rows if'),
    ):
        detector.detect([IMAGE])
    with _open(tmp_path, rows, head='detr_rows') as detector:
        found = detector.detect([IMAGE]).detections[0]
    np.testing.assert_allclose(found.boxes_xyxy[:1], CORNERS, atol=1e-3)


def test_boxes_that_begin_with_y_are_refused_on_the_first_image(tmp_path: Path) -> None:
    rows = _rows(3, 1)
    with _open(tmp_path, rows, head='yolo_transposed', class_names=_names(3)) as detector:
        [found] = detector.detect([IMAGE]).detections
        np.testing.assert_allclose(found.boxes_xyxy, CORNERS, atol=1e-3)
    rows[:, :4] = rows[:, [1, 0, 3, 2]]
    with (
        _open(tmp_path, rows, head='yolo_transposed', class_names=_names(3)) as detector,
        pytest.raises(DecodeError, match='x and y may be exchanged'),
    ):
        detector.detect([IMAGE])


@pytest.mark.parametrize(
    ('spread_xy', 'input_size', 'exchanged'),
    [
        ((64, 96), (64, 96), True),
        ((96, 64), (96, 64), True),
        ((96, 64), (64, 96), False),
        ((64, 96), (96, 64), False),
        # All in a corner is another fault; a square does not tell.
        ((64, 64), (64, 96), False),
        ((96, 96), (96, 96), False),
        ((120, 120), (96, 96), False),
    ],
)
def test_exchanged_coordinates_need_a_long_side(
    spread_xy: tuple[int, int], input_size: tuple[int, int], *, exchanged: bool
) -> None:
    centers = np.random.default_rng(0).uniform(0, spread_xy, (200, 2))
    boxes = np.concatenate((centers - 4, centers + 4), axis=1).astype(np.float32)
    doubt = check_exchanged(boxes, input_size)
    assert (doubt is not None and doubt.certain) == exchanged
