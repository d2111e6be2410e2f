# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The detector from parameters to boxes in the picture's own pixels, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import helper
import pytest
from support.models import constant_detector, lamp_detector, metadata
from trt_detector.config import DetectorConfig
from trt_detector.decode import DecodeOptions
from trt_detector.errors import BuildError, ConfigError, EngineError, ModelError
from trt_detector.factory import create_detector, decode_options
from trt_detector.image.image import Image
from trt_detector.onnxruntime_engine import OnnxRuntimeEngine
from trt_detector.pipeline import Detector
from trt_detector.pipeline.batch_runner import BatchRunner
from trt_detector.preprocess import Letterbox


def _detector(path: Path, **parameters: Any) -> Detector:
    return create_detector(
        DetectorConfig(model_path=str(path), backend='onnxruntime', **parameters)
    )


def _lamp(width: int, height: int, x: int, y: int, size: int) -> Image:
    """Return a dark picture with a white square whose top-left corner is at x, y."""
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.rectangle(picture, (x, y), (x + size - 1, y + size - 1), (255, 255, 255), cv2.FILLED)
    return Image.from_array(picture)


@pytest.fixture(name='lamp')
def _lamp_path(tmp_path: Path) -> Path:
    return lamp_detector(tmp_path / 'lamp.onnx')


def test_boxes_are_in_pixels_of_the_original(lamp: Path) -> None:
    # 1280x640 into 64x64: gain 1/20, 16 rows of padding above. The box is one 8x8 cell.
    with _detector(lamp) as detector:
        found = detector.detect([_lamp(1280, 640, 480, 320, 160)]).detections[0]
    assert found.scores.tolist() == pytest.approx([1.0])
    np.testing.assert_allclose(found.boxes_xyxy, [[480, 320, 640, 480]], atol=1e-3)


def test_a_batch_keeps_its_order_and_sizes(lamp: Path) -> None:
    images = [_lamp(640, 640, 80 * i, 0, 80) for i in range(3)] + [_lamp(64, 64, 56, 56, 8)]
    with _detector(lamp, batch_size=4) as detector:
        together = detector.detect(images).detections
        alone = [detector.detect([image]).detections[0] for image in images]
    assert [d.boxes_xyxy[0].tolist() for d in together] == [
        [0, 0, 80, 80], [80, 0, 160, 80], [160, 0, 240, 80], [56, 56, 64, 64],
    ]  # fmt: skip
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
        assert len(a) == 1


def test_what_lies_in_the_padding_is_no_detection(lamp: Path) -> None:
    # The gray padding is brighter than the black picture.
    with _detector(lamp) as detector:
        found = detector.detect([Image.from_array(np.zeros((320, 640, 3), np.uint8))])
    assert [len(d) for d in found.detections] == [0]


@pytest.mark.parametrize(('most', 'count'), [(1, 1), (3, 3), (5, 5), (50, 5)])
def test_what_lies_in_the_padding_takes_no_place(tmp_path: Path, most: int, count: int) -> None:
    # 64x64, of which a picture twice as wide as high fills the rows 16 to 48.
    predictions = np.zeros((6, 50), np.float32)
    for i in range(40):
        predictions[:, i] = (4 + 8 * (i % 8), 4 if i < 20 else 60, 6, 6, 0.9 - i / 1000, 0)
    for i in range(5):
        predictions[:, 40 + i] = (4 + 10 * i, 32, 6, 6, 0, 0.5 - i / 100)
    path = constant_detector(tmp_path / 'm.onnx', predictions)
    with _detector(path, max_detections=most) as detector:
        found = detector.detect([Image.from_array(np.zeros((32, 64, 3), np.uint8))]).detections[0]
    assert found.boxes_xyxy[:, 0].tolist() == pytest.approx([1 + 10 * i for i in range(count)])
    assert found.class_ids.tolist() == [1] * count


def test_a_fixed_batch_is_padded(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'four.onnx', batch=4)
    with _detector(path) as detector:
        assert detector.batch_size == 4
        found = detector.detect([_lamp(64, 64, 8, 0, 8), _lamp(64, 64, 16, 0, 8)]).detections
    assert [d.boxes_xyxy[0, 0] for d in found] == [8, 16]
    with pytest.raises(
        ConfigError, match=r'batch_size is 2, but four\.onnx has a fixed batch of 4'
    ):
        _detector(path, batch_size=2)


