# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that normalize their pixels in the graph, by what their first layer sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
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
    constants: list[onnx.TensorProto] = []
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
    return _finish(path, nodes, constants, name, kind=kind, channel=channel, **parameters)


def _finish(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    name: str,
    *,
    kind: int = TensorProto.FLOAT,
    channel: int = 0,
    **parameters: Any,
) -> Detector:
    """Open a network that finds one box, whose score is the mean of a channel of a tensor."""
    constants += [
        numpy_helper.from_array(np.array([channel]), 'channel'),
        numpy_helper.from_array(np.array([[[10, 20, 30, 50, 0, 0]]], np.float32), 'box'),
        numpy_helper.from_array(np.array([[[0, 0, 0, 0, 1, 0]]], np.float32), 'unit'),
        numpy_helper.from_array(np.array([-1, 1, 1]), 'shape'),
    ]
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


Node = tuple[str, str, str, dict[str, Any]]
PADS = np.array([0, 0, 2, 2, 0, 0, 2, 2])
MEANS_255 = [255 * mean for mean in MEAN]


def _open_nodes(
    path: Path, nodes: list[Node], constants: dict[str, Any], **parameters: Any
) -> Detector:
    """Open a network from nodes (operator, inputs, outputs, attributes), the last one 'seen'."""
    tensors = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    made = [
        helper.make_node(kind, inputs.split(), outputs.split(), **attributes)
        for kind, inputs, outputs, attributes in nodes
    ]
    return _finish(path, made, tensors, 'seen', **parameters)


def _planes(select: list[Node]) -> tuple[list[Node], dict[str, Any]]:
    """Subtract a mean from every channel on its own, after nodes that make these channels."""
    nodes = list(select)
    for n in range(3):
        nodes.append(('Sub', f'{n} mean{n}', f'shifted{n}', {}))
        nodes.append(('Mul', f'shifted{n} factor', f'plane{n}', {}))
    nodes.append(('Concat', 'plane0 plane1 plane2', 'seen', {'axis': 1}))
    means = {f'mean{n}': np.float32(mean) for n, mean in enumerate(MEANS_255)}
    return nodes, {'factor': np.float32(1 / 255), **means}


def _slices() -> tuple[list[Node], dict[str, Any]]:
    nodes, constants = _planes(
        [('Slice', f'images from{n} to{n} axis', f'{n}', {}) for n in range(3)]
    )
    bounds = {f'from{n}': [n] for n in range(3)} | {f'to{n}': [n + 1] for n in range(3)}
    return nodes, {**constants, **bounds, 'axis': [1]}


def _gathers() -> tuple[list[Node], dict[str, Any]]:
    selected: list[Node] = []
    for n in range(3):
        selected.append(('Gather', f'images number{n}', f'flat{n}', {'axis': 1}))
        selected.append(('Unsqueeze', f'flat{n} axis', f'{n}', {}))
    nodes, constants = _planes(selected)
    return nodes, {**constants, **{f'number{n}': n for n in range(3)}, 'axis': [1]}


def _after(kind: str, inputs: str, **constants: Any) -> tuple[list[Node], dict[str, Any]]:
    """Divide by 255 after a node."""
    attributes = {'mode': 'edge'} if kind == 'Pad' else {}
    nodes: list[Node] = [
        (kind, inputs, 'between', attributes),
        ('Div', 'between white', 'seen', {}),
    ]
    return nodes, {'white': np.float32(255), **constants}


