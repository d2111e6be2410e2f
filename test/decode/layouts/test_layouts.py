# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of every kind, open sizes, and what parameters change of head and preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, TensorProto
import pytest
from support.heads import build, HEIGHT, IOU, picture, reference, SCORE, WIDTH
from support.models import constant_detector, metadata, save, tensor
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError, ModelError
from trt_detector.factory import create_detector, decode_options
from trt_detector.image.image import Image
from trt_detector.model_setup import ModelSetup
from trt_detector.onnxruntime_engine import OnnxRuntimeEngine
from trt_detector.pipeline import Detector
from trt_detector.values.tensor_spec import TensorSpec


def _detector(path: Path, **parameters: Any) -> Detector:
    values = {'score_threshold': SCORE, 'iou_threshold': IOU, 'warmup_iterations': 0}
    return create_detector(
        DetectorConfig(model_path=str(path), backend='onnxruntime', **{**values, **parameters})
    )


def _front(path: Path, shape: tuple[Any, ...], kind: int, *nodes: onnx.NodeProto) -> Path:
    """Put nodes from 'raw' to 'images' before a graph and give it another input."""
    model = onnx.load(path)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info('raw', kind, shape))
    model.graph.initializer.append(tensor('white', np.float32(255)))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _half(path: Path) -> Path:
    cast = helper.make_node('Cast', ['raw'], ['images'], to=TensorProto.FLOAT)
    return _front(path, ('n', 3, HEIGHT, WIDTH), TensorProto.FLOAT16, cast)


def _bytes(path: Path) -> Path:
    cast = helper.make_node('Cast', ['raw'], ['wide'], to=TensorProto.FLOAT)
    divide = helper.make_node('Div', ['wide', 'white'], ['images'])
    return _front(path, ('n', 3, HEIGHT, WIDTH), TensorProto.UINT8, cast, divide)


def _channels_last(path: Path) -> Path:
    turn = helper.make_node('Transpose', ['raw'], ['images'], perm=[0, 3, 1, 2])
    return _front(path, ('n', HEIGHT, WIDTH, 3), TensorProto.FLOAT, turn)


def _gray(path: Path) -> Path:
    triple = helper.make_node('Concat', ['raw', 'raw', 'raw'], ['images'], axis=1)
    return _front(path, ('n', 1, HEIGHT, WIDTH), TensorProto.FLOAT, triple)


@pytest.mark.parametrize(
    ('change', 'pixels', 'score'),
    [(_half, 0.3, 2e-3), (_bytes, 0.01, 1e-5), (_channels_last, 0.01, 1e-5), (_gray, 0.01, 1e-5)],
)
def test_inputs_of_every_kind(
    change: Callable[[Path], Path], pixels: float, score: float, tmp_path: Path
) -> None:
    path = build('yolo', tmp_path / 'm.onnx')
    # Gray, so that one channel says as much as three.
    bgr = np.repeat(picture(5, 200, 150)[..., :1], 3, axis=2)
    expected = reference('yolo', path, bgr)
    with _detector(change(path)) as detector:
        found = detector.detect([Image.from_array(bgr)]).detections[0]
    assert len(expected) > 3
    # Rounded pixels may lift a score over the threshold or swap two that are nearly equal.
    sure = [one for one in expected if one[4] > SCORE + 2 * score]
    assert len(sure) <= len(found) <= len(expected) + 3
    for *box, wanted, number in sure:
        near = np.abs(found.boxes_xyxy - box).max(axis=1) < pixels
        near &= (found.class_ids == number) & (np.abs(found.scores - wanted) < score)
        assert near.any(), f'no box like {box}'


def test_a_network_that_scales_its_pixels_itself_takes_no_scale(tmp_path: Path) -> None:
    path = _bytes(build('yolo', tmp_path / 'm.onnx'))
    with pytest.raises(ConfigError, match='the network scales its pixels itself'):
        _detector(path, input_scale=0.5)


def test_several_inputs_are_refused_with_their_names(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / 'm.onnx', np.zeros((9, 6)), inputs=('left', 'right'))
    with pytest.raises(ModelError, match='left.*right.*expected one image'):
        _detector(path)


