# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Grids of anchor boxes as YOLOv3, v5 and v7 write them, against a plain decoder."""

from __future__ import annotations

from collections.abc import Iterator
import math
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
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.errors import ConfigError, ModelError
from trt_detector.values.tensor_spec import TensorSpec

NAMES = {'names': "['cone', 'ball']"}
CLASSES = 2
# Small, so that boxes fit into the input of these tests; other ones at every stride.
ANCHORS = {
    8: [(10, 6), (14, 20), (8, 8)],
    16: [(30, 24), (16, 40), (50, 12)],
    32: [(60, 50), (20, 60), (90, 30)],
}
FLAT = [side for anchors in ANCHORS.values() for pair in anchors for side in pair]
YOLOV5 = {
    8: [(10, 13), (16, 30), (33, 23)],
    16: [(30, 61), (62, 45), (59, 119)],
    32: [(116, 90), (156, 198), (373, 326)],
}

# Logits [2, 3, H, W, 5 + C] by stride.
Grids = dict[int, np.ndarray]


def _grids(seed: int) -> Grids:
    rng = np.random.default_rng(seed)
    grids = {}
    for stride in STRIDES:
        shape = (2, 3, HEIGHT // stride, WIDTH // stride)
        boxes = rng.normal(0, 1, (*shape, 4))
        scores = rng.normal(-1.5, 3, (*shape, 1 + CLASSES))
        grids[stride] = np.concatenate((boxes, scores), axis=4).astype(np.float32)
    return grids


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _decode(
    grids: Grids, image: int, anchors: dict[int, list[tuple[int, int]]], *, darknet: bool = False
) -> Iterator[Found]:
    """Decode one prediction after the other."""
    for stride, grid in grids.items():
        for number, (width, height) in enumerate(anchors[stride]):
            for row in range(HEIGHT // stride):
                for column in range(WIDTH // stride):
                    x, y, w, h, objectness, *classes = grid[image, number, row, column].tolist()
                    if darknet:
                        cx, cy = _sigmoid(x) + column, _sigmoid(y) + row
                        w, h = math.exp(w) * width, math.exp(h) * height
                    else:
                        cx, cy = 2 * _sigmoid(x) - 0.5 + column, 2 * _sigmoid(y) - 0.5 + row
                        w, h = (2 * _sigmoid(w)) ** 2 * width, (2 * _sigmoid(h)) ** 2 * height
                    score = _sigmoid(objectness) * max(_sigmoid(c) for c in classes)
                    cx, cy = cx * stride, cy * stride
                    yield (
                        cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2,
                        score, classes.index(max(classes)),
                    )  # fmt: skip


def _outputs(grids: Grids, *, stacked: bool) -> dict[str, np.ndarray]:
    """Lay the grids out with five dimensions, or with the anchors in the channels."""
    outputs = {}
    for stride, grid in reversed(grids.items()):
        if stacked:
            moved = grid.transpose(0, 1, 4, 2, 3)
            grid = moved.reshape(2, -1, HEIGHT // stride, WIDTH // stride)
        outputs[f'p{stride}'] = np.ascontiguousarray(grid)
    return outputs


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize(
    ('stacked', 'activated', 'parameters', 'layout'),
    [
        (False, False, {}, 'YOLO anchor grids'),
        (False, True, {}, 'YOLO anchor grids'),
        (True, True, {}, 'YOLO anchor grids'),
        (True, False, {'head': 'yolo_grid'}, 'YOLO anchor grids'),
        (True, False, {'head': 'darknet_grid'}, 'Darknet anchor grids'),
    ],
)
def test_grids_are_decoded_in_a_batch(
    stacked: bool,
    activated: bool,
    parameters: dict[str, Any],
    layout: str,
    seed: int,
    tmp_path: Path,
) -> None:
    grids = _grids(seed)
    outputs = _outputs(grids, stacked=stacked)
    path = plant(
        tmp_path / 'm.onnx', outputs, sigmoid=outputs if activated else (), metadata=NAMES
    )
    with open_planted(path, anchors=FLAT, **parameters) as detector:
        assert detector.layout == layout
        assert not detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        boxes = _decode(grids, image, ANCHORS, darknet='Darknet' in layout)
        expected = clip(suppress(boxes))
        assert len(expected) > 5
        assert_same(found[image], expected)


def test_anchors_come_from_the_metadata(tmp_path: Path) -> None:
    grids = _grids(0)
    lists = str([[side for pair in pairs for side in pair] for pairs in ANCHORS.values()])
    path = plant(
        tmp_path / 'm.onnx', _outputs(grids, stacked=False),
        metadata=NAMES | {'anchors': lists},
    )  # fmt: skip
    with open_planted(path) as detector:
        assert not detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], clip(suppress(_decode(grids, image, ANCHORS))))


def test_unknown_anchors_are_assumed_with_a_warning(tmp_path: Path) -> None:
    grids = _grids(0)
    path = plant(tmp_path / 'm.onnx', _outputs(grids, stacked=False), metadata=NAMES)
    with open_planted(path) as detector:
        [warning] = detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    assert 'YOLOv5 and YOLOv3 on COCO are assumed (10,13, 16,30, ' in warning
    assert 'set anchors' in warning
    for image in (0, 1):
        assert_same(found[image], clip(suppress(_decode(grids, image, YOLOV5))))


@pytest.mark.parametrize(
    ('anchors', 'message'),
    [
        (
            [10, 13],
            'anchors has 1 pairs; expected 9 for the grids 12x8 .stride 8., 6x4 ',
        ),
        ([10, 13, 16], r'anchors is .*10.0, 13.0, 16.0.*; expected width and height'),
    ],
)
def test_anchors_that_do_not_fit_are_refused(
    anchors: list[float], message: str, tmp_path: Path
) -> None:
    path = plant(tmp_path / 'm.onnx', _outputs(_grids(0), stacked=False), metadata=NAMES)
    with pytest.raises(ModelError, match=message):
        open_planted(path, anchors=anchors)


def test_stacked_logits_can_be_either_and_are_refused(tmp_path: Path) -> None:
    outputs = _outputs(_grids(0), stacked=True)
    with pytest.raises(ModelError, match='2 ways: yolo_grid .*; darknet_grid .*parameter head'):
        open_planted(plant(tmp_path / 'm.onnx', outputs, metadata=NAMES))
    # Ultralytics writes the stride.
    path = plant(tmp_path / 'm.onnx', outputs, metadata=NAMES | {'stride': '32'})
    with open_planted(path) as detector:
        assert detector.layout == 'YOLO anchor grids'


def test_a_wrong_number_of_names_is_an_error(tmp_path: Path) -> None:
    outputs = _outputs(_grids(0), stacked=False)
    path = plant(tmp_path / 'm.onnx', outputs, metadata={'names': "['cone']"})
    with pytest.raises(ConfigError, match='has 1 names and the model has 2 classes'):
        open_planted(path)


def test_predictions_that_are_not_finite_are_counted_and_left_out(tmp_path: Path) -> None:
    grids = _grids(0)
    grids[8][0, 1, 2, 3, 4] = np.nan
    grids[16][0, 2, 1, 1] = [np.inf, 0, 0, 0, 5, 5, 0]
    grids[32][0, 0, 0, 0] = [0, 0, np.nan, 0, 5, 5, 0]
    outputs = _outputs(grids, stacked=False)
    with open_planted(plant(tmp_path / 'm.onnx', outputs, metadata=NAMES)) as detector:
        found = detector.detect(dark_and_bright()).detections
    assert [detections.invalid for detections in found] == [3, 0]
    assert np.isfinite(found[0].boxes_xyxy).all()


def _info(*shapes: tuple[int, ...], names: int | None = 2) -> GraphInfo:
    outputs = [TensorSpec(f'o{n}', (1, *s), np.dtype('f4')) for n, s in enumerate(shapes)]
    return GraphInfo(tuple(outputs), input_size=(HEIGHT, WIDTH), num_names=names)


def test_values_tell_logits_from_scores_if_the_operators_are_unknown() -> None:
    grids = _grids(2)
    head = recognize(_info((3, 8, 12, 7), (3, 4, 6, 7), (3, 2, 3, 7))).head
    raw = list(grids.values())
    found = [
        head.decode(arrays, DecodeOptions())
        for arrays in (raw, [1 / (1 + np.exp(-a)) for a in raw])
    ]
    for a, b in zip(*found, strict=True):
        assert len(a) > 5
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
        np.testing.assert_allclose(a.boxes_xyxy, b.boxes_xyxy, atol=1e-2)


@pytest.mark.parametrize(
    ('info', 'message'),
    [
        (_info((3, 8, 12, 7)), 'no head layout fits'),
        (_info((3, 8, 12, 7), (3, 8, 12, 7)), 'no head layout fits'),
        (_info((3, 8, 12, 7), (3, 4, 6, 8)), 'no head layout fits'),
        (_info((3, 9, 12, 7), (3, 4, 6, 7)), 'no head layout fits'),
        (_info((22, 8, 12), (21, 4, 6)), 'no head layout fits'),
        # Tiny models have two grids, and nobody's anchors.
        (_info((3, 4, 6, 7), (3, 2, 3, 7)), 'anchors are unknown; expected 6 for the grids'),
    ],
)
def test_grids_that_say_too_little_are_refused(info: GraphInfo, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        recognize(info)


def test_the_number_of_names_tells_grids_from_box_distributions() -> None:
    shapes = [(144, 8, 12), (144, 4, 6), (144, 2, 3)]
    assert recognize(_info(*shapes, names=80)).name == 'yolo_split'
    assert recognize(_info(*shapes, names=43), 'yolo_grid').head.num_classes == 43
