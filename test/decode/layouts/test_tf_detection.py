# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of TensorFlow's Object Detection API and of EfficientDet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto
import pytest
from support.planted import (
    assert_same,
    dark_and_bright,
    Found,
    HEIGHT,
    open_planted,
    plant,
    WIDTH,
)  # fmt: skip
from trt_detector.decode import GraphInfo, recognize
from trt_detector.errors import DecodeError, ModelError
from trt_detector.image.image import Image
from trt_detector.values.tensor_spec import TensorSpec

ROWS = 5
COUNTS = [2, 4]

# (left, top, right, bottom, score, class) of each image in pixels, best first.
PLANTED: list[list[Found]] = [
    [(10.0, 4.0, 40.0, 24.0, 0.9, 0), (50.0, 20.0, 90.0, 60.0, 0.8, 2),
     (1.0, 1.0, 9.0, 9.0, 0.7, 1), (2.0, 2.0, 9.0, 9.0, 0.6, 1), (3.0, 3.0, 9.0, 9.0, 0.5, 1)],
    [(0.0, 0.0, 96.0, 64.0, 0.99, 1), (6.0, 7.0, 8.0, 9.0, 0.9, 0),
     (30.0, 1.0, 39.0, 31.0, 0.8, 2), (60.0, 40.0, 70.0, 50.0, 0.4, 1),
     (3.0, 3.0, 9.0, 9.0, 0.35, 0)],
]  # fmt: skip


def _outputs(*, plugin: bool) -> dict[str, np.ndarray]:
    """Write what is planted as TensorFlow does, or as its models with EfficientNMS do."""
    boxes = [
        [[y1 / HEIGHT, x1 / WIDTH, y2 / HEIGHT, x2 / WIDTH] for x1, y1, x2, y2, _, _ in image]
        for image in PLANTED
    ]
    classes = np.array([[row[5] for row in image] for image in PLANTED])
    counts = np.array(COUNTS)
    return {
        'num_detections': counts[:, None].astype(np.int32)
        if plugin
        else counts.astype(np.float32),
        'detection_classes': classes.astype(np.int32) if plugin else (classes + 1.0).astype('f4'),
        'detection_boxes': np.array(boxes, np.float32),
        'detection_scores': np.array([[row[4] for row in image] for image in PLANTED], 'f4'),
    }


@pytest.mark.parametrize('plugin', [False, True])
def test_normalized_boxes_from_y_are_decoded_in_a_batch(*, plugin: bool, tmp_path: Path) -> None:
    path = plant(tmp_path / 'm.onnx', _outputs(plugin=plugin))
    with open_planted(path, class_names=['a', 'b', 'c']) as detector:
        assert detector.layout.startswith('TensorFlow')
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], PLANTED[image][: COUNTS[image]])


def test_bytes_with_the_channels_last_and_further_outputs(tmp_path: Path) -> None:
    outputs = {f'{name}:0': array for name, array in _outputs(plugin=False).items()}
    outputs['raw_detection_boxes:0'] = np.zeros((2, 50, 4), np.float32)
    outputs['detection_multiclass_scores:0'] = np.zeros((2, ROWS, 4), np.float32)
    path = plant(
        tmp_path / 'm.onnx', outputs, kind=TensorProto.UINT8, channels_last=True
    )  # fmt: skip
    with open_planted(path) as detector:
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        assert_same(found[image], PLANTED[image][: COUNTS[image]])


def test_without_a_count_all_rows_are_read(tmp_path: Path) -> None:
    outputs = _outputs(plugin=False)
    del outputs['num_detections']
    with open_planted(plant(tmp_path / 'm.onnx', outputs)) as detector:
        found = detector.detect(dark_and_bright()).detections
    assert_same(found[0], PLANTED[0])


def test_real_class_numbers_from_0_are_refused(tmp_path: Path) -> None:
    outputs = _outputs(plugin=False)
    # Padding has neither class nor score.
    outputs['detection_classes'][0, 1:] = 0
    outputs['detection_scores'][0, 1:] = 0
    with open_planted(plant(tmp_path / 'm.onnx', outputs), batch_size=1) as detector:
        dark, bright = dark_and_bright()
        found = detector.detect([dark]).detections
        assert_same(found[0], PLANTED[0][:1])
    outputs['detection_classes'] -= 1
    with (
        open_planted(plant(tmp_path / 'm.onnx', outputs), batch_size=1) as detector,
        pytest.raises(DecodeError, match='has class 0, but .* export detection_classes as int'),
    ):
        detector.detect([bright])


def test_rows_that_are_not_finite_are_counted_and_left_out(tmp_path: Path) -> None:
    outputs = _outputs(plugin=False)
    outputs['detection_boxes'][0, 0, 3] = np.nan
    outputs['detection_classes'][1, 2] = np.inf
    outputs['detection_scores'][1, 3] = np.nan
    with open_planted(plant(tmp_path / 'm.onnx', outputs)) as detector:
        found = detector.detect(dark_and_bright()).detections
    assert [(len(f), f.invalid) for f in found] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ('kind', 'preset'), [('f4', 'tensorflow'), ('i4', 'efficientdet'), ('i8', 'efficientdet')]
)
def test_the_type_of_the_classes_tells_the_exporter(kind: str, preset: str) -> None:
    outputs = (
        TensorSpec('detection_boxes', (1, 9, 4), np.dtype('f4')),
        TensorSpec('detection_scores', (1, 9), np.dtype('f4')),
        TensorSpec('detection_classes', (1, 9), np.dtype(kind)),
    )
    assert recognize(GraphInfo(outputs, input_size=(64, 96))).preset == preset
    with pytest.raises(ModelError, match='shares of the input size, which is unknown'):
        recognize(GraphInfo(outputs))


@pytest.mark.parametrize(
    ('boxes', 'scores', 'count'),
    [((1, 9, 4), (1, 8), (1,)), ((1, 9, 5), (1, 9), (1,)), ((1, 9, 4), (1, 9), (2,))],
)
def test_contradicting_dimensions_are_refused(
    boxes: tuple[int, ...], scores: tuple[int, ...], count: tuple[int, ...]
) -> None:
    shapes = {
        'detection_boxes': boxes, 'detection_scores': scores, 'detection_classes': (1, 9),
        'num_detections': count,
    }  # fmt: skip
    outputs = tuple(TensorSpec(name, shape, np.dtype('f4')) for name, shape in shapes.items())
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(GraphInfo(outputs, input_size=(64, 96)))


@pytest.mark.parametrize('parameters', [{}, {'input_shape': '320x480'}])
def test_an_input_of_open_size_as_the_exporter_leaves_it(
    parameters: dict[str, Any], tmp_path: Path
) -> None:
    path = plant(
        tmp_path / 'm.onnx', _outputs(plugin=False), kind=TensorProto.UINT8, channels_last=True,
        size=('height', 'width'), batch=1,
    )  # fmt: skip
    # Shares of the image, whatever size the network gets: four times as large here.
    image = Image.from_array(np.full((4 * HEIGHT, 4 * WIDTH, 3), 255, np.uint8))
    with open_planted(path, batch_size=1, **parameters) as detector:
        found = detector.detect([image]).detections[0]
    assert_same(found, [(*(4 * side for side in f[:4]), *f[4:]) for f in PLANTED[1][: COUNTS[1]]])