def _focus() -> tuple[list[Node], dict[str, Any]]:
    """Divide by 255 and take every second pixel, as a Focus layer does."""
    nodes: list[Node] = [('Div', 'images white', 'shares', {})]
    nodes += [('Slice', f'shares from{n} end axes steps', f'part{n}', {}) for n in range(4)]
    nodes.append(('Concat', 'part0 part1 part2 part3', 'seen', {'axis': 1}))
    starts = {f'from{n}': [n % 2, n // 2] for n in range(4)}
    constants = {'end': [64, 64], 'axes': [2, 3], 'steps': [2, 2], 'white': np.float32(255)}
    return nodes, starts | constants


# The first channel that the first layer sees: red is 204.
SHIFTED = (204 - 255 * 0.485) / 255


def _batch_norm() -> tuple[list[Node], dict[str, Any]]:
    nodes: list[Node] = [
        ('BatchNormalization', 'images scale bias middle variance', 'seen', {'epsilon': 0.0})
    ]
    values = {'scale': [1] * 3, 'bias': [0] * 3, 'middle': MEANS_255, 'variance': [255**2] * 3}
    return nodes, {name: np.array(value, np.float32) for name, value in values.items()}


def _convolution(weights: np.ndarray, bias: Any, group: int) -> tuple[list[Node], dict[str, Any]]:
    nodes: list[Node] = [('Conv', 'images weights bias', 'seen', {'group': group})]
    constants = {'weights': weights.reshape(3, -1, 1, 1) / 255, 'bias': bias}
    return nodes, {name: np.array(value, np.float32) for name, value in constants.items()}


# The first channel that the first layer sees: red is 204.
SHIFTED = (204 - 255 * 0.485) / 255
FOLLOWED = {
    'split': (_planes([('Split', 'images', '0 1 2', {'axis': 1})]), SHIFTED),
    'slices': (_slices(), SHIFTED),
    'gathers': (_gathers(), SHIFTED),
    'clip': (_after('Clip', 'images low high', low=np.float32(0), high=np.float32(255)), 0.8),
    'round': (_after('Round', 'images'), 0.8),
    'max': (_after('Max', 'low images', low=np.float32(0)), 0.8),
    'pad': (_after('Pad', 'images pads', pads=PADS), 0.8),
    'focus': (_focus(), 0.8),
    'batch_norm': (_batch_norm(), SHIFTED),
    'depthwise': (_convolution(np.ones(3), [-mean for mean in MEAN], 3), SHIFTED),
    'pointwise': (_convolution(np.eye(3), [0, 0, 0], 1), 0.8),
}


@pytest.mark.parametrize('name', FOLLOWED)
def test_every_operator_before_the_first_layer_is_followed(name: str, tmp_path: Path) -> None:
    graph, seen = FOLLOWED[name]
    with _open_nodes(tmp_path, *graph) as detector:
        assert _score(detector) == pytest.approx(seen, abs=1e-3)
        assert detector.info.warnings == ()


@pytest.mark.parametrize('kind', [TensorProto.FLOAT, TensorProto.UINT8])
@pytest.mark.parametrize('means', [MEANS_255, [123.68, 116.78, 103.94], [123, 117, 104]])
def test_the_means_of_imagenet_tell_the_order_of_the_channels(
    means: list[float], kind: int, tmp_path: Path
) -> None:
    # The network is made for BGR: its first channel is blue, 51, less the mean of blue.
    steps: Steps = [('Sub', means[::-1]), ('Div', -200)]
    with _open(tmp_path, steps, kind=kind) as detector:
        assert _score(detector) == pytest.approx((means[2] - 51) / 200, abs=1e-3)
        assert detector.info.warnings == ()
    with _open(tmp_path, [('Sub', means), ('Div', 200)], kind=kind) as detector:
        assert _score(detector) == pytest.approx((204 - means[0]) / 200, abs=1e-3)
        assert detector.info.warnings == ()


def test_parameters_outrank_the_order_of_the_means_with_a_warning(tmp_path: Path) -> None:
    steps: Steps = [('Sub', MEANS_255[::-1]), ('Div', 200)]
    with _open(tmp_path, steps, color_order='rgb') as detector:
        assert _score(detector) == pytest.approx((204 - MEANS_255[2]) / 200, abs=1e-3)
        [warning] = detector.info.warnings
        assert 'set color_order to bgr' in warning
    with _open(tmp_path, steps, color_order='bgr') as detector:
        assert detector.info.warnings == ()


def test_means_after_a_reversal_tell_the_order_of_the_input(tmp_path: Path) -> None:
    # The graph turns RGB into BGR itself, and subtracts the means of BGR.
    steps: Steps = [('Gather', [2, 1, 0]), ('Sub', MEANS_255[::-1]), ('Div', -200)]
    with _open(tmp_path, steps) as detector:
        assert _score(detector) == pytest.approx((MEANS_255[2] - 51) / 200, abs=1e-3)
        assert detector.info.warnings == ()


def test_channels_that_are_reversed_one_by_one_are_warned_of(tmp_path: Path) -> None:
    nodes: list[Node] = [
        ('Split', 'images', 'first second third', {'axis': 1}),
        ('Concat', 'third second first', 'seen', {'axis': 1}),
    ]
    with _open_nodes(tmp_path, nodes, {}) as detector:
        [warning] = detector.info.warnings
    assert 'set color_order to bgr' in warning


@pytest.mark.parametrize(('kernel', 'warned'), [(16, True), (3, False)])
def test_a_detr_with_a_vision_transformer_takes_normalized_pixels(
    kernel: int, *, warned: bool, tmp_path: Path
) -> None:
    answers = {'labels': np.zeros((1, 5), np.int64), 'boxes': np.zeros((1, 5, 4), np.float32)}
    answers['scores'] = np.zeros((1, 5), np.float32)
    names = {name: f'{name} answer' for name in answers}
    nodes = [
        helper.make_node('Conv', ['images', 'w'], ['x'], kernel_shape=[kernel] * 2,
                         strides=[kernel] * 2),
        *(helper.make_node('Identity', [answer], [name]) for name, answer in names.items()),
    ]  # fmt: skip
    values = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(answer.dtype), answer.shape
        )
        for name, answer in answers.items()
    ]
    tensors = [numpy_helper.from_array(answers[name], answer) for name, answer in names.items()]
    tensors.append(numpy_helper.from_array(np.ones((1, 3, kernel, kernel), np.float32), 'w'))
    image = helper.make_tensor_value_info('images', TensorProto.FLOAT, (1, 3, 64, 64))
    graph = helper.make_graph(nodes, 'g', [image], values, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / 'm.onnx')
    with create_detector(
        DetectorConfig(
            model_path=str(tmp_path / 'm.onnx'), backend='onnxruntime', warmup_iterations=0
        )
    ) as detector:
        assert len(detector.info.warnings) == warned
        assert all('vision transformer' in text for text in detector.info.warnings)
        assert ('mean 0.485' in detector.description) == warned
