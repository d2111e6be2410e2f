# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Head layouts: recognition, decoding against a plain decoder, and suppression."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from trt_detector.decode import DecodeOptions, recognize_head
from trt_detector.decode.nms import batched_nms
from trt_detector.errors import ModelError
from trt_detector.tensor_spec import TensorSpec

Box = tuple[float, ...]


def _outputs(*shapes: tuple[int | None, ...]) -> list[TensorSpec]:
    return [TensorSpec(f'output{i}', s, np.dtype('f4')) for i, s in enumerate(shapes)]


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
    head = recognize_head(_outputs(shape), metadata)
    assert (head.layout, head.num_classes) == (layout, classes)


@pytest.mark.parametrize(
    ('shapes', 'metadata', 'found'),
    [
        ([(1, 8400, 85)], {}, r'output0 \[1, 8400, 85\] float32'),
        ([(1, 1000)], {}, r'output0 \[1, 1000\]'),
        ([(1, 300, 4), (1, 300, 80)], {}, r'output0 \[1, 300, 4\] float32; output1 \[1, 300, 80'),
        ([(1, 300, 6)], {'head': 'RTDETRDecoder'}, r'output0 \[1, 300, 6\]'),
        ([(1, 4, 8400)], {}, r'output0 \[1, 4, 8400\]'),
    ],
)
def test_unknown_layouts_are_refused_with_what_was_found_and_what_is_known(
    shapes: list[tuple[int, ...]], metadata: dict[str, str], found: str
) -> None:
    with pytest.raises(ModelError, match=found + '.*Known layouts: .*N, M, 6.*N, 4 [+] C, A'):
        recognize_head(_outputs(*shapes), metadata)


def test_another_task_is_refused() -> None:
    with pytest.raises(ModelError, match="task is 'segment'; expected 'detect'"):
        recognize_head(_outputs((1, 116, 8400)), {'task': 'segment'})


def _iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    union = areas - width * height
    return width * height / union if union else 0.0


def _plain_nms(
    boxes: list[Box], scores: list[float], classes: list[int], limit: float
) -> list[int]:
    """Suppress one pair at a time."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(classes[i] != classes[j] or _iou(boxes[i], boxes[j]) <= limit for j in kept):
            kept.append(i)
    return kept


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), limit=st.floats(0.0, 1.0))
def test_suppression_is_that_of_the_plain_loop(seed: int, count: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    # A coarse grid makes equal boxes, touching boxes and equal scores common.
    corners = rng.integers(0, 12, (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 8, (count, 2))], 1)
    scores = rng.integers(0, 10, count) / 10
    classes = rng.integers(0, 3, count)
    kept = batched_nms(boxes.astype(np.float32), scores, classes, limit, count + 1)
    as_boxes = [tuple(float(v) for v in box) for box in boxes]
    assert kept.tolist() == _plain_nms(as_boxes, scores.tolist(), classes.tolist(), limit)


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
    found = recognize_head(_outputs((None, 7, 200)), {}).decode([batch], options)
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
    head = recognize_head(_outputs((None, 6, 9)), {})
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
    head = recognize_head(_outputs((None, 6, 6)), {'end2end': 'True'})
    found = head.decode([rows], DecodeOptions(score_threshold=0.0))[0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.3])
    assert found.class_ids.tolist() == [0, 1]
    assert len(head.decode([rows], DecodeOptions(score_threshold=0.0, max_detections=1))[0]) == 1
    assert len(head.decode([rows], DecodeOptions(score_threshold=0.5))[0]) == 1


def test_results_outlive_the_outputs() -> None:
    rows = np.array([[[0, 0, 10, 10, 0.9, 1]]], np.float32)
    found = recognize_head(_outputs((None, 1, 6)), {}).decode([rows], DecodeOptions())[0]
    rows[:] = 0
    assert found.boxes_xyxy.tolist() == [[0, 0, 10, 10]]
