# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every layout, whatever a network writes."""

from __future__ import annotations

from typing import Any
import warnings

from doubles.no_check import NoCheck
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from trt_detector.decode import CandidateHead, DecodeOptions, GraphInfo, recognize
from trt_detector.decode.graph_info import anchor_count
from trt_detector.decode.recognize import LAYOUTS as ALL_LAYOUTS
from trt_detector.engine import InferenceEngine
from trt_detector.errors import DecodeError
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.preprocess import CpuPreprocessor, PRESETS
from trt_detector.values.batch_result import BatchResult
from trt_detector.values.candidates import Candidates
from trt_detector.values.detections import Detections
from trt_detector.values.engine_info import EngineInfo
from trt_detector.values.tensor_spec import TensorSpec

HEIGHT, WIDTH, CLASSES, ROWS = 64, 96, 3, 40
ANCHORS = anchor_count((HEIGHT, WIDTH), (8, 16, 32))
ANCHORS_PLUS = anchor_count((HEIGHT, WIDTH), (8, 16, 32, 64))
BINS = 8

Shapes = dict[str, tuple[tuple[int, ...], str]]

# Outputs of one image by layout: name, shape behind the batch dimension, dtype.
LAYOUTS: dict[str, Shapes] = {
    'end_to_end': {'out': ((ROWS, 6), 'f4')},
    'yolo': {'out': ((4 + CLASSES, ANCHORS), 'f4')},
    'yolo_transposed': {'out': ((ANCHORS, 4 + CLASSES), 'f4')},
    'yolo_objectness': {'out': ((ANCHORS, 5 + CLASSES), 'f4')},
    'yolox': {'out': ((ANCHORS, 5 + CLASSES), 'f4')},
    'yolox_decoded': {'out': ((ANCHORS, 5 + CLASSES), 'f4')},
    'yolo_split': {
        f'{kind}{stride}': ((channels, HEIGHT // stride, WIDTH // stride), 'f4')
        for stride in (8, 16, 32) for kind, channels in (('box', 64), ('scores', CLASSES))
    },
    'yolo_grid': {
        f'p{stride}': ((3, HEIGHT // stride, WIDTH // stride, 5 + CLASSES), 'f4')
        for stride in (8, 16, 32)
    },
    'darknet_grid': {
        f'p{stride}': ((3 * (5 + CLASSES), HEIGHT // stride, WIDTH // stride), 'f4')
        for stride in (8, 16, 32)
    },
    'boxes_scores': {'boxes': ((ANCHORS, 4), 'f4'), 'scores': ((ANCHORS, CLASSES), 'f4')},
    'yolov4': {'boxes': ((ANCHORS, 1, 4), 'f4'), 'confs scores': ((ANCHORS, CLASSES), 'f4')},
    'yolo_boxes_scores': {
        'boxes': ((4, ANCHORS), 'f4'), 'scores': ((CLASSES, ANCHORS), 'f4'),
    },
    'detr': {'out': ((ROWS, 4 + CLASSES), 'f4')},
    'detr_rows': {'out': ((ROWS, 6), 'f4')},
    'detr_sigmoid': {'pred_boxes': ((ROWS, 4), 'f4'), 'pred_logits': ((ROWS, CLASSES), 'f4')},
    'detr_softmax': {'pred_boxes': ((ROWS, 4), 'f4'), 'pred_logits': ((ROWS, CLASSES + 1), 'f4')},
    'detr_softmax_first': {
        'pred_boxes': ((ROWS, 4), 'f4'), 'pred_logits': ((ROWS, CLASSES + 1), 'f4'),
    },
    'detr_deploy': {
        'labels': ((ROWS,), 'i8'), 'boxes': ((ROWS, 4), 'f4'), 'scores': ((ROWS,), 'f4'),
    },
    'efficient_nms': {
        'num_dets': ((1,), 'i4'), 'det_boxes': ((ROWS, 4), 'f4'), 'det_scores': ((ROWS,), 'f4'),
        'det_classes': ((ROWS,), 'i4'),
    },
    'tf_detection': {
        'detection_boxes': ((ROWS, 4), 'f4'), 'detection_scores': ((ROWS,), 'f4'),
        'detection_classes': ((ROWS,), 'f4'),
    },
    'mmdeploy': {'dets': ((ROWS, 5), 'f4'), 'labels': ((ROWS,), 'i8')},
    'paddle': {'rows': ((6,), 'f4'), 'counts': ((), 'i4')},
    'torchvision': {'boxes': ((4,), 'f4'), 'labels': ((), 'i8'), 'scores': ((), 'f4')},
    'deepstream': {'out': ((ANCHORS, 6), 'f4')},
    'nanodet_plus': {'out': ((ANCHORS_PLUS, CLASSES + 4 * BINS), 'f4')},
    'nanodet': {'out': ((ANCHORS, CLASSES + 4 * BINS), 'f4')},
    'rows_box_class_score': {'out': ((7,), 'f4')},
    'rows_box_score_class': {'out': ((7,), 'f4')},
    'rows_class_score_box': {'out': ((7,), 'f4')},
    'rows_score_class_box': {'out': ((7,), 'f4')},
    'yolo_obb': {'out': ((4 + CLASSES + 1, ANCHORS), 'f4')},
    'obb_rows': {'out': ((ROWS, 7), 'f4')},
}  # fmt: skip
# Column of the score in rows of one class.
_SCORE_COLUMN = {
    'end_to_end': 4, 'detr_rows': 4, 'obb_rows': 4, 'deepstream': 4, 'rows_box_class_score': 6,
    'rows_box_score_class': 5, 'rows_class_score_box': 2, 'rows_score_class_box': 1,
}  # fmt: skip


class FixedEngine(InferenceEngine):
    """Answers every batch with the same outputs."""

    def __init__(self, specs: tuple[TensorSpec, ...], outputs: list[np.ndarray]) -> None:
        self._specs = specs
        self._answer = outputs

    @property
    def info(self) -> EngineInfo:
        return EngineInfo('fixed', 'fp32', 'none', '0')

    @property
    def input_spec(self) -> TensorSpec:
        return TensorSpec('images', (1, 3, HEIGHT, WIDTH), np.dtype('f4'))

    @property
    def output_specs(self) -> tuple[TensorSpec, ...]:
        return self._specs

    def get_input_shape(self) -> tuple[int, int]:
        return HEIGHT, WIDTH

    def get_batch_size(self) -> int:
        return 1

    def run(self, batch: Any) -> list[np.ndarray]:
        return self._answer

    def close(self) -> None:
        pass


def _specs(layout: str) -> tuple[TensorSpec, ...]:
    one = layout in ('torchvision', 'paddle') or layout.startswith('rows_')
    return tuple(
        TensorSpec(name, (None if one and name != 'counts' else 1, *shape), np.dtype(dtype))
        for name, (shape, dtype) in LAYOUTS[layout].items()
    )


def _run(
    layout: str, outputs: list[np.ndarray], options: DecodeOptions, width: int, height: int
) -> BatchResult:
    """Return what a detector of that layout finds in an image if the network writes this."""
    specs = _specs(layout)
    found = recognize(GraphInfo(specs, input_size=(HEIGHT, WIDTH)), layout)
    engine = FixedEngine(specs, outputs)
    prepare = CpuPreprocessor(PRESETS[found.preset], engine.input_spec, (HEIGHT, WIDTH))
    detector = Detector(
        engine,
        prepare,
        found.head,
        model_name='m',
        class_names=(),
        options=options,
        choose_input_size=None,
        warnings=(),
        description='',
        sanity=NoCheck(),
        choose_batch=False,
        class_map=None,
    )
    image = Image.from_array(np.zeros((height, width, 3), np.uint8))
    with warnings.catch_warnings():
        # NumPy must not complain of the numbers on the console of a robot either.
        warnings.simplefilter('error')
        return detector.detect([image])


def _random(layout: str, seed: int, spoil: float) -> list[np.ndarray]:
    """
    Return outputs of one image: some sensible, some extreme, some no numbers at all.

    :param spoil: share of the values that are replaced by strange ones.
    """
    rng = np.random.default_rng(seed)
    strange = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 0, -0.0, 1e-40, -1, 2])
    outputs = []
    for spec in _specs(layout):
        shape = tuple(dim or ROWS for dim in spec.shape)
        if spec.dtype.kind == 'i':
            outputs.append(rng.integers(-2, ROWS + 5, shape).astype(spec.dtype))
            continue
        # Squared or as exponents, pixels would be boxes of millions of pixels, and the shift of
        # suppression would round them by a quarter of a pixel.
        pixels = layout not in (
            'detr', 'detr_rows', 'detr_sigmoid', 'detr_softmax', 'detr_softmax_first', 'yolox',
            'yolo_grid', 'darknet_grid',
        )  # fmt: skip
        values = rng.uniform(0, 1, shape) * np.where(rng.random(shape) < 0.3 * pixels, WIDTH, 1)
        bad = rng.random(shape) < spoil
        values = np.where(bad, rng.choice(strange, shape), values)
        if spec.name == 'detection_classes':
            # They are numbered from 1.
            values[np.abs(values) < 1] = 1
        outputs.append(values.astype(spec.dtype))
    return outputs


def _check(found: Detections, options: DecodeOptions, width: int, height: int) -> None:
    """Hold what is promised of every result against one."""
    boxes, scores = found.boxes_xyxy, found.scores
    assert np.isfinite(boxes).all()
    assert np.isfinite(scores).all()
    if found.angles is None:
        assert (boxes >= 0).all()
        assert (boxes <= np.array([width, height] * 2)).all()
    else:
        assert np.isfinite(found.angles).all()
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        assert ((centers >= 0) & (centers <= np.array([width, height]))).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (np.diff(scores) <= 0).all()
    assert (found.class_ids >= 0).all()
    assert len(found) <= options.max_detections
    assert (scores >= options.minimum_score).all()
    if options.classes is not None:
        assert set(found.class_ids.tolist()) <= options.classes


def test_every_layout_is_here() -> None:
    assert tuple(LAYOUTS) == tuple(layout.name for layout in ALL_LAYOUTS)


@settings(max_examples=300, deadline=None)
@given(
    layout=st.sampled_from(list(LAYOUTS)),
    seed=st.integers(0, 2**32 - 1),
    spoil=st.sampled_from([0.0, 0.01, 0.3]),
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    score=st.sampled_from([0.0, 0.25, 0.9]),
    most=st.sampled_from([1, 7, 300]),
    classes=st.sampled_from([None, frozenset({1}), frozenset({0, 2})]),
    agnostic=st.booleans(),
)
def test_nothing_impossible_is_reported(
    layout: str,
    seed: int,
    spoil: float,
    size: tuple[int, int],
    score: float,
    most: int,
    classes: frozenset[int] | None,
    *,
    agnostic: bool,
) -> None:
    options = DecodeOptions(
        score, 0.5, most, classes, class_agnostic=agnostic, class_score_thresholds=((1, 0.5),)
    )
    result = _run(layout, _random(layout, seed, spoil), options, *size)
    _check(result.detections[0], options, *size)


def _fill_counts(layout: str, outputs: list[np.ndarray]) -> None:
    """Let the number of rows that some layouts write be that of all rows."""
    for name, output in zip(LAYOUTS[layout], outputs, strict=True):
        if name in ('num_dets', 'counts'):
            output[...] = ROWS


def _scores(layout: str, outputs: list[np.ndarray]) -> list[np.ndarray]:
    """Return views of every score, and objectness, in a layout's outputs."""
    names = list(LAYOUTS[layout])
    if layout == 'darknet_grid':
        return [a.reshape(len(a), 3, -1, *a.shape[2:])[:, :, 4:] for a in outputs]
    if layout == 'yolo_grid':
        return [array[..., 4:] for array in outputs]
    if layout == 'paddle':
        return [outputs[0][..., 1]]
    if layout == 'mmdeploy':
        return [outputs[0][..., 4]]
    if len(names) > 1:
        found = [n for n, name in enumerate(names) if 'score' in name or 'logit' in name]
        return [outputs[n] for n in found]
    if layout == 'yolo':
        return [outputs[0][:, 4:]]
    if layout == 'yolo_obb':
        return [outputs[0][:, 4:-1]]
    if layout in _SCORE_COLUMN:
        return [outputs[0][..., _SCORE_COLUMN[layout]]]
    if layout.startswith('nanodet'):
        return [outputs[0][..., :CLASSES]]
    return [outputs[0][..., 4:]]


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_give_no_detection_and_are_counted(
    layout: str, value: float
) -> None:
    outputs = _random(layout, 1, 0.0)
    _fill_counts(layout, outputs)
    options = DecodeOptions(score_threshold=0.1)
    assert _run(layout, outputs, options, 96, 64).invalid == 0
    for scores in _scores(layout, outputs):
        scores[...] = value
    result = _run(layout, outputs, options, 96, 64)
    assert len(result.detections[0]) == 0
    # Less than nothing scores too little: that needs no warning, but a share of it is none.
    assert (result.invalid > 0) == (value != -np.inf or 'detr_softmax' in layout)
    assert result.invalid == result.detections[0].invalid


def test_one_bad_box_does_not_hide_the_others() -> None:
    output = np.zeros((1, 7, ANCHORS), np.float32)
    output[0, :4] = np.array(
        [[8 + 16 * (i % 6), 8 + 16 * (i // 6), 9, 9] for i in range(ANCHORS)]
    ).T
    output[0, 5, :20] = 0.8
    output[0, 0, 3] = np.nan
    output[0, 2, 4] = np.inf
    output[0, 6, 5] = -np.inf
    result = _run('yolo', [output], DecodeOptions(), 96, 64)
    assert (len(result.detections[0]), result.invalid) == (17, 3)


def test_thresholds_of_single_classes() -> None:
    rows = np.zeros((1, ROWS, 6), np.float32)
    for n, (score, number) in enumerate([(0.9, 0), (0.5, 0), (0.5, 1), (0.2, 1), (0.2, 2)]):
        rows[0, n] = (n, n, n + 5, n + 5, score, number)
    options = DecodeOptions(score_threshold=0.4, class_score_thresholds=((0, 0.8), (1, 0.1)))
    found = _run('end_to_end', [rows], options, 96, 64).detections[0]
    assert found.class_ids.tolist() == [0, 1, 1]
    np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.2])


@settings(max_examples=150, deadline=None)
@given(
    layout=st.sampled_from(list(LAYOUTS)),
    seed=st.integers(0, 2**32 - 1),
    classes=st.frozensets(st.integers(0, CLASSES), min_size=1),
    scores=st.lists(st.sampled_from([0.0, 0.3, 0.6]), min_size=CLASSES, max_size=CLASSES),
)
def test_filter_and_thresholds_take_their_classes_out_of_all(
    layout: str, seed: int, classes: frozenset[int], scores: list[float]
) -> None:
    outputs = _random(layout, seed, 0.0)
    if 'objectness' in layout or 'yolox' in layout or 'grid' in layout:
        # Objectness rules out what scores too little, for no class score is above 1.
        for part in _scores(layout, outputs):
            np.minimum(part, 1, out=part)
    everything = DecodeOptions(score_threshold=0.0, max_detections=1000)
    whole = _run(layout, outputs, everything, 96, 64).detections[0]
    thresholds = tuple(enumerate(scores))
    options = DecodeOptions(0.5, everything.iou_threshold, 1000, classes, False, thresholds)
    found = _run(layout, outputs, options, 96, 64).detections[0]
    # Classes do not suppress each other, so what is left of one does not depend on the rest.
    least = np.array([dict(thresholds).get(n, 0.5) for n in whole.class_ids.tolist()])
    rows = (whole.scores >= least) & np.isin(whole.class_ids, list(classes))
    expected = whole.select(rows)
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, rtol=0, atol=1e-3)


def test_classes_suppress_each_other_only_if_asked() -> None:
    output = np.zeros((1, 7, ANCHORS), np.float32)
    output[0, :4, :2] = np.array([[30, 30, 20, 20]] * 2).T
    output[0, 4, 0], output[0, 5, 1] = 0.9, 0.8
    both = _run('yolo', [output], DecodeOptions(), 96, 64).detections[0]
    one = _run('yolo', [output], DecodeOptions(class_agnostic=True), 96, 64).detections[0]
    assert (both.class_ids.tolist(), one.class_ids.tolist()) == ([0, 1], [0])


@pytest.mark.parametrize('layout', LAYOUTS)
def test_half_precision_outputs_are_decoded(layout: str) -> None:
    outputs = _random(layout, 2, 0.0)
    _fill_counts(layout, outputs)
    half = [a.astype(np.float16) if a.dtype == np.float32 else a for a in outputs]
    wide = [a.astype(np.float32) if a.dtype == np.float16 else a for a in half]
    results = [_run(layout, arrays, DecodeOptions(0.3), 96, 64) for arrays in (half, wide)]
    a, b = (result.detections[0] for result in results)
    assert len(a) > 0
    assert a.class_ids.tolist() == b.class_ids.tolist()
    np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
    np.testing.assert_array_equal(a.scores, b.scores)


# Their networks have suppressed duplicates already.
SUPPRESSED = (
    'end_to_end', 'detr', 'detr_rows', 'detr_sigmoid', 'detr_softmax', 'detr_softmax_first',
    'detr_deploy', 'efficient_nms', 'tf_detection', 'mmdeploy', 'paddle', 'torchvision',
    'rows_box_class_score', 'rows_box_score_class', 'rows_class_score_box',
    'rows_score_class_box', 'obb_rows',
)  # fmt: skip


@pytest.mark.parametrize('layout', LAYOUTS)
def test_duplicates_are_suppressed_unless_the_network_has_done_it(layout: str) -> None:
    outputs = _random(layout, 3, 0.0)
    _fill_counts(layout, outputs)
    every, few = (
        _run(
            layout, outputs, DecodeOptions(0.1, iou, 1000, class_agnostic=True), 96, 64
        ).detections[0]
        for iou in (1.0, 0.01)
    )
    low = np.maximum(every.boxes_xyxy[:, None, :2], every.boxes_xyxy[:, :2])
    high = np.minimum(every.boxes_xyxy[:, None, 2:], every.boxes_xyxy[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas = np.diag(shared)
    assert np.triu(shared / (areas + areas[:, None] - shared), 1).max() > 0.1, 'some overlap'
    if layout in SUPPRESSED:
        assert few.scores.tolist() == every.scores.tolist()
    else:
        assert 0 < len(few) < len(every)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_a_score_that_is_exactly_the_threshold_is_enough(layout: str) -> None:
    outputs = _random(layout, 4, 0.0)
    _fill_counts(layout, outputs)
    for part in _scores(layout, outputs):
        np.minimum(part, 1, out=part)
    every = _run(layout, outputs, DecodeOptions(0.0, 1.0, 1000), 96, 64).detections[0]
    for rank in (0, len(every) // 2):
        threshold = float(every.scores[rank])
        if not 0 < threshold <= 1:
            continue
        found = _run(layout, outputs, DecodeOptions(threshold, 1.0, 1000), 96, 64).detections[0]
        expected = [score for score in every.scores.tolist() if score >= threshold]
        assert found.scores.tolist() == expected
        # The same with a threshold of each class.
        options = DecodeOptions(
            0.0, 1.0, 1000, class_score_thresholds=tuple((n, threshold) for n in range(WIDTH + 1))
        )
        assert _run(layout, outputs, options, 96, 64).detections[0].scores.tolist() == expected


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('spoil', [0.0, 0.02])
def test_the_candidates_of_the_rule_give_the_same_result(layout: str, spoil: float) -> None:
    specs = _specs(layout)
    head = recognize(GraphInfo(specs, input_size=(HEIGHT, WIDTH)), layout).head
    if not isinstance(head, CandidateHead):
        return
    outputs = _random(layout, 5, spoil)
    rule = head.candidate_rule
    output = outputs[rule.output][0]
    rows = output if rule.values_last else output.T
    # A GPU reads these values of each row: beyond its end they would be those of the next.
    assert 0 <= rule.first < rule.last <= rule.values <= rows.shape[1]
    # Half of the predictions have enough.
    minimum = float(np.nanmedian(rows[:, rule.first : rule.last].max(axis=1)))
    options = DecodeOptions(minimum, 0.6)
    numbers = [
        number
        for number, row in enumerate(rows.tolist())
        if any(not value < minimum for value in row[rule.first : rule.last])
    ]
    assert 0 < len(numbers) < len(rows)
    candidates = Candidates(rows[numbers, : rule.values], np.array(numbers, np.int32))
    with np.errstate(all='ignore'):
        [expected] = head.decode(outputs, options)
        [found] = head.decode_candidates([candidates], options)
    assert len(expected) > 3
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    assert (found.invalid, found.degenerate) == (expected.invalid, expected.degenerate)
    if expected.angles is not None:
        assert found.angles is not None
        np.testing.assert_array_equal(found.angles, expected.angles)


def test_every_raw_layout_of_one_output_has_a_rule() -> None:
    heads = {
        layout: recognize(GraphInfo(_specs(layout), input_size=(HEIGHT, WIDTH)), layout).head
        for layout in LAYOUTS
    }
    assert {layout for layout, head in heads.items() if isinstance(head, CandidateHead)} == {
        'yolo', 'yolo_transposed', 'yolo_objectness', 'yolox', 'yolox_decoded', 'deepstream',
        'nanodet', 'nanodet_plus', 'yolo_obb',
    }  # fmt: skip


# Boxes of these are relative to the input size, see docs/models.md.
NORMALIZED = (
    'yolov4', 'detr', 'detr_rows', 'detr_sigmoid', 'detr_softmax', 'detr_softmax_first',
    'tf_detection',
)  # fmt: skip


@pytest.mark.parametrize('layout', LAYOUTS)
def test_the_unit_of_each_layout_is_kept_and_the_other_one_scales(layout: str) -> None:
    outputs = _random(layout, 6, 0.0)
    _fill_counts(layout, outputs)
    info = GraphInfo(_specs(layout), input_size=(HEIGHT, WIDTH))
    options = DecodeOptions(0.1, 1.0, 1000)
    found = {
        unit: recognize(info, layout, boxes=unit).head.decode(outputs, options)[0]
        for unit in ('auto', 'pixels', 'normalized')
    }
    own, other = ('normalized', 'pixels') if layout in NORMALIZED else ('pixels', 'normalized')
    assert len(found['auto']) > 3
    np.testing.assert_array_equal(found[own].boxes_xyxy, found['auto'].boxes_xyxy)
    factor = np.array([WIDTH, HEIGHT] * 2, np.float64)
    if layout in NORMALIZED:
        factor = 1 / factor
    expected = found['auto'].boxes_xyxy * factor
    np.testing.assert_allclose(found[other].boxes_xyxy, expected, rtol=1e-5)


def test_the_outputs_of_one_image_are_those_without_a_batch_dimension() -> None:
    assert {layout.name for layout in ALL_LAYOUTS if layout.single_image} == {
        'paddle', 'torchvision', 'rows_box_class_score', 'rows_box_score_class',
        'rows_class_score_box', 'rows_score_class_box',
    }  # fmt: skip


def test_boxes_of_tensorflow_that_are_no_corners_are_refused() -> None:
    outputs = _random('tf_detection', 8, 0.0)
    info = GraphInfo(_specs('tf_detection'), input_size=(HEIGHT, WIDTH))
    outputs[0] = np.zeros((1, ROWS, 5), np.float32)
    with pytest.raises(DecodeError, match='expected .N, M, 4'):
        recognize(info, 'tf_detection').head.decode(outputs, DecodeOptions())
