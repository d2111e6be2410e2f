# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Candidates of a batch decoded together: the detections of each image alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from trt_detector.decode import DecodeOptions, joined
from trt_detector.decode.head import CandidateHead, RawValues
from trt_detector.decode.layouts.nanodet import NanoDetHead
from trt_detector.decode.layouts.yolo import YoloHead
from trt_detector.decode.layouts.yolo_objectness import YoloObjectnessHead
from trt_detector.decode.layouts.yolox import YoloxDecodedHead, YoloxHead
from trt_detector.values.candidates import Candidates
from trt_detector.values.detections import Detections

CLASSES = 5


def candidates(count: int, seed: int) -> Candidates:
    """Return candidates of one image: overlapping boxes, scores with ties, in several classes."""
    random = np.random.default_rng(seed)
    values = np.empty((count, 4 + CLASSES), np.float32)
    values[:, :2] = random.integers(0, 8, (count, 2)) * 20 + random.normal(0, 3, (count, 2))
    values[:, 2:4] = random.uniform(30, 60, (count, 2))
    values[:, 4:] = random.integers(0, 20, (count, CLASSES)) / 20
    return Candidates(values, np.arange(count, dtype=np.int32))


def decode_alone(images: Sequence[Candidates], options: DecodeOptions) -> list[Detections]:
    """Decode each image by itself."""
    head = YoloHead(CLASSES, transposed=True, output=0)
    return [head.decode_candidates([image], options)[0] for image in images]


def decode_together(images: Sequence[Candidates], options: DecodeOptions) -> list[Detections]:
    """Decode the images as one batch."""
    return YoloHead(CLASSES, transposed=True, output=0).decode_candidates(images, options)


def assert_equal(found: Sequence[Detections], expected: Sequence[Detections]) -> None:
    """Compare every bit."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in ('boxes_xyxy', 'scores', 'class_ids'):
            left, right = getattr(one, name), getattr(other, name)
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)
        assert (one.invalid, one.degenerate) == (other.invalid, other.degenerate)


@pytest.mark.parametrize(
    'options',
    [
        DecodeOptions(),
        DecodeOptions(score_threshold=0.9),
        DecodeOptions(max_detections=3),
        DecodeOptions(iou_threshold=0.3, class_agnostic=True),
        DecodeOptions(iou_threshold=1.0, max_detections=7),
        DecodeOptions(classes=frozenset({1, 3}), class_score_thresholds=((1, 0.8),)),
        DecodeOptions(class_map=(0, 0, 2, -1, 1)),
        DecodeOptions(raw=RawValues(scores='logits')),
        DecodeOptions(raw=RawValues(box_scale=(2.0, 0.5))),
    ],
)
def test_a_batch_gives_the_detections_of_each_image(options: DecodeOptions) -> None:
    images = [candidates(count, seed) for seed, count in enumerate([40, 0, 1, 7, 90, 2, 0])]
    expected = decode_alone(images, options)
    assert sum(map(len, expected)) > 10
    assert_equal(decode_together(images, options), expected)


def test_images_are_decoded_with_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [candidates(30, seed) for seed in range(6)]
    expected = decode_alone(images, DecodeOptions())
    monkeypatch.setattr(joined, 'filter_and_suppress', None)
    assert_equal(decode_together(images, DecodeOptions()), expected)


@pytest.mark.parametrize(
    ('row', 'value'), [(0, np.nan), (3, 0.0), (2, -5.0), (4, np.nan), (1, np.inf), (0, 3e9)]
)
def test_a_candidate_that_is_no_box_is_counted_in_its_image(row: int, value: float) -> None:
    images = [candidates(12, seed) for seed in range(3)]
    images[1].values[5, row] = value
    images[1].values[5, 6] = 0.99
    expected = decode_alone(images, DecodeOptions())
    assert [one.invalid + one.degenerate for one in expected] == [0, 1, 0]
    assert_equal(decode_together(images, DecodeOptions()), expected)


def test_more_than_a_thousand_candidates_are_decoded_image_by_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = DecodeOptions(max_detections=20)
    images = [candidates(1001, 1), candidates(5, 2)]
    monkeypatch.setattr(joined, '_select_images', None)
    assert_equal(decode_together(images, options), decode_alone(images, options))


@pytest.mark.parametrize(
    'head',
    [
        YoloObjectnessHead(CLASSES - 1, 0),
        YoloxHead(CLASSES - 1, (64, 64)),
        YoloxDecodedHead(CLASSES - 1),
        NanoDetHead(1, 2, (64, 64), plus=False),
    ],
)
def test_other_heads_give_the_detections_of_each_image(head: CandidateHead) -> None:
    images = [candidates(count, seed) for seed, count in enumerate([30, 0, 1, 12])]
    for image in images:
        image.values[:, 2:4] = image.values[:, 2:4] / 20
    expected = [head.decode_candidates([image], DecodeOptions())[0] for image in images]
    assert sum(map(len, expected)) > 5
    assert_equal(head.decode_candidates(images, DecodeOptions()), expected)


def test_no_candidates_at_all() -> None:
    found = decode_together([candidates(0, 0)] * 3, DecodeOptions())
    assert [len(one) for one in found] == [0, 0, 0]
    assert {one.boxes_xyxy.shape for one in found} == {(0, 4)}


def test_detections_outlive_the_candidates() -> None:
    images = [candidates(10, seed) for seed in range(2)]
    expected = decode_alone(images, DecodeOptions())
    found = decode_together(images, DecodeOptions())
    for image in images:
        image.values[:] = np.nan
    assert_equal(found, expected)