@pytest.mark.parametrize('count', [0, 3])
def test_too_few_or_many_images(lamp: Path, count: int) -> None:
    with (
        _detector(lamp, batch_size=2) as detector,
        pytest.raises(ValueError, match=f'got {count} images; expected 1 to 2'),
    ):
        detector.detect([_lamp(64, 64, 0, 0, 8)] * count)


def test_options_change_between_batches(lamp: Path) -> None:
    image = _lamp(64, 64, 0, 0, 8)
    with _detector(lamp) as detector:
        assert len(detector.detect([image]).detections[0]) == 1
        detector.options = DecodeOptions(classes=frozenset({1}))
        assert len(detector.detect([image]).detections[0]) == 0


def test_the_batch_size_is_the_parameter_else_the_default(lamp: Path) -> None:
    config = DetectorConfig(model_path=str(lamp), backend='onnxruntime')
    with create_detector(config, default_batch_size=3) as detector:
        assert detector.engine.get_batch_size() == 3
    with create_detector(config.with_changes(batch_size=2), default_batch_size=3) as detector:
        assert detector.batch_size == 2


def test_class_names_come_from_the_parameter_then_the_model(lamp: Path, tmp_path: Path) -> None:
    with _detector(lamp) as detector:
        assert detector.class_names == ('lamp', 'box')
    with _detector(lamp, class_names=('x', 'y')) as detector:
        assert detector.class_names == ('x', 'y')
    bare = constant_detector(tmp_path / 'bare.onnx', np.zeros((6, 50)))
    with _detector(bare) as detector:
        assert detector.class_names == ('0', '1')


def test_a_count_of_names_that_does_not_match_names_both(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / 'm.onnx', np.zeros((7, 50)), props=metadata(end2end=False))
    with pytest.raises(ConfigError, match=r'of m\.onnx has 2 names and the model has 3 classes'):
        _detector(path)
    with pytest.raises(ConfigError, match='class_names has 1 names and the model has 3 classes'):
        _detector(path, class_names=('x',))


def test_classes_are_given_by_name_or_number() -> None:
    names = ('cone', 'ball', '7')
    assert decode_options(DetectorConfig(classes=('ball', '0', '7')), names).classes == {0, 1, 2}
    assert decode_options(DetectorConfig(), names).classes is None
    with pytest.raises(ConfigError, match=r"classes holds 'car'; expected .* cone, ball, 7"):
        decode_options(DetectorConfig(classes=('car',)), names)
    with pytest.raises(ConfigError, match="classes holds '3'"):
        decode_options(DetectorConfig(classes=('3',)), names)
    assert decode_options(DetectorConfig(classes=('3',)), ()).classes == {3}


def test_a_dynamic_size_runs_at_the_wanted_one(tmp_path: Path) -> None:
    row = np.array([[0, 0, 96, 64, 0.9, 0]])
    path = constant_detector(tmp_path / 'm.onnx', row, size=('h', 'w'))
    with _detector(path, opt_shape=(1, 3, 64, 96)) as detector:
        assert detector.input_size == (64, 96)
        found = detector.detect([Image.from_array(np.zeros((640, 960, 3), np.uint8))])
    np.testing.assert_allclose(found.detections[0].boxes_xyxy, [[0, 0, 960, 640]])
    with _detector(path) as detector:
        assert detector.input_size == (640, 640)


def test_a_fixed_size_cannot_be_another(lamp: Path) -> None:
    with pytest.raises(ModelError, match='it cannot run at 96x64; set input_shape to auto'):
        _detector(lamp, opt_shape=(1, 3, 64, 96))


def test_a_precision_that_is_not_the_models_is_said(lamp: Path) -> None:
    with _detector(lamp, precision='fp16') as detector:
        assert detector.info.precision == 'fp32'
        assert any(warning.endswith('as it is: fp32') for warning in detector.info.warnings)
    with _detector(lamp, precision='int8') as detector:
        (warning,) = detector.info.warnings
        assert warning.endswith('as it is: fp32; INT8 needs calib_cache_path')
    with _detector(lamp, calib_cache_path='/nowhere/x.calib') as detector:
        assert any('/nowhere/x.calib' in warning for warning in detector.info.warnings)


