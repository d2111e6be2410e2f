# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that normalize their pixels in the graph, by what their first layer sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper, numpy_helper, TensorProto
import pytest
from support.models import save
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector

# Blue, green, red of the picture; red as a share is 0.8.
BGR = (51, 102, 204)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Steps = list[tuple[str, Any]]
# The end of a slice that reads an axis backward.
BACKWARD = np.iinfo(np.int64).min


def _open(
    path: Path, steps: Steps, *, kind: int = TensorProto.FLOAT, channel: int = 0, **parameters: Any
) -> Detector:
    """Open a network that finds one box, whose score is what a channel is after the steps."""
    constants = [
        numpy_helper.from_array(np.array([channel]), 'channel'),
        numpy_helper.from_array(np.array([[[10, 20, 30, 50, 0, 0]]], np.float32), 'box'),
        numpy_helper.from_array(np.array([[[0, 0, 0, 0, 1, 0]]], np.float32), 'unit'),
        numpy_helper.from_array(np.array([-1, 1, 1]), 'shape'),
    ]
    nodes, name = [], 'images'
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node('Cast', [name], ['wide'], to=TensorProto.FLOAT))
        name = 'wide'
    for number, (operator, value) in enumerate(steps):
        inputs, extra = [name, f'constant{number}'], {}
        if operator == 'Gather':
            array, extra = np.array(value), {'axis': 1}
        elif operator == 'Slice':
            array = np.array([-1])
            bounds = {'start': -1, 'end': BACKWARD, 'axis': value}
            constants += [numpy_helper.from_array(np.array([v]), k) for k, v in bounds.items()]
            inputs = [name, *bounds, f'constant{number}']
        else:
            array = np.array(value, np.float32)
            array = array.reshape(1, 3, 1, 1) if array.size == 3 else array
        constants.append(numpy_helper.from_array(array, f'constant{number}'))
        nodes.append(helper.make_node(operator, inputs, [f'step{number}'], **extra))
        name = f'step{number}'
    nodes += [
        helper.make_node('Gather', [name, 'channel'], ['chosen'], axis=1),
        helper.make_node('ReduceMean', ['chosen'], ['mean'], axes=[1, 2, 3], keepdims=0),
        helper.make_node('Reshape', ['mean', 'shape'], ['score']),
        helper.make_node('Mul', ['score', 'unit'], ['scored']),
        helper.make_node('Add', ['box', 'scored'], ['output0']),
    ]
    save(
        path / 'm.onnx', nodes, inputs={'images': ('N', 3, 64, 64)},
        outputs={'output0': ('N', 1, 6)}, initializers=constants, input_type=kind,
    )  # fmt: skip
    return create_detector(
        DetectorConfig(
            model_path=str(path / 'm.onnx'), backend='onnxruntime', head='end_to_end',
            warmup_iterations=0, score_threshold=0.05, **parameters,
        )
    )  # fmt: skip


def _score(detector: Detector) -> float:
    """Detect in a picture of one color and return the score of the only box."""
    picture = np.empty((64, 64, 3), np.uint8)
    picture[...] = BGR
    [score] = detector.detect([Image.from_array(picture)]).detections[0].scores.tolist()
    return float(score)


@pytest.mark.parametrize(
    ('steps', 'seen'),
    [
        ([], 0.8),
        ([('Div', 255)], 0.8),
        ([('Mul', 1 / 255)], 0.8),
        ([('Sub', 0.5), ('Div', 0.5)], 0.6),
        ([('Sub', 127.5), ('Div', 127.5)], 0.6),
        ([('Mul', 2), ('Sub', 1)], 0.6),
        ([('Div', 255), ('Sub', MEAN), ('Mul', STD)], (0.8 - 0.485) * 0.229),
        ([('Sub', MEAN), ('Div', [2, 2, 2])], (0.8 - 0.485) / 2),
        ([('Sub', [50, 60, 70]), ('Div', 255)], (204 - 50) / 255),
        ([('Mul', 255), ('Div', 510)], 0.4),
    ],
)
def test_pixels_are_normalized_once(steps: Steps, seen: float, tmp_path: Path) -> None:
    with _open(tmp_path, steps) as detector:
        assert detector.info.warnings == ()
        assert _score(detector) == pytest.approx(seen, abs=1e-3)


@pytest.mark.parametrize('kind', [TensorProto.FLOAT, TensorProto.UINT8])
def test_pixels_of_eight_bits_reach_the_graph_as_they_are(kind: int, tmp_path: Path) -> None:
    with _open(tmp_path, [('Div', 255)], kind=kind) as detector:
        assert _score(detector) == pytest.approx(0.8, abs=1e-3)


def test_the_description_tells_that_the_graph_normalizes(tmp_path: Path) -> None:
    with _open(tmp_path, [('Div', 255)]) as detector:
        assert 'scale 1, no mean and std' in detector.description
        assert 'normalization in the graph' in detector.description


def test_a_range_that_cannot_be_told_is_warned_of(tmp_path: Path) -> None:
    with _open(tmp_path, [('Mul', 0.0625)]) as detector:
        [warning] = detector.info.warnings
    assert 'value * 0.0625' in warning
    assert 'set input_scale' in warning
    with _open(tmp_path, [('Mul', 0.0625)], input_scale=1.0) as detector:
        assert detector.info.warnings == ()


@pytest.mark.parametrize(
    ('parameters', 'warned'),
    [
        ({'preprocess_preset': 'yolo'}, True),
        ({'preprocess_preset': 'detr_imagenet'}, True),
        ({'input_scale': 1 / 255}, True),
        ({'preprocess_preset': 'yolox'}, False),
        ({'input_scale': 1.0}, False),
    ],
)
def test_parameters_outrank_the_graph_with_a_warning(
    parameters: dict[str, Any], *, warned: bool, tmp_path: Path
) -> None:
    with _open(tmp_path, [('Div', 255)], **parameters) as detector:
        assert len(detector.info.warnings) == warned
        assert all('pixels of 0 to 255' in text for text in detector.info.warnings)


@pytest.mark.parametrize(
    ('steps', 'reversed_channels'),
    [
        ([('Gather', [2, 1, 0])], True),
        ([('Slice', 1)], True),
        ([('Slice', -3), ('Div', 255)], True),
        ([('Slice', 3)], False),
        ([('Gather', [2, 1, 0]), ('Slice', 1)], False),
    ],
)
def test_reversed_channels_are_warned_of(
    steps: Steps, *, reversed_channels: bool, tmp_path: Path
) -> None:
    # The first channel is red, or blue if the graph reverses them.
    expected = 0.2 if reversed_channels else 0.8
    with _open(tmp_path, steps) as detector:
        assert _score(detector) == pytest.approx(expected, abs=1e-3)
        assert len(detector.info.warnings) == reversed_channels
        for warning in detector.info.warnings:
            assert 'its first layer sees BGR; set color_order to bgr' in warning
    with _open(tmp_path, steps, color_order='bgr') as detector:
        assert detector.info.warnings == ()
        assert _score(detector) == pytest.approx(1 - expected, abs=1e-3)
