# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs beside the one that counts, chosen by the package or by the parameter outputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.detectors import device
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
from trt_detector.decode import CandidateHead, DecodeOptions, GraphInfo, recognize
from trt_detector.errors import ModelError
from trt_detector.gpu.device_preprocessor import DevicePreprocessor
from trt_detector.values.candidates import Candidates
from trt_detector.values.tensor_spec import TensorSpec

CLASSES, MASKS = 2, 4
CELLS = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)
NAMES = {'names': "['cone', 'ball']"}


def _plane(seed: int, anchors: int, extra: int = 0) -> np.ndarray:
    """Make center boxes, objectness, class scores [2, A, 5 + C] (and more) of two images."""
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(5, 60, (2, anchors, 4))
    scores = rng.uniform(0, 1, (2, anchors, 1 + CLASSES)) ** 2
    return np.concatenate((boxes, scores, np.full((2, anchors, extra), 0.99)), axis=2).astype('f4')


def _decode(plane: np.ndarray, image: int) -> Iterator[Found]:
    for cx, cy, w, h, objectness, *scores in plane[image].tolist():
        best = max(scores[:CLASSES])
        corners = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        yield (*corners, objectness * best, scores.index(best))


def _maps() -> dict[str, np.ndarray]:
    """Make the raw grids that older exports of YOLOv5 have beside their predictions."""
    return {
        f'p{s}': np.full((2, 3, HEIGHT // s, WIDTH // s, 5 + CLASSES), 9, np.float32)
        for s in STRIDES
    }


@pytest.mark.parametrize('first', [True, False])
@pytest.mark.parametrize('masks', [0, MASKS])
def test_raw_grids_beside_the_predictions_are_ignored(
    *, first: bool, masks: int, tmp_path: Path
) -> None:
    plane = _plane(0, 3 * CELLS, masks)
    outputs = {'output0': plane, **_maps()} if first else {**_maps(), 'output0': plane}
    if masks:
        outputs['proto'] = np.zeros((2, masks, HEIGHT // 4, WIDTH // 4), np.float32)
    with open_planted(plant(tmp_path / 'm.onnx', outputs, metadata=NAMES)) as detector:
        warnings = detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    assert 'output0 is decoded, and p8, p16, p32 ignored; the parameter outputs' in warnings[-1]
    for image in (0, 1):
        expected = clip(suppress(_decode(plane, image)))
        assert len(expected) > 5
        assert_same(found[image], expected)


@pytest.mark.parametrize('wanted', ['a', 'b'])
def test_the_user_names_one_of_several(wanted: str, tmp_path: Path) -> None:
    planes = {'a': _plane(1, 3 * CELLS), 'b': _plane(2, 3 * CELLS), 'c': _plane(3, 7)}
    path = plant(tmp_path / 'm.onnx', planes, metadata=NAMES)
    with pytest.raises(ModelError, match='no head layout fits .*\n.*parameter outputs'):
        open_planted(path)
    with open_planted(path, outputs=[wanted]) as detector:
        assert not detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], clip(suppress(_decode(planes[wanted], image))))


def test_an_output_that_is_not_there_is_refused_with_all_names(tmp_path: Path) -> None:
    path = plant(tmp_path / 'm.onnx', {'a': _plane(1, 3 * CELLS)}, metadata=NAMES)
    with pytest.raises(ModelError, match=r"outputs has 'b'; the model has the outputs a \["):
        open_planted(path, outputs=['b'])


def _info(*shapes: tuple[int, ...], **more: Any) -> GraphInfo:
    specs = [TensorSpec(f'o{n}', shape, np.dtype('f4')) for n, shape in enumerate(shapes)]
    return GraphInfo(tuple(specs), input_size=(HEIGHT, WIDTH), num_names=CLASSES, **more)


def test_the_candidates_of_a_selected_output_are_found_by_its_own_number() -> None:
    grids = [(1, *array.shape[1:]) for array in _maps().values()]
    head = recognize(_info(*grids, (1, 3 * CELLS, 5 + CLASSES))).head
    assert isinstance(head, CandidateHead)
    assert (head.candidate_rule.output, head.candidate_rule.values) == (3, 5 + CLASSES)
    assert head.num_classes == CLASSES
    rows = _plane(4, 3 * CELLS)[0]
    whole = head.decode([*(np.zeros(s) for s in grids), rows[None]], DecodeOptions())
    few = head.decode_candidates(
        [Candidates(rows, np.arange(len(rows), dtype=np.int32))], DecodeOptions()
    )
    np.testing.assert_array_equal(whole[0].boxes_xyxy, few[0].boxes_xyxy)


@pytest.mark.parametrize(
    'shapes',
    [
        # Labels or scores of their own: the rows are not all.
        [(1, 100, 6), (1, 100)],
        [(1, 3 * CELLS, 7), (1, 3 * CELLS, 4)],
        # Few rows beside a map may be anything.
        [(1, 100, 6), (1, 3, 40, 40, 7)],
    ],
)
def test_outputs_that_may_belong_together_are_refused(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(_info(*shapes))


def test_the_device_selects_the_candidates_of_the_right_output(tmp_path: Path) -> None:
    side = 320
    sizes = [side // stride for stride in STRIDES]
    rng = np.random.default_rng(5)
    count = sum(3 * size**2 for size in sizes)
    boxes, scores = rng.uniform(20, 300, (2, count, 4)), rng.uniform(0, 1, (2, count, 3)) ** 4
    outputs = {f'p{n}': np.ones((2, 3, n, n, 5 + CLASSES), np.float32) for n in sizes}
    outputs['output0'] = np.concatenate((boxes, scores), axis=2).astype(np.float32)
    path = plant(tmp_path / 'm.onnx', outputs, metadata=NAMES, size=(side, side))
    images = dark_and_bright((side, side))
    with open_planted(path, onnxruntime_provider='cpu') as detector:
        expected = detector.detect(images).detections
    with (
        device('onnxruntime'),
        open_planted(
            path, onnxruntime_provider='cuda', engine_cache_dir=str(tmp_path)
        ) as detector,
    ):
        assert isinstance(detector._runner.preprocessor, DevicePreprocessor)
        found = detector.detect(images).detections
    for one, other in zip(found, expected, strict=True):
        assert len(one) > 20
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
        np.testing.assert_array_equal(one.scores, other.scores)