def test_info_says_what_runs(lamp: Path) -> None:
    with _detector(lamp) as detector:
        assert (detector.info.backend, detector.info.device) == ('onnxruntime', 'CPU')
        assert detector.layout == 'end-to-end [N, M, 6]'
        times = detector.detect([_lamp(64, 64, 0, 0, 8)]).times
    assert min(times.preprocess_ms, times.infer_ms, times.decode_ms) > 0


def test_a_batch_that_does_not_fit_is_refused(lamp: Path) -> None:
    with OnnxRuntimeEngine(lamp.read_bytes(), 2) as engine:
        assert (engine.get_input_shape(), engine.get_batch_size()) == ((64, 64), 2)
        assert [out.shape for out in engine.run(np.zeros((2, 3, 64, 64), np.float32))] == [
            (2, 3, 6)
        ]
        with pytest.raises(EngineError, match='dtype float64'):
            engine.run(np.zeros((1, 3, 64, 64)))
        with pytest.raises(EngineError, match=r'shape \(3, 3, 64, 64\); expected 1 to 2 images'):
            engine.run(np.zeros((3, 3, 64, 64), np.float32))
        with pytest.raises(EngineError, match='ONNX Runtime could not run the model'):
            engine.run(np.zeros((1, 3, 32, 64), np.float32))
    with pytest.raises(EngineError, match='closed engine'):
        engine.run(np.zeros((1, 3, 64, 64), np.float32))
    engine.close()


def test_a_model_that_onnx_runtime_refuses_is_said() -> None:
    with pytest.raises(ModelError, match='(?s)ONNX Runtime refuses the model.*again'):
        OnnxRuntimeEngine(b'no model')


def test_a_failed_start_frees_the_engine(lamp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    original = OnnxRuntimeEngine.close
    monkeypatch.setattr(
        OnnxRuntimeEngine, 'close', lambda self: (closed.append(1), original(self))[1]
    )

    def fail(self: Detector, iterations: int) -> None:
        raise EngineError(f'no room for {iterations} runs')

    monkeypatch.setattr(Detector, 'warm_up', fail)
    with pytest.raises(EngineError, match='no room for 3 runs'):
        _detector(lamp)
    assert closed == [1]


def test_warm_up_goes_the_way_of_live_images(lamp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[int, ...]]] = []
    fill = BatchRunner.fill

    def note(self: BatchRunner, images: Sequence[Image], slot: Any) -> tuple[Letterbox, ...]:
        seen.append([(image.height, image.width) for image in images])
        return fill(self, images, slot)

    monkeypatch.setattr(BatchRunner, 'fill', note)
    with _detector(lamp, batch_size=3, warmup_iterations=2):
        one = [(64, 64)]
        assert seen == [one, one * 3] * 2
    seen.clear()
    with _detector(lamp, warmup_iterations=0):
        assert not seen


