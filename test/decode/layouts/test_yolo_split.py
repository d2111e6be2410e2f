# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""YOLOv8 cut before its decoding: box and class maps per stride, against a plain decoder."""

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

CLASSES = 3
NAMES = {'names': "['cone', 'ball', 'box']"}

# Box and class maps of both images, by stride.
Maps = dict[int, tuple[np.ndarray, np.ndarray]]


def _maps(seed: int, *, bins: int = 16, classes: int = CLASSES) -> Maps:
    """Make random maps of two images with a few confident cells; scores as logits."""
    rng = np.random.default_rng(seed)
    maps = {}
    for stride in STRIDES:
        shape = (HEIGHT // stride, WIDTH // stride)
        boxes = rng.normal(0, 2, (2, 4 * bins, *shape)).astype(np.float32)
        scores = rng.normal(-4, 2.5, (2, classes, *shape)).astype(np.float32)
        maps[stride] = (boxes, scores)
    return maps


def _decode(maps: Maps, image: int, bins: int = 16) -> Iterator[Found]:
    """Decode one cell after the other."""
    for stride, (boxes, scores) in maps.items():
        for y in range(HEIGHT // stride):
            for x in range(WIDTH // stride):
                logits = scores[image, :, y, x].tolist()
                best = max(logits)
                sides = []
                for side in range(4):
                    values = boxes[image, side * bins : (side + 1) * bins, y, x].tolist()
                    if bins == 1:
                        sides.append(values[0])
                        continue
                    powers = [math.exp(v) for v in values]
                    sides.append(sum(n * p for n, p in enumerate(powers)) / sum(powers))
                yield (
                    (x + 0.5 - sides[0]) * stride,
                    (y + 0.5 - sides[1]) * stride,
                    (x + 0.5 + sides[2]) * stride,
                    (y + 0.5 + sides[3]) * stride,
                    1 / (1 + math.exp(-best)),
                    logits.index(best),
                )


def _rockchip(maps: Maps, path: Path, *, total: bool) -> Path:
    """Write the maps as Rockchip's fork does: scores, and their sum."""
    outputs, activated = {}, set()
    for number, (boxes, scores) in enumerate(maps.values()):
        outputs[f'box{number}'] = boxes
        outputs[f'class{number}'] = scores
        activated.add(f'class{number}')
        if total:
            shares = (1 / (1 + np.exp(-scores))).sum(axis=1, keepdims=True)
            outputs[f'sum{number}'] = shares.clip(0, 1).astype(np.float32)
    return plant(path, outputs, sigmoid=activated, metadata=NAMES)


def _cut(maps: Maps, path: Path, *, fused: bool) -> Path:
    """Write the maps as the last convolutions give them, or concatenated."""
    outputs = {}
    # The order of the strides is not part of the contract.
    for stride, (boxes, scores) in reversed(maps.items()):
        if fused:
            outputs[f'p{stride}'] = np.concatenate((boxes, scores), axis=1)
        else:
            outputs[f'conv{stride}'] = boxes
            outputs[f'conv{stride + 1}'] = scores
    return plant(path, outputs, metadata=NAMES)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('form', ['six', 'nine', 'cut', 'fused'])
def test_maps_are_decoded_in_a_batch(form: str, seed: int, tmp_path: Path) -> None:
    maps, path = _maps(seed), tmp_path / 'm.onnx'
    if form in ('six', 'nine'):
        _rockchip(maps, path, total=form == 'nine')
    else:
        _cut(maps, path, fused=form == 'fused')
    with open_planted(path) as detector:
        assert detector.layout == 'YOLO box and class maps per stride'
        assert not detector.info.warnings
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        expected = clip(suppress(_decode(maps, image)))
        assert len(expected) > 5
        assert_same(found[image], expected)


def test_plain_distances_are_decoded_if_the_user_names_the_layout(tmp_path: Path) -> None:
    maps = _maps(0, bins=1)
    maps = {stride: (np.abs(boxes), scores) for stride, (boxes, scores) in maps.items()}
    path = _rockchip(maps, tmp_path / 'm.onnx', total=True)
    with pytest.raises(ModelError, match='no head layout fits'):
        open_planted(path)
    with open_planted(path, head='yolo_split') as detector:
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], clip(suppress(_decode(maps, image, bins=1))))


@pytest.mark.parametrize('classes', [3, 8])
@pytest.mark.parametrize('boxes_first', [True, False])
def test_plain_distances_are_told_from_classes_in_any_order(
    classes: int, *, boxes_first: bool, tmp_path: Path
) -> None:
    maps = _maps(1, bins=1, classes=classes)
    maps = {stride: (np.abs(boxes), scores) for stride, (boxes, scores) in maps.items()}
    outputs = {
        f'map{stride} {part}': maps[stride][part]
        for stride in STRIDES
        for part in ((0, 1) if boxes_first else (1, 0))
    }
    path = plant(tmp_path / 'm.onnx', outputs)
    names = tuple(f'name {number}' for number in range(classes))
    with open_planted(path, head='yolo_split', class_names=names) as detector:
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], clip(suppress(_decode(maps, image, bins=1))))


