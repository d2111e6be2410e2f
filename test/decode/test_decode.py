# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Head layouts: recognition, decoding against a plain decoder, and suppression."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from trt_detector.decode import DecodeOptions, GraphInfo, Head, recognize
from trt_detector.decode.nms import batched_nms
from trt_detector.errors import ModelError
from trt_detector.values.tensor_spec import TensorSpec

Box = tuple[float, ...]


def _head(*shapes: tuple[int | None, ...], metadata: dict[str, str] | None = None) -> Head:
    """Recognize outputs of which only shapes and metadata are known."""
    outputs = [TensorSpec(f'output{i}', s, np.dtype('f4')) for i, s in enumerate(shapes)]
    return recognize(GraphInfo(tuple(outputs), metadata or {})).head


@pytest.mark.parametrize(
    ('shape', 'metadata', 'layout', 'classes'),
    [
        ((None, 300, 6), {}, 'end-to-end [N, M, 6]', None),
        ((1, None, 6), {'end2end': 'True'}, 'end-to-end [N, M, 6]', None),
        ((None, 84, 8400), {}, 'YOLO [N, 4 + C, A]', 80),
        ((1, 84, None), {'end2end': 'False', 'task': 'detect'}, 'YOLO [N, 4 + C, A]', 80),
        ((1, 5, 8400), {}, 'YOLO [N, 4 + C, A]', 1),
    ],
)
def test_layouts_are_recognized(
    shape: tuple[int | None, ...], metadata: dict[str, str], layout: str, classes: int | None
) -> None:
    head = _head(shape, metadata=metadata)
    assert (head.layout, head.num_classes) == (layout, classes)


@pytest.mark.parametrize(
    ('shapes', 'found', 'remedy'),
    [
        ([(1, 1000)], r'output0 \[1, 1000\]', 'export a detector'),
        ([(84, 8400)], r'output0 \[84, 8400\]', 'batch dimension is missing'),
        ([(1, 1, 84, 8400)], r'output0 \[1, 1, 84, 8400\]', 'dimension of 1 too many'),
        ([(1, 84, 8400, 1)], r'output0 \[1, 84, 8400, 1\]', 'dimension of 1 too many'),
        ([(1, 4, 8400)], r'output0 \[1, 4, 8400\]', 'fewer than five values'),
        (
            [(1, 255, 80, 80), (1, 255, 40, 40)],
            r'output0 \[1, 255, 80, 80\] float32; output1',
            'raw grids',
        ),
        ([(1, 8400, 4), (1, 8400, 4)], r'output0 \[1, 8400, 4\]', 'the parameter outputs'),
        ([], 'none', 'parameter head'),
    ],
)
def test_unknown_layouts_are_refused_with_the_outputs_and_remedies(
    shapes: list[tuple[int, ...]], found: str, remedy: str
) -> None:
    with pytest.raises(ModelError, match='no head layout fits the outputs ' + found) as caught:
        _head(*shapes)
    lines = str(caught.value).splitlines()
    assert 2 <= len(lines) <= 4
    assert remedy in str(caught.value)
    assert 'docs/models.md' in lines[-1]


def _rounded(value: Any) -> np.float32:
    return np.float32(value)


def _iou(a: Box, b: Box) -> np.float32:
    """Return the overlap with each step rounded to float32, in the reference's order."""
    width = max(np.float32(0), _rounded(min(a[2], b[2]) - max(a[0], b[0])))
    height = max(np.float32(0), _rounded(min(a[3], b[3]) - max(a[1], b[1])))
    overlap = _rounded(width * height)
    areas = [_rounded(_rounded(c[2] - c[0]) * _rounded(c[3] - c[1])) for c in (a, b)]
    union = _rounded(_rounded(areas[0] + areas[1]) - overlap)
    return _rounded(overlap / union) if union else np.float32('nan')


