# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Every head layout from the picture to boxes in its pixels, against a plain float64 decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper
import pytest
from support.heads import build, CASES, IOU, picture, reference, SCORE
from support.models import save
from trt_detector.config import DetectorConfig
from trt_detector.errors import ModelError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.model_info import read_model_info

SIZES = [(200, 150), (96, 64), (61, 300), (640, 360)]


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('seed', range(3))
def test_a_layout_agrees_with_the_plain_decoder(name: str, seed: int, tmp_path: Path) -> None:
    path = build(name, tmp_path / 'm.onnx', seed)
    pictures = [picture(seed + n, *size) for n, size in enumerate(SIZES)]
    config = DetectorConfig(
        model_path=str(path), backend='onnxruntime', batch_size=4, warmup_iterations=0,
        score_threshold=SCORE, iou_threshold=IOU,
    )  # fmt: skip
    with create_detector(config) as detector:
        assert detector.batch_size == (1 if CASES[name].batch == 1 else 4)
        images = [Image.from_array(p) for p in pictures]
        step = detector.batch_size
        batches = [detector.detect(images[n : n + step]) for n in range(0, len(images), step)]
    found = [detections for batch in batches for detections in batch.detections]
    total = 0
    for bgr, detections in zip(pictures, found, strict=True):
        expected = reference(name, path, bgr)
        total += len(expected)
        boxes = np.array([one[:4] for one in expected]).reshape(-1, 4)
        assert detections.class_ids.tolist() == [one[5] for one in expected]
        np.testing.assert_allclose(detections.boxes_xyxy, boxes, rtol=0, atol=0.01)
        np.testing.assert_allclose(
            detections.scores, [one[4] for one in expected], rtol=0, atol=1e-5
        )
    assert total > 10, 'nothing found says nothing'


@pytest.mark.parametrize('batch_size', [0, 4])
def test_torchvision_without_a_batch_dimension(batch_size: int, tmp_path: Path) -> None:
    path = build('torchvision', tmp_path / 'm.onnx')
    bgr = picture(3, 200, 150)
    expected = reference('torchvision', path, bgr)
    model = onnx.load(path)
    [image] = model.graph.input
    rest = [helper.make_node('Unsqueeze', ['image', 'front'], ['images']), *model.graph.node]
    image.name = 'image'
    del image.type.tensor_type.shape.dim[0]
    del model.graph.node[:]
    model.graph.node.extend(rest)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), 'front'))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    config = DetectorConfig(
        model_path=str(path), backend='onnxruntime', batch_size=batch_size,
        score_threshold=SCORE, warmup_iterations=1,
    )  # fmt: skip
    with create_detector(config, default_batch_size=4) as detector:
        assert (detector.batch_size, detector.engine.input_spec.shape[0]) == (1, 1)
        found = detector.detect([Image.from_array(bgr)]).detections[0]
    assert len(expected) > 3
    assert found.class_ids.tolist() == [one[5] for one in expected]
    boxes = np.array([one[:4] for one in expected])
    np.testing.assert_allclose(found.boxes_xyxy, boxes, rtol=0, atol=0.01)
    np.testing.assert_allclose(found.scores, [one[4] for one in expected], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('task', 'ignored', 'extra', 'more'),
    [('segment', 'masks', 4, {'masks': (1, 4, 16, 24)}), ('pose', 'keypoints', 6, {})],
)
@pytest.mark.parametrize('chosen', [False, True])
def test_boxes_of_other_tasks_come_with_a_warning(
    task: str,
    ignored: str,
    extra: int,
    more: dict[str, tuple[int, ...]],
    *,
    chosen: bool,
    tmp_path: Path,
) -> None:  # fmt: skip
    # What stands behind the scores, or behind the class, looks like scores but is none.
    behind = [0.99] * extra
    if chosen:
        output = np.array([[[8, 16, 40, 48, 0.9, 1, *behind], [0, 0, 8, 8, 0.8, 0, *behind]]])
    else:
        rows = np.zeros((126, 4 + 2 + extra))
        rows[:2] = [[24, 32, 32, 32, 0, 0.9, *behind], [4, 4, 8, 8, 0.8, 0, *behind]]
        output = rows.T[None]
    names = {'output0': output.shape, **more}
    path = save(
        tmp_path / 'm.onnx',
        [
            helper.make_node('ReduceMean', ['images'], ['mean'], keepdims=0),
            helper.make_node('Mul', ['mean', 'zero'], ['none']),
            *(helper.make_node('Add', [f'{name} value', 'none'], [name]) for name in names),
        ],
        inputs={'images': (1, 3, 64, 96)},
        outputs=names,
        initializers=[
            onnx.numpy_helper.from_array(np.array(0, np.float32), 'zero'),
            *(
                onnx.numpy_helper.from_array(
                    (output if name == 'output0' else np.zeros(shape)).astype(np.float32),
                    f'{name} value',
                )
                for name, shape in names.items()
            ),
        ],
        metadata={
            'task': task, 'names': "['cone', 'ball']", 'kpt_shape': '[2, 3]',
            'end2end': str(chosen),
        },
    )  # fmt: skip
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', warmup_iterations=0)
    with create_detector(config) as detector:
        warnings = detector.info.warnings
        found = detector.detect([Image.from_array(picture(0, 96, 64))]).detections[0]
    expected = f"the model's task is '{task}': only its boxes are reported, not its {ignored}"
    assert expected in warnings
    assert found.class_ids.tolist() == [1, 0]
    np.testing.assert_allclose(found.boxes_xyxy, [[8, 16, 40, 48], [0, 0, 8, 8]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9, 0.8], atol=1e-6)


@pytest.mark.parametrize('task', ['classify', 'depth'])
def test_other_tasks_are_refused(task: str, tmp_path: Path) -> None:
    path = build('yolo', tmp_path / 'm.onnx')
    model = onnx.load(path)
    helper.set_model_props(model, {'task': task})
    onnx.save(model, path)
    config = DetectorConfig(model_path=str(path), backend='onnxruntime')
    with pytest.raises(ModelError, match=f"task is '{task}' .*; expected 'detect'"):
        create_detector(config)


def test_what_the_head_parameter_names_is_what_is_recognized(tmp_path: Path) -> None:
    for name, case in CASES.items():
        path = build(name, tmp_path / f'{name}.onnx')
        layouts = []
        for head in ('auto', case.head):
            config = DetectorConfig(
                model_path=str(path), backend='onnxruntime', head=head, warmup_iterations=0
            )
            with create_detector(config) as detector:
                layouts.append(detector.layout)
        assert layouts[0] == layouts[1], name


def test_target_sizes_become_a_constant_and_the_file_stays(tmp_path: Path) -> None:
    path = build('detr_deploy', tmp_path / 'm.onnx')
    before = path.read_bytes()
    info = read_model_info(path)
    assert (info.image_input.name, len(info.inputs)) == ('images', 2)
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', warmup_iterations=0)
    with create_detector(config) as detector:
        assert detector.batch_size == 1
    assert path.read_bytes() == before
