# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes and class scores of every anchor in two outputs, against a plain decoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.planted import (
    assert_same,
    clip,
    dark_and_bright,
    Found,
    HEIGHT,
    open_planted,
    plant,
    STRIDES,
    suppress,
    WIDTH,
)  # fmt: skip
from trt_detector.decode import GraphInfo, recognize
from trt_detector.errors import ConfigError, ModelError
from trt_detector.values.tensor_spec import TensorSpec

CLASSES = 3
ANCHORS = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)
NAMES = {'names': "['cone', 'ball', 'box']"}


def _answers(
    seed: int, anchors: int = ANCHORS, classes: int = CLASSES
) -> tuple[np.ndarray, np.ndarray]:
    """Make boxes [2, A, 4] in pixels and logits [2, A, C] of two images."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-10, 80, (2, anchors, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(2, 40, (2, anchors, 2))), axis=2)
    return boxes.astype(np.float32), rng.normal(-2, 2, (2, anchors, classes)).astype(np.float32)


def _decode(boxes: np.ndarray, logits: np.ndarray, image: int) -> Iterator[Found]:
    """Decode one anchor after the other."""
    for box, values in zip(boxes[image].tolist(), logits[image].tolist(), strict=True):
        best = max(values)
        yield (*box, 1 / (1 + np.exp(-best)), values.index(best))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('classes_last', [True, False])
@pytest.mark.parametrize('boxes_first', [True, False])
def test_boxes_in_pixels_are_decoded_in_a_batch(
    *, classes_last: bool, boxes_first: bool, seed: int, tmp_path: Path
) -> None:
    boxes, logits = _answers(seed)
    values = logits if classes_last else np.ascontiguousarray(logits.transpose(0, 2, 1))
    outputs = {'904': boxes, '913': values} if boxes_first else {'913': values, '904': boxes}
    path = plant(tmp_path / 'm.onnx', outputs, sigmoid=['913'], metadata=NAMES)
    with open_planted(path, resize_mode='stretch') as detector:
        # The order of the outputs is that of DAMO-YOLO.
        assert bool(detector.info.warnings) != (classes_last and boxes_first)
        preset = 'efficientdet' if classes_last else 'detr_imagenet'
        assert all(preset in text for text in detector.info.warnings)
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        expected = clip(suppress(_decode(boxes, logits, image)))
        assert len(expected) > 5
        assert_same(found[image], expected)


@pytest.mark.parametrize('seed', range(3))
def test_normalized_boxes_of_yolov4(seed: int, tmp_path: Path) -> None:
    boxes, logits = _answers(seed, 3 * ANCHORS)
    shares = (boxes / np.array([WIDTH, HEIGHT] * 2, np.float32))[:, :, None]
    path = plant(
        tmp_path / 'm.onnx', {'boxes': shares, 'confs': logits}, sigmoid=['confs'], metadata=NAMES
    )
    with open_planted(path) as detector:
        assert 'shares of the input' in detector.layout
        assert not detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        expected = clip(suppress(_decode(boxes, logits, image)))
        assert len(expected) > 5
        assert_same(found[image], expected)


def test_anchors_that_are_not_finite_are_counted_and_left_out(tmp_path: Path) -> None:
    boxes, logits = _answers(0)
    logits[0, 3, 1] = np.nan
    best = int(logits[1].max(axis=1).argmax())
    boxes[1, best, 2] = np.inf
    path = plant(
        tmp_path / 'm.onnx', {'boxes': boxes, 'scores': logits}, sigmoid=['scores'], metadata=NAMES
    )
    with open_planted(path) as detector:
        found = detector.detect(dark_and_bright()).detections
    assert [f.invalid for f in found] == [1, 1]
    assert all(np.isfinite(f.boxes_xyxy).all() for f in found)


def test_one_name_too_many_is_an_error(tmp_path: Path) -> None:
    boxes, logits = _answers(0, classes=2)
    path = plant(
        tmp_path / 'm.onnx', {'a': boxes, 'b': logits}, sigmoid=['b'], metadata=NAMES
    )  # fmt: skip
    with pytest.raises(ConfigError, match='has 3 names and the model has 2 classes'):
        open_planted(path)


def _info(*outputs: tuple[str, tuple[int, ...]], **more: Any) -> GraphInfo:
    specs = [TensorSpec(name, shape, np.dtype('f4')) for name, shape in outputs]
    return GraphInfo(tuple(specs), **({'input_size': (HEIGHT, WIDTH)} | more))


def test_four_classes_are_told_from_boxes_by_name() -> None:
    shape = (1, ANCHORS, 4)
    found = recognize(_info(('scores', shape), ('boxes', shape)))
    assert (found.name, found.head.num_classes) == ('boxes_scores', 4)
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(_info(('a', shape), ('b', shape)))


@pytest.mark.parametrize(
    'info',
    [
        # Logits: nobody writes them so.
        _info(('a', (1, ANCHORS, 4)), ('b', (1, ANCHORS, 3)), tails={'b': frozenset({'Concat'})}),
        # No classes; different numbers of rows.
        _info(('boxes', (1, 378, 1, 4)), ('confs', (1, 378, 0))),
        _info(('boxes', (1, ANCHORS, 4)), ('scores', (1, 12, 3))),
        # Anchors of another network, e.g. an SSD: its boxes are relative to them.
        _info(('a', (1, 3000, 4)), ('b', (1, 3000, 21))),
        # YOLOv4's form for a plugin, and nothing tells pixels from shares.
        _info(('a', (1, 378, 1, 4)), ('b', (1, 378, 3))),
    ],
)
def test_pairs_that_say_too_little_are_refused(info: GraphInfo) -> None:
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(info)


def test_yolov4_needs_the_input_size() -> None:
    info = _info(('boxes', (1, 378, 1, 4)), ('confs', (1, 378, 3)), input_size=None)
    with pytest.raises(ModelError, match='shares of the input size, which is unknown'):
        recognize(info)
