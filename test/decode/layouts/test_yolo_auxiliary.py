# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""YOLOv9 with its auxiliary heads: the last of equal outputs counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
from trt_detector.errors import ModelError
from trt_detector.values.tensor_spec import TensorSpec

CLASSES = 3
ANCHORS = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)
NAMES = {'names': "['cone', 'ball', 'box']"}


def _plane(seed: int) -> np.ndarray:
    """Make boxes and scores [2, 4 + C, A] of two images."""
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(5, 60, (2, 4, ANCHORS))
    scores = rng.uniform(0, 1, (2, CLASSES, ANCHORS)) ** 3
    return np.concatenate((boxes, scores), axis=1).astype(np.float32)


def _decode(plane: np.ndarray, image: int) -> Iterator[Found]:
    for cx, cy, w, h, *scores in plane[image].T.tolist():
        best = max(scores)
        yield (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, best, scores.index(best))


@pytest.mark.parametrize('heads', [2, 3])
@pytest.mark.parametrize('transposed', [False, True])
def test_the_main_head_is_the_last_one(*, heads: int, transposed: bool, tmp_path: Path) -> None:
    planes = [_plane(seed) for seed in range(heads)]
    outputs = {
        name: np.ascontiguousarray(plane.transpose(0, 2, 1)) if transposed else plane
        for name, plane in zip(('output0', '1900', '1985'), planes, strict=False)
    }
    path = plant(tmp_path / 'm.onnx', outputs, metadata=NAMES)
    with open_planted(path) as detector:
        warnings = [text for text in detector.info.warnings if 'auxiliary heads' in text]
        found = detector.detect(dark_and_bright()).detections
    main = list(outputs)[-1]
    assert len(warnings) == 1
    assert f'{main} is taken for the main head, and output0' in warnings[0]
    for image in (0, 1):
        expected = clip(suppress(_decode(planes[-1], image)))
        assert len(expected) > 5
        assert_same(found[image], expected)


def _info(*shapes: tuple[int, ...]) -> GraphInfo:
    specs = [TensorSpec(f'o{n}', shape, np.dtype('f4')) for n, shape in enumerate(shapes)]
    return GraphInfo(tuple(specs), input_size=(640, 640))


@pytest.mark.parametrize(
    'shapes',
    [
        # Not the anchors of the input: something else may come in pairs.
        [(1, 84, 300), (1, 84, 300)],
        [(1, 84, 8400), (1, 116, 8400)],
    ],
)
def test_other_pairs_are_refused(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(_info(*shapes))
