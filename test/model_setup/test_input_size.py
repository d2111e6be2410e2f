# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Open height and width: the size follows each picture, or is the one of the training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from onnx import helper
import pytest
from support.models import constant_detector, save, tensor
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.tools import detect

# Input sizes (height, width) within 640x640, in strides of 32.
PICTURES = {'a': (360, 640), 'b': (640, 640), 'c': (640, 320), 'd': (360, 640), 'e': (400, 300)}
SIZES = {'a': (384, 640), 'b': (640, 640), 'c': (640, 320), 'd': (384, 640), 'e': (640, 480)}


def _size_detector(path: Path) -> Path:
    """Write a detector of open size whose one box spans the whole input."""
    nodes = [
        helper.make_node('Shape', ['images'], ['shape']),
        helper.make_node('Gather', ['shape', 'columns'], ['size']),
        helper.make_node('Cast', ['size'], ['corner'], to=1),
        helper.make_node('Concat', ['origin', 'corner', 'rest'], ['row'], axis=0),
        helper.make_node('Reshape', ['row', 'one'], ['rows']),
        helper.make_node('ReduceMean', ['images'], ['mean'], axes=[1, 2, 3], keepdims=1),
        helper.make_node('Squeeze', ['mean', 'last'], ['flat']),
        helper.make_node('Mul', ['flat', 'zero'], ['nothing']),
        helper.make_node('Add', ['rows', 'nothing'], ['output0']),
    ]
    return save(
        path,
        nodes,
        inputs={'images': (1, 3, 'h', 'w')},
        outputs={'output0': (1, 1, 6)},
        initializers=[
            tensor('columns', np.array([3, 2])), tensor('origin', np.zeros(2, np.float32)),
            tensor('rest', np.array([0.9, 1], np.float32)), tensor('one', np.array([1, 1, 6])),
            tensor('last', np.array([3])), tensor('zero', np.array(0, np.float32)),
        ],
        metadata={'names': "['a', 'b']", 'end2end': 'True', 'task': 'detect', 'stride': '32'},
    )  # fmt: skip


def _picture(name: str) -> Image:
    return Image.from_array(np.zeros((*PICTURES[name], 3), np.uint8))


@pytest.mark.parametrize('order', ['abcde', 'ecdba'])
def test_the_size_follows_each_picture_in_any_order(order: str, tmp_path: Path) -> None:
    path = _size_detector(tmp_path / 'm.onnx')
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', warmup_iterations=0)
    with create_detector(config) as detector:
        assert detector.input_size_follows_images
        for name in order:
            detector.fit_input_size(_picture(name))
            assert detector.input_size == SIZES[name]
            assert len(detector.detect([_picture(name)]).detections[0]) == 1
        # A stream keeps the size of its first image.
        detector.detect([_picture('a')])
        assert detector.input_size == SIZES[order[-1]]


def test_the_detections_of_detect_do_not_depend_on_file_names(tmp_path: Path) -> None:
    path = _size_detector(tmp_path / 'm.onnx')
    results = []
    for prefixes in ('12345', '54321'):
        folder = tmp_path / prefixes
        folder.mkdir()
        for prefix, name in zip(prefixes, PICTURES, strict=True):
            cv2.imwrite(str(folder / f'{prefix}{name}.png'), np.zeros((*PICTURES[name], 3)))
        arguments = ['--model', str(path), '--images', str(folder), '--backend', 'onnxruntime']
        assert detect.main([*arguments, '--json', str(folder / 'result.json')]) == 0
        entries = json.loads((folder / 'result.json').read_text())
        results.append({entry['file'][1:]: entry['detections'] for entry in entries})
    assert results[0] == results[1]
    # The box spans the input, so it is clipped to the whole picture.
    for name, (height, width) in PICTURES.items():
        [box] = results[0][f'{name}.png']
        assert box['bbox_xyxy'] == pytest.approx([0, 0, width, height])


def _detr(folder: Path) -> Path:
    """Write a DETR of open size with 3 classes, whose answer is always the same."""
    model = constant_detector(folder / 'boxes.onnx', np.full((10, 4), 0.5), size=('h', 'w'))
    other = constant_detector(folder / 'scores.onnx', np.zeros((10, 3)), size=('h', 'w'))
    import onnx
    from onnx import compose

    graphs = [
        compose.add_prefix(onnx.load(file), prefix, rename_inputs=False)
        for file, prefix in ((model, 'b_'), (other, 's_'))
    ]
    first, second = graphs
    first.graph.node.extend(second.graph.node)
    first.graph.initializer.extend(second.graph.initializer)
    first.graph.output.extend(second.graph.output)
    for node in first.graph.node:
        for old, new in (('b_output0', 'pred_boxes'), ('s_output0', 'logits')):
            node.output[:] = [new if name == old else name for name in node.output]
    for output, new in zip(first.graph.output, ('pred_boxes', 'logits'), strict=True):
        output.name = new
    onnx.save(first, folder / 'detr.onnx')
    return folder / 'detr.onnx'


@pytest.mark.parametrize(
    ('processor', 'parameters', 'expected'),
    [
        (None, {}, (640, 640)),
        ({'size': {'height': 480, 'width': 512}}, {}, (480, 512)),
        ({'size': {'height': 480, 'width': 512}}, {'input_shape': '96x64'}, (96, 64)),
        # 360x640: the shortest edge of 180 gives 320 pixels in the other direction.
        ({'size': {'shortest_edge': 180, 'longest_edge': 400}}, {}, (180, 320)),
        ({'size': {'shortest_edge': 180, 'longest_edge': 256}}, {}, (144, 256)),
        ({'size': {'shortest_edge': 180}}, {}, (180, 320)),
        # Half the size fits both: 240 / 360 would be more, 320 / 640 is the limit.
        ({'size': {'max_height': 240, 'max_width': 320}}, {}, (180, 320)),
        ({'size': {'max_height': 256, 'max_width': 256}}, {}, (144, 256)),
    ],
)
def test_a_detr_of_open_size_runs_as_it_was_trained(
    processor: dict[str, Any] | None,
    parameters: dict[str, Any],
    expected: tuple[int, int],
    tmp_path: Path,
) -> None:
    path = _detr(tmp_path)
    if processor is not None:
        (tmp_path / 'preprocessor_config.json').write_text(json.dumps(processor))
    config = DetectorConfig(
        model_path=str(path), backend='onnxruntime', head='detr_sigmoid', warmup_iterations=0,
        **parameters,
    )  # fmt: skip
    with create_detector(config) as detector:
        [found] = detector.detect([_picture('a')]).detections
        assert detector.input_size == expected
        # Boxes of half the width and height around the center, at any size.
        np.testing.assert_allclose(found.boxes_xyxy[0], [160, 90, 480, 270], atol=1e-3)