@pytest.mark.parametrize('spinning', [False, True])
def test_threads_spin_only_where_they_may(spinning: bool, tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    values = DetectorConfig(
        model_path=str(path), backend='onnxruntime', onnxruntime_provider='cpu',
        inference_spinning=spinning,
    )  # fmt: skip
    with create_detector(values) as detector:
        session = detector.engine._session  # type: ignore[attr-defined]
        options = session.get_session_options()
        entry = options.get_session_config_entry('session.intra_op.allow_spinning')
        assert entry == str(int(spinning))


def test_a_name_that_stands_twice_selects_all_its_classes() -> None:
    names = ('helmet', 'vest', 'helmet')
    options = decode_options(
        DetectorConfig(classes=('helmet',), class_score_thresholds=('helmet:0.9', '#1:0.5')), names
    )
    assert options.classes == {0, 2}
    assert dict(options.class_score_thresholds) == {0: 0.9, 2: 0.9, 1: 0.5}


def test_a_number_that_is_the_name_of_another_class_is_refused() -> None:
    names = tuple(str(number + 1) for number in range(10))
    for wanted in ('9', '3'):
        with pytest.raises(ConfigError, match=rf"'{wanted}', which is the name of .* write #"):
            decode_options(DetectorConfig(classes=(wanted,)), names)
    # 10 is no number of a class, and 0 no name.
    assert decode_options(DetectorConfig(classes=('10', '0', '#4')), names).classes == {9, 0, 4}
    with pytest.raises(ConfigError, match='class_score_thresholds holds'):
        decode_options(DetectorConfig(class_score_thresholds=('9:0.5',)), names)
    same = tuple(str(number) for number in range(10))
    assert decode_options(DetectorConfig(classes=('9', '#3')), same).classes == {9, 3}
    with pytest.raises(ConfigError, match="classes holds '#10'"):
        decode_options(DetectorConfig(classes=('#10',)), same)


def _open_over_one(path: Path) -> Path:
    """Write a detector whose batch is declared open over a Reshape to one image."""
    model = onnx.load(lamp_detector(path, batch='batch'))
    for node in model.graph.node:
        node.output[:] = ['inner' if name == 'output0' else name for name in node.output]
    model.graph.node.append(helper.make_node('Reshape', ['inner', 'one_image'], ['output0']))
    shape = onnx.numpy_helper.from_array(np.array([1, 3, 6], np.int64), 'one_image')
    model.graph.initializer.append(shape)
    onnx.save(model, path)
    return path


def test_an_open_batch_over_a_graph_of_one_image_is_served_one_by_one(tmp_path: Path) -> None:
    path = _open_over_one(tmp_path / 'm.onnx')
    config = DetectorConfig(model_path=str(path), backend='onnxruntime')
    with create_detector(config, default_batch_size=2) as detector:
        assert detector.batch_size == 1
        [warning] = detector.info.warnings
        assert 'm.onnx declares an open batch, but fails with two images' in warning
        assert len(detector.detect([_lamp(64, 64, 8, 8, 8)]).detections) == 1
    with create_detector(config) as detector:
        assert (detector.batch_size, detector.info.warnings) == (1, ())


def test_a_graph_that_drops_the_batch_is_served_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / 'm.onnx'
    model = onnx.load(lamp_detector(path, batch='batch'))
    for node in model.graph.node:
        node.output[:] = ['inner' if name == 'output0' else name for name in node.output]
    model.graph.node.append(helper.make_node('Gather', ['inner', 'first'], ['output0'], axis=0))
    first = onnx.numpy_helper.from_array(np.array([0], np.int64), 'first')
    model.graph.initializer.append(first)
    onnx.save(model, path)
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', batch_size=4)
    with create_detector(config) as detector:
        assert detector.batch_size == 1
        assert 'outputs [1, 3, 6]' in detector.info.warnings[0]


def test_four_open_axes_are_three_channels_of_the_given_size(tmp_path: Path) -> None:
    path = tmp_path / 'm.onnx'
    model = onnx.load(lamp_detector(path))
    for number, dimension in enumerate(model.graph.input[0].type.tensor_type.shape.dim):
        dimension.dim_param = f'axis {number}'
    onnx.save(model, path)
    with _detector(path, input_shape='64x64') as detector:
        assert detector.engine.input_spec.shape == (None, 3, None, None)
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[8:16, 24:32] = 255
        [found] = detector.detect([Image.from_array(pixels)]).detections
        assert found.boxes_xyxy.tolist() == [[24, 8, 32, 16]]


@pytest.mark.parametrize('single', [True, False])
def test_a_build_that_fails_over_a_graph_of_one_image_is_tried_with_one(
    single: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'm.onnx'
    _open_over_one(path) if single else lamp_detector(path)
    wanted = []

    def build(config: DetectorConfig, model: Any, *, batch_size: int, **_: Any) -> Any:
        wanted.append(batch_size)
        if batch_size > 1:
            raise BuildError('Reshape: volume mismatch')
        return OnnxRuntimeEngine(path.read_bytes(), batch_size)

    monkeypatch.setattr('trt_detector.trt.backend.open_engine', build)
    config = DetectorConfig(model_path=str(path), backend='tensorrt', batch_size=2)
    if not single:
        # ONNX Runtime runs two images: the failure has another cause.
        with pytest.raises(BuildError, match='volume mismatch'):
            create_detector(config)
        assert wanted == [2]
        return
    with create_detector(config) as detector:
        assert (wanted, detector.batch_size) == ([2, 1], 1)
        assert 'Reshape: volume mismatch' in detector.info.warnings[0]