@pytest.mark.parametrize(
    ('parameters', 'same_as'),
    [
        ({'preprocess_preset': 'yolox'}, {'letterbox_anchor': 'top_left', 'color_order': 'bgr',
                                          'input_scale': 1.0}),
        ({'preprocess_preset': 'detr'}, {'resize_mode': 'stretch'}),
        ({'preprocess_preset': 'detr_imagenet'}, {
            'resize_mode': 'stretch', 'input_mean': [0.485, 0.456, 0.406],
            'input_std': [0.229, 0.224, 0.225]}),
        ({'pad_value': 0}, {'preprocess_preset': 'yolo', 'pad_value': 0}),
        ({'input_mean': [0.5]}, {'input_mean': [0.5, 0.5, 0.5]}),
    ],
)  # fmt: skip
def test_parameters_change_what_the_network_sees(
    parameters: dict[str, Any], same_as: dict[str, Any], tmp_path: Path
) -> None:
    path = build('yolo', tmp_path / 'm.onnx', seed=1)
    image = Image.from_array(picture(7, 300, 100))
    found = []
    for values in ({}, parameters, same_as):
        with _detector(path, score_threshold=0.0, **values) as detector:
            found.append(detector.detect([image]).detections[0].scores)
    np.testing.assert_array_equal(found[1], found[2])
    assert found[0].tolist() != found[1].tolist()


def _open(path: Path, *, imgsz: str | None = None, size: tuple[Any, Any] = ('h', 'w')) -> Path:
    """Write a detector of an open size whose one box is the whole input."""
    nodes = [
        helper.make_node('Shape', ['images'], ['shape']),
        helper.make_node('Gather', ['shape', 'sides'], ['whole']),
        helper.make_node('Cast', ['whole'], ['far'], to=TensorProto.FLOAT),
        helper.make_node('Concat', ['zeros', 'far', 'rest'], ['row'], axis=0),
        helper.make_node('Reshape', ['row', 'form'], ['rows']),
        helper.make_node('ReduceMean', ['images'], ['mean'], axes=[1, 2, 3], keepdims=1),
        helper.make_node('Squeeze', ['mean', 'last'], ['flat']),
        helper.make_node('Mul', ['flat', 'nothing'], ['none']),
        helper.make_node('Add', ['rows', 'none'], ['output0']),
    ]
    initializers = [
        tensor('sides', np.array([3, 2])),
        tensor('zeros', np.zeros(2, np.float32)),
        tensor('rest', np.array([0.9, 0], np.float32)),
        tensor('form', np.array([1, 1, 6])),
        tensor('last', np.array([3])),
        tensor('nothing', np.float32(0)),
    ]
    props = {**metadata(end2end=True), 'stride': '32'}
    del props['imgsz']
    if imgsz is not None:
        props['imgsz'] = imgsz
    return save(
        path,
        nodes,
        inputs={'images': ('batch', 3, *size)},
        outputs={'output0': ('batch', 1, 6)},
        initializers=initializers,
        metadata=props,
    )


@pytest.mark.parametrize(
    ('camera', 'parameters', 'imgsz', 'expected'),
    [
        ((1280, 720), {}, None, (384, 640)),
        ((720, 1280), {}, None, (640, 384)),
        ((1920, 1200), {}, '[640, 640]', (416, 640)),
        ((640, 480), {}, '[320, 320]', (256, 320)),
        ((500, 500), {}, None, (640, 640)),
        ((1280, 720), {'max_shape': [4, 3, 320, 512]}, None, (288, 512)),
        ((1280, 720), {'min_shape': [1, 3, 500, 32]}, None, (512, 640)),
        ((1280, 720), {'opt_shape': [1, 3, 96, 64]}, None, (96, 64)),
        ((1280, 720), {'input_shape': '256x480'}, None, (256, 480)),
        ((1, 5000), {}, None, (640, 32)),
    ],
)
def test_an_open_size_follows_the_first_image(
    camera: tuple[int, int],
    parameters: dict[str, Any],
    imgsz: str | None,
    expected: tuple[int, int],
    tmp_path: Path,
) -> None:
    path = _open(tmp_path / 'm.onnx', imgsz=imgsz)
    width, height = camera
    image = Image.from_array(np.zeros((height, width, 3), np.uint8))
    with _detector(path, **parameters) as detector:
        first = detector.detect([image]).detections[0]
        assert detector.input_size == expected
        # The next camera has another shape: the size stays, and its boxes are right as well.
        second = detector.detect([Image.from_array(np.zeros((90, 50, 3), np.uint8))]).detections[0]
        assert detector.input_size == expected
    np.testing.assert_allclose(first.boxes_xyxy, [[0, 0, width, height]], atol=1e-3)
    np.testing.assert_allclose(second.boxes_xyxy, [[0, 0, 50, 90]], atol=1e-3)


def test_only_the_open_side_is_fitted(tmp_path: Path) -> None:
    path = _open(tmp_path / 'm.onnx', size=('h', 640))
    with _detector(path) as detector:
        detector.detect([Image.from_array(np.zeros((720, 1280, 3), np.uint8))])
        assert detector.input_size == (384, 640)


