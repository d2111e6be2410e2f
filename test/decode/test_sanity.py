# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Values that cannot be detections: refused or warned of, and read right with the parameter."""

from __future__ import annotations

from dataclasses import replace
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper
import pytest
from support.models import constant_detector, save, tensor
from trt_detector.config import DetectorConfig
from trt_detector.decode import DecodeOptions, SanityCheck
from trt_detector.engine import HostSlot
from trt_detector.errors import DecodeError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.values.detections import Detections

SIDE = 64
ANCHORS = 8 * 8 + 4 * 4 + 2 * 2
NAMES = {'task': 'detect', 'names': "{0: 'lamp', 1: 'box'}"}
END_TO_END = {**NAMES, 'end2end': 'True'}
IMAGE = Image.from_array(np.zeros((SIDE, SIDE, 3), np.uint8))


def _open(path: Path, output: np.ndarray, props: dict[str, str], **parameters: Any) -> Detector:
    """Open a detector that answers every picture with one output, without a warm-up."""
    constant_detector(path / 'm.onnx', output, props=props)
    values = {'backend': 'onnxruntime', 'warmup_iterations': 0, **parameters}
    return create_detector(DetectorConfig(model_path=str(path / 'm.onnx'), **values))


def _yolo(boxes: list[tuple[float, ...]], background: float = 0.0) -> np.ndarray:
    """Make a YOLO output of (cx, cy, w, h, score of class 0, score of class 1)."""
    output = np.zeros((6, ANCHORS), np.float32)
    output[:4] = np.array([[32.0, 32, 8, 8]]).T
    output[4:] = background
    output[:, : len(boxes)] = np.array(boxes).T
    return output


def _rows(*rows: tuple[float, ...]) -> np.ndarray:
    """Make an end-to-end output of ten rows."""
    output = np.zeros((10, 6), np.float32)
    output[: len(rows)] = rows
    return output


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