def test_one_name_too_few_is_an_error(tmp_path: Path) -> None:
    path = _rockchip(_maps(0, classes=4), tmp_path / 'm.onnx', total=False)
    with pytest.raises(ConfigError, match='has 3 names and the model has 4 classes'):
        open_planted(path)


def test_a_cell_that_is_not_finite_is_counted_and_left_out(tmp_path: Path) -> None:
    maps = _maps(0)
    best = np.unravel_index(maps[8][1][0].argmax(), maps[8][1][0].shape)
    maps[8][1][0, 0, best[1], best[2]] = np.nan
    maps[16][0][0, 5] = np.nan
    path = _cut(maps, tmp_path / 'm.onnx', fused=False)
    with open_planted(path) as detector:
        found = detector.detect(dark_and_bright()).detections
    lost = [f for f in _decode({16: maps[16]}, 0) if f[4] >= 0.3]
    assert found[0].invalid == 1 + len(lost)
    assert found[1].invalid == 0
    assert np.isfinite(found[0].boxes_xyxy).all()


def _info(*shapes: tuple[int, ...], names: int | None = None, **more: Any) -> GraphInfo:
    outputs = [TensorSpec(f'o{n}', (1, *s), np.dtype('f4')) for n, s in enumerate(shapes)]
    return GraphInfo(tuple(outputs), input_size=(64, 96), num_names=names, **more)


def test_values_tell_logits_from_scores_if_the_operators_are_unknown() -> None:
    maps = _maps(1)
    info = _info(*(array.shape[1:] for pair in maps.values() for array in pair), names=CLASSES)
    head = recognize(info).head
    raw = [array for pair in maps.values() for array in pair]
    scores = [a if n % 2 == 0 else 1 / (1 + np.exp(-a)) for n, a in enumerate(raw)]
    first, second = (head.decode(arrays, DecodeOptions()) for arrays in (raw, scores))
    for a, b in zip(first, second, strict=True):
        assert len(a) > 5
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
        np.testing.assert_allclose(a.boxes_xyxy, b.boxes_xyxy, atol=1e-3)


@pytest.mark.parametrize(
    'info',
    [
        # 64 channels beside 64 channels: which ones are the boxes?
        _info((64, 8, 12), (64, 8, 12), (64, 4, 6), (64, 4, 6), names=64),
        # No grid of this input.
        _info((64, 9, 12), (3, 9, 12), (64, 4, 6), (3, 4, 6), names=3),
        # One stride alone.
        _info((64, 8, 12), (3, 8, 12), names=3),
        # Different numbers of classes.
        _info((64, 8, 12), (3, 8, 12), (64, 4, 6), (4, 4, 6), names=3),
        # Fused, and nothing tells the classes.
        _info((67, 8, 12), (67, 4, 6), (67, 2, 3)),
    ],
)
def test_maps_that_say_too_little_are_refused(info: GraphInfo) -> None:
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(info)


def test_a_sigmoid_tells_64_classes_from_the_boxes() -> None:
    shapes = [(64, 8, 12), (64, 8, 12), (64, 4, 6), (64, 4, 6)]
    activated = {f'o{n}': frozenset({'Sigmoid'} if n % 2 else ()) for n in range(4)}
    assert recognize(_info(*shapes, names=64, tails=activated)).head.num_classes == 64
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(_info(*shapes, names=64, tails={f'o{n}': frozenset() for n in range(4)}))


def test_eighty_classes_are_common() -> None:
    assert recognize(_info((144, 8, 12), (144, 4, 6), (144, 2, 3))).name == 'yolo_split'