def _plain_nms(
    boxes: list[Box], scores: list[float], classes: list[int], limit: float
) -> list[int]:
    """Suppress one pair at a time, as torchvision's batched_nms does up to 1,000 boxes."""
    largest = max((v for box in boxes for v in box), default=np.float32(0))
    plane = [_rounded(c * _rounded(np.float32(largest) + np.float32(1))) for c in classes]
    shifted = [
        tuple(_rounded(np.float32(v) + p) for v in box)
        for box, p in zip(boxes, plane, strict=True)
    ]
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        rivals = [j for j in kept if classes[i] == classes[j]]
        if not any(float(_iou(shifted[j], shifted[i])) > limit for j in rivals):
            kept.append(i)
    return kept


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 160),
    min_side=st.integers(0, 1),
    limit=st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0])),
    classes=st.sampled_from([1, 3, 20, 600]),
    agnostic=st.booleans(),
)
def test_suppression_is_that_of_the_plain_loop(
    seed: int, count: int, min_side: int, limit: float, classes: int, *, agnostic: bool
) -> None:
    rng = np.random.default_rng(seed)
    # A coarse grid makes equal boxes, touching boxes and equal scores common.
    corners = rng.integers(0, 12, (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(min_side, 8, (count, 2))], 1)
    boxes = (boxes * rng.choice([1, 0.7])).astype(np.float32)
    scores = rng.integers(0, 10, count) / 10
    ids = rng.integers(0, classes, count)
    kept = batched_nms(boxes, scores, ids, limit, count + 1, class_agnostic=agnostic)
    as_boxes = [tuple(box) for box in boxes]
    plain = _plain_nms(as_boxes, scores.tolist(), [0] * count if agnostic else ids.tolist(), limit)
    assert kept.tolist() == plain
    assert batched_nms(boxes, scores, ids, limit, 3, class_agnostic=agnostic).tolist() == plain[:3]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    class_id=st.sampled_from([0, 1, 79, 5000]),
    size=st.sampled_from([0.5, 8.0, 100.0]),
    start=st.sampled_from([0, -300, -5000]),
    agnostic=st.booleans(),
)
def test_a_pair_at_the_limit_is_decided_as_the_reference_rounds(
    seed: int, class_id: int, size: float, start: int, *, agnostic: bool
) -> None:
    rng = np.random.default_rng(seed)
    centers = rng.uniform(start, start + 600, 2) + rng.uniform(0, size / 4, (2, 2))
    half = rng.uniform(size / 2, size, (2, 2))
    boxes = np.concatenate([centers - half, centers + half], 1).astype(np.float32)
    # The limit is the overlap of the pair without any rounding.
    (a, b), sides = boxes.astype(float), (boxes[:, 2:] - boxes[:, :2]).astype(float)
    overlap = float(np.prod(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])))
    limit = overlap / (float(sides.prod(axis=1).sum()) - overlap)
    ids = np.array([class_id, class_id])
    kept = batched_nms(boxes, np.array([0.9, 0.8]), ids, limit, 2, class_agnostic=agnostic)
    planes = [0, 0] if agnostic else ids.tolist()
    assert kept.tolist() == _plain_nms([tuple(a) for a in boxes], [0.9, 0.8], planes, limit)