WRONG = {
    # Name: output, metadata, part of the message, parameter that answers it.
    'logits': (_yolo([(20, 35, 20, 30, -8, 4)], -8), NAMES, 'expected 0 to 1', 'scores to logits'),
    'one logit that is a whole number': (
        np.pad(_yolo([(20, 35, 20, 30, -8, 4)])[:, :1], ((0, 0), (0, ANCHORS - 1))), NAMES,
        'a score of 4', 'scores to logits',
    ),
    'negative logits only': (
        _yolo([(20, 35, 20, 30, -3, -0.5)], -8), NAMES, 'scores of -8 to -0.5', 'scores to logits',
    ),
    'normalized boxes': (
        _yolo([(0.3, 0.5, 0.3, 0.4, 0, 0.9)]), NAMES, 'smaller than a pixel',
        'boxes to normalized',
    ),
    'keypoints as classes': (
        _yolo([(20, 35, 20, 30, 0.9, 47.5)]), NAMES, 'a score of 47.5|to 47.5', 'keypoints',
    ),
    'class before score': (
        _rows((10, 20, 30, 50, 1, 0.9), (5, 5, 20, 20, 0, 0.8), (1, 1, 9, 9, 7, 0.5)), END_TO_END,
        'scores of 0 to 7', 'the column of the scores seems to hold class numbers',
    ),
    'class before score, class 0 and 1 only': (
        _rows((10, 20, 30, 50, 1, 0.8), (5, 5, 20, 20, 0, 0.7)), END_TO_END,
        'from a whole number', 'another order',
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', WRONG)
def test_what_is_certainly_wrong_is_refused_with_the_parameter_that_answers_it(
    name: str, tmp_path: Path
) -> None:
    output, props, message, remedy = WRONG[name]
    with _open(tmp_path, output, props) as detector:
        for _ in range(2):
            with pytest.raises(DecodeError, match=message) as caught:
                detector.detect([IMAGE])
            assert remedy in str(caught.value)
        # Told once, in /diagnostics too.
        assert len(detector.info.warnings) == 1
        assert remedy in detector.info.warnings[0]


def test_a_warm_up_finds_logits_before_any_image(tmp_path: Path) -> None:
    output = _yolo([(20, 35, 20, 30, -8, 4)], -8)
    with pytest.raises(DecodeError, match='set scores to logits'):
        _open(tmp_path, output, NAMES, warmup_iterations=1)


def test_logits_are_read_with_their_parameter(tmp_path: Path) -> None:
    output = _yolo([(20, 35, 20, 30, -8, 4), (50, 50, 10, 10, -1, -9)], -8)
    options = {'scores': 'logits', 'score_threshold': 0.26, 'warmup_iterations': 1}
    with _open(tmp_path, output, NAMES, **options) as detector:
        found = detector.detect([IMAGE]).detections[0]
        assert 'logits' in detector.layout
    # sigmoid(-1) is 0.269.
    np.testing.assert_allclose(found.boxes_xyxy, [[10, 20, 30, 50], [45, 45, 55, 55]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [_sigmoid(4), _sigmoid(-1)], atol=1e-6)
    assert found.class_ids.tolist() == [1, 0]


def test_logits_of_objectness_are_read_with_their_parameter(tmp_path: Path) -> None:
    output = np.full((3 * ANCHORS, 7), -9, np.float32)
    output[5] = (20, 35, 20, 30, 2.5, -3, 1.5)
    parameters = {'scores': 'logits', 'warmup_iterations': 1, 'head': 'yolo_objectness'}
    with _open(tmp_path, output, NAMES, **parameters) as detector:
        found = detector.detect([IMAGE]).detections[0]
    np.testing.assert_allclose(found.boxes_xyxy, [[10, 20, 30, 50]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [_sigmoid(2.5) * _sigmoid(1.5)], atol=1e-6)


def test_normalized_boxes_are_read_with_their_parameter(tmp_path: Path) -> None:
    output = _yolo([(20 / 64, 35 / 64, 20 / 64, 30 / 64, 0, 0.9)])
    with _open(tmp_path, output, NAMES, boxes='normalized') as detector:
        found = detector.detect([IMAGE]).detections[0]
    np.testing.assert_allclose(found.boxes_xyxy, [[10, 20, 30, 50]], atol=1e-4)
    assert found.class_ids.tolist() == [1]


def test_boxes_in_pixels_of_a_normalized_layout_need_their_parameter(tmp_path: Path) -> None:
    output = _rows((20, 35, 20, 30, 0.9, 1))
    with (
        _open(tmp_path, output, END_TO_END, head='detr_rows') as detector,
        pytest.raises(DecodeError, match='far outside the input .* set boxes to pixels'),
    ):
        detector.detect([IMAGE])
    with _open(tmp_path, output, END_TO_END, head='detr_rows', boxes='pixels') as detector:
        found = detector.detect([IMAGE]).detections[0]
    np.testing.assert_allclose(found.boxes_xyxy, [[10, 20, 30, 50]], atol=1e-3)


def test_class_values_are_rounded(tmp_path: Path) -> None:
    output = _rows((10, 20, 30, 50, 0.9, 0.9995), (40, 40, 60, 60, 0.8, 0.0004))
    with _open(tmp_path, output, END_TO_END) as detector:
        assert detector.detect([IMAGE]).detections[0].class_ids.tolist() == [1, 0]
    with _open(tmp_path, output, END_TO_END, classes=('box',)) as detector:
        assert detector.detect([IMAGE]).detections[0].class_ids.tolist() == [1]


def test_a_class_without_a_name_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = _rows((10, 20, 30, 50, 0.9, 7))
    with _open(tmp_path, output, END_TO_END) as detector:
        for _ in range(3):
            assert detector.detect([IMAGE]).detections[0].class_ids.tolist() == [7]
        [warning] = detector.info.warnings
    assert 'class 7 was found, but there are 2 class names' in warning
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        warning
    ]


def test_boxes_without_area_are_warned_of(tmp_path: Path) -> None:
    # Center and size where corners are expected.
    output = _rows((40, 35, 20, 30, 0.9, 1), (50, 50, 8, 8, 0.8, 0))
    with _open(tmp_path, output, END_TO_END) as detector:
        assert len(detector.detect([IMAGE]).detections[0]) == 0
        [warning] = detector.info.warnings
    assert '2 candidates have no area' in warning


def test_a_rounding_error_of_a_score_is_not_published(tmp_path: Path) -> None:
    with _open(tmp_path, _rows((10, 20, 30, 50, 1.001, 1)), END_TO_END) as detector:
        found = detector.detect([IMAGE]).detections[0]
        assert detector.info.warnings == ()
    assert found.scores.tolist() == [1.0]


def test_scores_above_one_pass_only_by_the_rounding_of_the_precision() -> None:
    above = _detections((5, 5, 30, 30), score=1.02)
    SanityCheck('yolo', None, quantized=True).check(above, (SIDE, SIDE))
    with pytest.raises(DecodeError, match='a score of 1.02'):
        SanityCheck('yolo', None).check(above, (SIDE, SIDE))
    with pytest.raises(DecodeError, match='a score of 1.06'):
        SanityCheck('yolo', None, quantized=True).check(
            _detections((5, 5, 30, 30), score=1.06), (SIDE, SIDE)
        )


def _detections(*boxes: tuple[float, ...], score: float = 0.9) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, score, np.float32),
        np.zeros(count, np.int32),
    )


def test_tiny_boxes_pass_once_others_were_seen() -> None:
    check = SanityCheck('yolo', None)
    tiny = _detections((0, 0, 0.5, 0.5))
    with pytest.raises(DecodeError, match='smaller than a pixel') as caught:
        check.check(tiny, (SIDE, SIDE))
    # Only rows that a network has selected can be those of a DETR.
    assert 'detr_rows' not in str(caught.value)
    check.check(_detections((0, 0, 0.5, 0.5), (10, 10, 30, 30)), (SIDE, SIDE))
    check.check(tiny, (SIDE, SIDE))
    assert len(check.warnings) == 1


def test_boxes_that_reach_beyond_the_input_are_warned_of_once_enough_were_seen() -> None:
    wrong = _detections((8, 8, 72, 72), (0, 0, 20, 20), (15, 15, 75, 75))
    check = SanityCheck('yolo', None)
    for _ in range(9):
        check.check(wrong, (SIDE, SIDE))
    assert check.warnings == ()
    for _ in range(9):
        check.check(wrong, (SIDE, SIDE))
    [warning] = check.warnings
    assert '20 of the first 30 boxes reach far beyond the input of 64x64' in warning
    # Objects that the edge cuts reach a little beyond it.
    check = SanityCheck('yolo', None)
    for _ in range(40):
        check.check(_detections((-4, 10, 30, 66), (50, 50, 68, 60)), (SIDE, SIDE))
    assert check.warnings == ()


@pytest.mark.parametrize('far', [(-8, 8, 30, 40), (8, -8, 40, 30), (8, 8, 40, 72)])
def test_boxes_that_reach_beyond_any_edge_are_warned_of(far: tuple[float, ...]) -> None:
    check = SanityCheck('yolo', None)
    for _ in range(40):
        check.check(_detections(far), (SIDE, SIDE))
    assert len(check.warnings) == 1


def test_boxes_that_all_reach_a_little_beyond_an_edge_are_no_reason() -> None:
    check = SanityCheck('yolo', None)
    for _ in range(40):
        check.check(_detections((-4, 8, 30, 40), (8, -4, 30, 40), (2, 2, 68, 60)), (SIDE, SIDE))
    assert check.warnings == ()


def test_boxes_far_outside_the_input_name_the_unit_to_set() -> None:
    check = SanityCheck('yolo', None)
    with pytest.raises(DecodeError, match='far outside the input.*set boxes to pixels if'):
        check.check(_detections((6400, 6400, 12800, 12800)), (SIDE, SIDE))


@pytest.mark.parametrize(
    ('box', 'refused'),
    [
        # Centers at -1.25, -0.75, 1.75 and 2.25 times the size.
        ((-100, 10, -60, 20), True),
        ((-68, 10, -28, 20), False),
        ((92, 10, 132, 20), False),
        ((124, 10, 164, 20), True),
    ],
)
@pytest.mark.parametrize('upright', [True, False])
def test_boxes_are_far_outside_one_size_beyond_the_edge(
    box: tuple[float, ...], *, refused: bool, upright: bool
) -> None:
    left, top, right, bottom = box
    found = _detections((top, left, bottom, right) if upright else box)
    # The other side is longer: each direction counts by its own.
    size = (SIDE, 4 * SIDE) if upright else (4 * SIDE, SIDE)
    check = SanityCheck('yolo', None)
    if not refused:
        check.check(found, size)
        return
    with pytest.raises(DecodeError, match='far outside the input'):
        check.check(found, size)


@pytest.mark.parametrize(('outside', 'warned'), [(15, False), (16, True)])
def test_more_than_half_of_the_first_boxes_have_to_reach_beyond(
    outside: int, *, warned: bool
) -> None:
    check = SanityCheck('yolo', None, dense=True)
    beyond = _detections(*[(10, 10, 50, 75)] * outside)
    check.check(beyond, (SIDE, 4 * SIDE))
    # Further right than the height, but within the width.
    inside = _detections(*[(100, 10, 250, 60)] * (30 - outside))
    check.check(inside, (SIDE, 4 * SIDE))
    assert len(check.warnings) == warned


@pytest.mark.parametrize(('names', 'warned'), [(1, True), (2, True), (3, False), (4, False)])
def test_the_first_class_without_a_name_is_warned_of(names: int, *, warned: bool) -> None:
    found = replace(_detections((5, 5, 30, 30)), class_ids=np.array([2], np.int32))
    check = SanityCheck('yolo', names)
    check.check(found, (SIDE, SIDE))
    assert len(check.warnings) == warned


@pytest.mark.parametrize(('side', 'refused'), [(0.75, True), (1.25, False)])
def test_boxes_of_less_than_a_pixel_are_refused(side: float, *, refused: bool) -> None:
    found = _detections((30, 30, 30 + side, 30.5), (9, 9, 9.25, 9 + side))
    check = SanityCheck('yolo', None)
    if not refused:
        check.check(found, (SIDE, SIDE))
        return
    with pytest.raises(DecodeError, match='smaller than a pixel.*set boxes to normalized'):
        check.check(found, (SIDE, SIDE))


@pytest.mark.parametrize(('edge', 'refused'), [(1.25, True), (2.0, False)])
def test_normalized_boxes_may_reach_a_little_beyond_the_picture(
    edge: float, *, refused: bool
) -> None:
    found = _detections((-0.25, 0, edge, 1))
    check = SanityCheck('yolo', None)
    if not refused:
        check.check(found, (SIDE, SIDE))
        return
    with pytest.raises(DecodeError, match='smaller than a pixel'):
        check.check(found, (SIDE, SIDE))


def test_every_kind_of_warning_has_its_own_turn() -> None:
    check = SanityCheck('yolo', 1, dense=True)
    for _ in range(2):
        check.check(replace(Detections.empty(), invalid=1), (SIDE, SIDE))
        check.check(replace(Detections.empty(), degenerate=1), (SIDE, SIDE))
        found = _detections(*[(8, 8, 72, 72)] * 30)
        check.check(replace(found, class_ids=np.full(30, 1, np.int32)), (SIDE, SIDE))
    assert len(check.warnings) == 4


def test_a_few_boxes_without_area_are_no_reason() -> None:
    check = SanityCheck('yolo', None)
    check.check(replace(_detections((5, 5, 30, 30), (9, 9, 40, 40)), degenerate=2), (SIDE, SIDE))
    assert check.warnings == ()


def test_an_image_without_detections_says_nothing() -> None:
    check = SanityCheck('yolo', 3)
    check.check(Detections.empty(), (SIDE, SIDE))
    check.probe(Detections.empty(), (SIDE, SIDE))
    assert check.warnings == ()


def test_an_image_of_non_finite_candidates_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = np.full((3, 6), np.nan)
    with _open(tmp_path, output, END_TO_END) as detector, caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert len(detector.detect([IMAGE]).detections[0]) == 0
        [warning] = detector.info.warnings
    assert '3 candidates with NaN or infinite values' in warning
    assert 'precision' in warning
    assert [record.getMessage() for record in caplog.records] == [warning]


def test_non_finite_candidates_beside_detections_are_no_warning(tmp_path: Path) -> None:
    output = _rows((10, 10, 30, 30, 0.9, 1), (10, 10, 30, 30, math.nan, 0))
    with _open(tmp_path, output, END_TO_END) as detector:
        found = detector.detect([IMAGE]).detections[0]
        assert (len(found), found.invalid) == (1, 1)
        assert detector.info.warnings == ()


def test_the_first_live_batches_are_probed_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minimums: list[float] = []
    start = HostSlot.start

    def record(slot: HostSlot, count: int, minimum_score: float) -> None:
        minimums.append(minimum_score)
        start(slot, count, minimum_score)

    monkeypatch.setattr(HostSlot, 'start', record)
    output = _yolo([(20, 35, 20, 30, 0, 0.9)])
    with _open(tmp_path, output, NAMES, warmup_iterations=3, batch_size=1) as detector:
        warm_up = len(minimums)
        for _ in range(5):
            detector.detect([IMAGE])
    assert minimums[:warm_up] == [-math.inf, 0.25, 0.25]
    assert minimums[warm_up:] == [-math.inf] * 3 + [0.25] * 2


def _predictions(scores: np.ndarray, boxes: np.ndarray | None = None) -> Detections:
    """Make predictions of every cell of a 64x64 input, spread over it unless boxes are given."""
    count = len(scores)
    if boxes is None:
        corner = np.linspace(0, SIDE - 9, count)[:, None]
        boxes = np.concatenate((corner, corner, corner + 8, corner + 8), axis=1)
    return Detections(
        boxes.astype(np.float32), scores.astype(np.float32), np.zeros(count, np.int32)
    )


@pytest.mark.parametrize(
    ('scores', 'refused'),
    [
        # What a Sigmoid makes of scores of 0 to 1 lies between 0.5 and 0.73.
        (1 / (1 + np.exp(-np.linspace(0, 1, ANCHORS))), True),
        (np.linspace(0.5, 1, ANCHORS), True),
        (np.linspace(0.4, 1, ANCHORS), False),
        (np.linspace(0.5, 1, 50), True),
        (np.linspace(0.5, 1, 49), False),
    ],
)
def test_scores_without_any_background_are_refused(scores: np.ndarray, *, refused: bool) -> None:
    check = SanityCheck('yolo', None, dense=True)
    if not refused:
        check.probe(_predictions(scores), (SIDE, SIDE))
        return
    message = f'for all {len(scores)} predictions.*set scores to probabilities'
    with pytest.raises(DecodeError, match=message):
        check.probe(_predictions(scores), (SIDE, SIDE))
    # Selected boxes have no background.
    SanityCheck('end_to_end', None).probe(_predictions(scores), (SIDE, SIDE))


@pytest.mark.parametrize(
    ('low', 'high', 'refused'),
    [(0.5, 0.731, True), (0.5, 0.74, False), (0.49, 0.731, False), (0.9, 0.99, False)],
)
def test_queries_may_all_be_objects_but_pass_a_sigmoid_once(
    low: float, high: float, *, refused: bool
) -> None:
    check = SanityCheck('detr_sigmoid', None, queries=True)
    found = _predictions(np.linspace(low, high, ANCHORS))
    if not refused:
        check.probe(found, (SIDE, SIDE))
        # Told once, because a background may be read as a class.
        [warning] = check.warnings
        assert 'most often for class 0' in warning
        return
    with pytest.raises(DecodeError, match=r'for all 84 predictions.*Sigmoid may be applied twice'):
        check.probe(found, (SIDE, SIDE))


@pytest.mark.parametrize(('foreground', 'warned'), [(41, False), (43, True)])
def test_scores_with_little_background_are_warned_of_once(
    foreground: int, *, warned: bool
) -> None:
    scores = np.full(ANCHORS, 0.01)
    scores[:foreground] = 0.3
    check = SanityCheck('yolo', None, dense=True)
    for _ in range(2):
        check.probe(_predictions(scores), (SIDE, SIDE))
    assert len(check.warnings) == warned
    assert all('half of 84 predictions have a score of 0.3' in text for text in check.warnings)


@pytest.mark.parametrize(
    ('right', 'bottom', 'message'),
    [
        (1.0, 1.0, 'set boxes to normalized'),
        (1.0, 9.0, 'offsets in cells'),
        (12.0, 9.0, 'offsets in cells'),
        (17.0, 9.0, ''),
        (9.0, 17.0, ''),
    ],
)
def test_predictions_that_all_lie_in_a_corner_are_refused(
    right: float, bottom: float, message: str
) -> None:
    centers = np.linspace(0, 1, ANCHORS)[:, None] * (right, bottom)
    boxes = np.concatenate((centers - 0.5, centers + 0.5), axis=1)
    found = _predictions(np.full(ANCHORS, 0.01), boxes)
    # Boxes of one object may all be there, and the user may have told the unit.
    few = replace(found, degenerate=2)
    SanityCheck('yolo', None, dense=True).probe(few, (SIDE, SIDE))
    for given, dense in ((False, False), (True, True)):
        SanityCheck('yolo', None, dense=dense, boxes_given=given).probe(found, (SIDE, SIDE))
    check = SanityCheck('yolo', None, dense=True)
    if not message:
        check.probe(found, (SIDE, SIDE))
        return
    with pytest.raises(DecodeError, match=f'all 84 predictions lie left of .*{message}'):
        check.probe(found, (SIDE, SIDE))


@pytest.mark.parametrize('upright', [True, False])
def test_the_corner_is_a_part_of_each_side(*, upright: bool) -> None:
    # A quarter of 256 is 64, one of 64 is 16: centers up to 32 and 8 are in the corner.
    size, far = ((256, SIDE), (8.0, 32.0)) if upright else ((SIDE, 256), (32.0, 8.0))
    centers = np.linspace(0, 1, ANCHORS)[:, None] * far
    found = _predictions(
        np.full(ANCHORS, 0.01), np.concatenate((centers - 2, centers + 2), axis=1)
    )
    with pytest.raises(DecodeError, match='84 predictions lie left of'):
        SanityCheck('yolo', None, dense=True).probe(found, size)
    SanityCheck('yolo', None, dense=True).probe(found, size[::-1])


def test_every_prediction_has_a_class_with_a_name() -> None:
    found = _predictions(np.full(ANCHORS, 0.01))
    found.class_ids[3] = 2
    for names, count in ((2, 1), (3, 0)):
        check = SanityCheck('yolo', names)
        check.probe(found, (SIDE, SIDE))
        assert len(check.warnings) == count


def test_scores_below_zero_pass_only_by_the_rounding() -> None:
    scores = np.full(ANCHORS, 0.01)
    scores[5] = -0.001
    SanityCheck('yolo', None).probe(_predictions(scores), (SIDE, SIDE))
    scores[5] = -0.003
    with pytest.raises(DecodeError, match=r'scores of -0\.003 to 0\.01'):
        SanityCheck('yolo', None).probe(_predictions(scores), (SIDE, SIDE))
    SanityCheck('yolo', None, quantized=True).probe(_predictions(scores), (SIDE, SIDE))


def test_normalized_boxes_are_found_in_the_warm_up(tmp_path: Path) -> None:
    output = np.zeros((6, ANCHORS), np.float32)
    output[:4] = np.linspace(0.1, 0.9, ANCHORS)
    with pytest.raises(DecodeError, match='set boxes to normalized'):
        _open(tmp_path, output, NAMES, warmup_iterations=1)
    with _open(tmp_path, output, NAMES, warmup_iterations=1, boxes='normalized') as detector:
        assert detector.info.warnings == ()


def test_logits_parameter_on_scores_is_refused(tmp_path: Path) -> None:
    output = _yolo([(20, 35, 20, 30, 0, 0.9)], 0.001)
    with (
        _open(tmp_path, output, NAMES, scores='logits') as detector,
        pytest.raises(DecodeError, match='set scores to probabilities'),
    ):
        detector.detect([IMAGE])


def test_an_output_of_minus_infinity_is_warned_of(tmp_path: Path) -> None:
    output = np.full((6, ANCHORS), -math.inf, np.float32)
    with _open(tmp_path, output, NAMES) as detector:
        assert len(detector.detect([IMAGE]).detections[0]) == 0
        [warning] = detector.info.warnings
    assert f'{ANCHORS} candidates with NaN or infinite values' in warning


def test_probe_options_return_every_prediction() -> None:
    options = DecodeOptions(
        0.9, 0.1, 1, frozenset({1}), class_score_thresholds=((0, 0.5),), class_map=(1, 1)
    )
    probe = SanityCheck.probe_options(options)
    assert probe.minimum_score == -math.inf
    assert (probe.iou_threshold, probe.classes) == (1.0, None)
    assert (probe.class_score_thresholds, probe.class_map) == ((), None)
    # YOLO11 has 34,000 predictions at 1280x1280.
    assert probe.max_detections > 1_000_000


@pytest.mark.parametrize('images', [1, 2])
def test_outputs_of_another_number_of_images_are_refused(images: int, tmp_path: Path) -> None:
    output = np.stack([_yolo([(20, 35, 20, 30, 0, 0.9)])] * (3 - images))
    nodes = [
        helper.make_node('ReduceMean', ['images'], ['mean'], axes=[0, 1, 2, 3], keepdims=0),
        helper.make_node('Mul', ['mean', 'zero'], ['nothing']),
        helper.make_node('Add', ['answer', 'nothing'], ['output0']),
    ]
    save(
        tmp_path / 'm.onnx',
        nodes,
        inputs={'images': (images, 3, SIDE, SIDE)},
        outputs={'output0': output.shape},
        initializers=[tensor('zero', np.float32(0)), tensor('answer', output)],
        metadata=NAMES,
    )
    config = DetectorConfig(model_path=str(tmp_path / 'm.onnx'), backend='onnxruntime')
    with pytest.raises(DecodeError, match=rf'shapes .{3 - images}, 6, 84. for {images} image'):
        create_detector(config)