def test_a_size_that_the_model_does_not_take_is_refused(tmp_path: Path) -> None:
    path = build('yolo', tmp_path / 'm.onnx')
    with pytest.raises(ConfigError, match=r"input_shape is '96x64', but m\.onnx has the input"):
        _detector(path, input_shape='96x64')
    with _detector(path, input_shape=f'{HEIGHT}x{WIDTH}') as detector:
        assert detector.input_size == (HEIGHT, WIDTH)
    other = _open(tmp_path / 'open.onnx')
    with pytest.raises(ConfigError, match='give one of them'):
        _detector(other, input_shape='64x64', opt_shape=[1, 3, 32, 64])


def test_the_engine_keeps_to_what_the_model_fixes(tmp_path: Path) -> None:
    path = _open(tmp_path / 'm.onnx', size=('h', 64))
    with OnnxRuntimeEngine(path.read_bytes(), 1) as engine:
        smallest, largest = engine.get_input_shape_range()
        assert (smallest[1], largest[1]) == (64, 64)
        engine.set_input_shape((96, 64))
        assert engine.get_input_shape() == (96, 64)
        with pytest.raises(Exception, match='cannot run at 96x96'):
            engine.set_input_shape((96, 96))


@pytest.mark.parametrize('value', ['640', '640x', 'x', '0x64', '64 x 64', '-1x5', 'big'])
def test_a_size_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=f'input_shape is {value!r}; expected auto'):
        DetectorConfig(input_shape=value)


@pytest.mark.parametrize('name', ['input_mean', 'input_std'])
def test_a_value_a_channel(name: str) -> None:
    with pytest.raises(ConfigError, match=rf'{name} is \[0.5, 0.5\]; expected three numbers'):
        DetectorConfig(**{name: (0.5, 0.5)})


def test_thresholds_of_classes_are_read() -> None:
    config = DetectorConfig(class_score_thresholds=('ball:0.5', '0:1', 'a:b:0.25'))
    names = ('cone', 'ball', 'a:b')
    assert decode_options(config, names).class_score_thresholds == ((1, 0.5), (0, 1.0), (2, 0.25))
    for text in ('ball', 'ball:', ':0.5', 'ball:x', 'ball:2', 'ball:nan', 'ball:-1'):
        with pytest.raises(ConfigError, match=f'class_score_thresholds holds {text!r}; expected'):
            decode_options(DetectorConfig(class_score_thresholds=(text,)), names)
    with pytest.raises(ConfigError, match="class_score_thresholds holds 'car'; .* cone, ball"):
        decode_options(DetectorConfig(class_score_thresholds=('car:0.5',)), names)


def test_suppression_across_classes_is_an_option() -> None:
    assert not decode_options(DetectorConfig(), ()).class_agnostic
    assert decode_options(DetectorConfig(class_agnostic_nms=True), ()).class_agnostic


def test_a_plan_gets_its_metadata_from_the_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / 'm.engine'
    path.write_bytes(b'ftrt')
    outputs = [TensorSpec('output0', (1, 300, 6), np.dtype('f4'))]
    bare = ModelSetup.read(DetectorConfig(), path, None)
    assert bare.recognize(outputs, (640, 640)).name == 'end_to_end'
    (tmp_path / 'm.yaml').write_text('head: RTDETRDecoder\nnames: [cone, ball]\n')
    source = ModelSetup.read(DetectorConfig(), path, None)
    found = source.recognize(outputs, (640, 640))
    assert (found.name, source.class_names(found)) == ('detr_rows', ('cone', 'ball'))
    other = ModelSetup.read(DetectorConfig(class_names=('a',)), path, None)
    assert other.class_names(found) == ('a',)


def test_a_count_that_does_not_match_names_the_file(tmp_path: Path) -> None:
    path = build('yolo', tmp_path / 'm.onnx')
    (tmp_path / 'labels.txt').write_text('one\ntwo\n')
    with pytest.raises(ConfigError, match=r'labels\.txt beside m\.onnx has 2 names .* 3 classes'):
        _detector(path)


def test_a_model_that_cannot_be_decoded_is_refused_before_an_engine_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = constant_detector(tmp_path / 'm.onnx', np.zeros((3, 50)))
    made = []
    monkeypatch.setattr(OnnxRuntimeEngine, '__init__', lambda *_, **__: made.append(1))
    with pytest.raises(ModelError, match='no head layout fits'):
        _detector(path)
    assert not made