def _many_boxes(kind: str, seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes that take every way through the search: scattered, crowded, of few classes."""
    rng = np.random.default_rng(seed)
    classes = {'scattered': 80, 'crowds': 40, 'one class': 1, 'four classes': 4}[kind]
    objects = count if kind == 'scattered' else max(1, count // 12)
    which = rng.integers(0, objects, count)
    centers = rng.uniform(0, 600, (objects, 2))[which] + rng.normal(0, 4, (count, 2))
    sizes = rng.uniform(20, 120, (objects, 2))[which] * rng.uniform(0.8, 1.2, (count, 2))
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], 1).astype(np.float32)
    return boxes, rng.uniform(0.1, 1, count), rng.integers(0, classes, objects)[which]


def _greedy(
    boxes: np.ndarray, scores: np.ndarray, ids: np.ndarray, limit: float, *, shifted: bool
) -> list[int]:
    """Suppress one box at a time, each step in float32."""
    if shifted:
        boxes = boxes + (ids.astype(np.float32) * (boxes.max() + np.float32(1)))[:, None]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.argsort(-scores, kind='stable')
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        size = np.maximum(np.minimum(boxes[best, 2:], boxes[left, 2:]) - low, np.float32(0))
        overlap = size[:, 0] * size[:, 1]
        iou = overlap / (areas[best] + areas[left] - overlap)
        left = left[~((iou.astype(np.float64) > limit) & (ids[left] == ids[best]))]
    return kept


@pytest.mark.parametrize('kind', ['scattered', 'crowds', 'one class', 'four classes'])
@pytest.mark.parametrize('count', [65, 130, 400, 1000, 1001, 3000])
@pytest.mark.parametrize('limit', [0.3, 0.45, 0.7])
def test_many_boxes_are_suppressed_like_few(kind: str, count: int, limit: float) -> None:
    boxes, scores, ids = _many_boxes(kind, count, count)
    reference = _greedy(boxes, scores, ids, limit, shifted=count <= 1000)
    assert len(reference) < count
    assert batched_nms(boxes, scores, ids, limit, count).tolist() == reference
    assert batched_nms(boxes, scores, ids, limit, 20).tolist() == reference[:20]


def test_classes_never_meet_at_negative_coordinates() -> None:
    boxes = np.array([[-60, -60, -10, -10], [-60, -60, -10, -10], [0, 0, 1, 1]], np.float32)
    kept = batched_nms(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 1, 0]), 0.5, 9)
    assert kept.tolist() == [0, 1, 2]


def test_suppression_ends_at_the_most_detections() -> None:
    boxes = np.array([[10 * i, 0, 10 * i + 5, 5] for i in range(9)], np.float32)
    scores = np.linspace(0.1, 0.9, 9)
    kept = batched_nms(boxes, scores, np.zeros(9, int), 0.5, 4)
    assert kept.tolist() == [8, 7, 6, 5]


def _yolo_output(rng: np.random.Generator, classes: int, anchors: int) -> np.ndarray:
    """Return one random answer of a YOLO head, (4 + C, A)."""
    boxes = rng.uniform([100, 100, 5, 5], [500, 500, 200, 200], (anchors, 4)).T
    return np.concatenate([boxes, rng.uniform(0, 1, (classes, anchors))]).astype(np.float32)


@pytest.mark.parametrize('seed', range(5))
def test_yolo_against_a_plain_decoder(seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch = np.stack([_yolo_output(rng, 3, 200) for _ in range(2)])
    options = DecodeOptions(score_threshold=0.6, iou_threshold=0.3, max_detections=40)
    found = _head((None, 7, 200)).decode([batch], options)
    for columns, detections in zip(batch, found, strict=True):
        rows = []
        for anchor in columns.T.astype(float):
            best = int(anchor[4:].argmax())
            if anchor[4 + best] >= 0.6:
                (x, y, w, h), score = anchor[:4], anchor[4 + best]
                rows.append(((x - w / 2, y - h / 2, x + w / 2, y + h / 2), score, best))
        boxes, scores, classes = (list(column) for column in zip(*rows, strict=True))
        kept = _plain_nms(boxes, scores, classes, 0.3)[:40]
        np.testing.assert_allclose(detections.boxes_xyxy, np.array(boxes)[kept], atol=1e-2)
        np.testing.assert_allclose(detections.scores, np.array(scores)[kept], atol=1e-5)
        assert detections.class_ids.tolist() == [classes[i] for i in kept]


def test_yolo_filters_classes_and_what_is_not_finite() -> None:
    output = np.zeros((1, 6, 9), np.float32)
    output[0, :4] = np.array([[50 + 100 * i, 50, 20, 20] for i in range(9)]).T
    output[0, 4:, 0] = (0.9, 0.1)
    output[0, 4:, 1] = (0.1, 0.8)
    output[0, 4:, 2] = (np.nan, 0.7)
    output[0, 4:, 3] = (np.inf, 0.7)
    output[0, 4:, 4] = (0.7, 0.1)
    output[0, 0, 4] = np.nan
    head = _head((None, 6, 9))
    all_classes = head.decode([output], DecodeOptions())[0]
    assert all_classes.class_ids.tolist() == [0, 1]
    only_one = head.decode([output], DecodeOptions(classes=frozenset({1})))[0]
    assert only_one.class_ids.tolist() == [1]
    np.testing.assert_allclose(only_one.boxes_xyxy, [[140, 40, 160, 60]])


def test_end_to_end_drops_padding_and_sorts() -> None:
    rows = np.zeros((1, 6, 6), np.float32)
    rows[0, 0] = (0, 0, 10, 10, 0.3, 1)
    rows[0, 1] = (5, 5, 20, 20, 0.9, 0)
    rows[0, 2] = (5, 5, np.nan, 20, 0.9, 0)
    rows[0, 3] = (9, 9, 3, 3, 0.9, 0)
    head = _head((None, 6, 6), metadata={'end2end': 'True'})
    found = head.decode([rows], DecodeOptions(score_threshold=0.0))[0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.3])
    assert found.class_ids.tolist() == [0, 1]
    assert len(head.decode([rows], DecodeOptions(score_threshold=0.0, max_detections=1))[0]) == 1
    assert len(head.decode([rows], DecodeOptions(score_threshold=0.5))[0]) == 1


def test_results_outlive_the_outputs() -> None:
    rows = np.array([[[0, 0, 10, 10, 0.9, 1]]], np.float32)
    found = _head((None, 1, 6)).decode([rows], DecodeOptions())[0]
    rows[:] = 0
    assert found.boxes_xyxy.tolist() == [[0, 0, 10, 10]]
