# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rotated boxes from planted values to the picture's pixels, the drawing and the report."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.models import constant_detector
from support.rotated import corners
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.drawing import draw_detections
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.preprocess import Letterbox, PreprocessSpec
from trt_detector.tools.detect import main
from trt_detector.values.detections import Detections

SIDE, ANCHORS = 64, 8 * 8 + 4 * 4 + 2 * 2
PROPS = {'task': 'obb', 'names': "{0: 'ship', 1: 'plane'}"}
# center x, y, width, height, score of class 0 and 1, angle; in pixels of the network's input.
PLANTED = (
    (20.0, 30.0, 16.0, 6.0, 0.1, 0.9, 0.5),
    # A duplicate, turned by half a turn.
    (20.5, 30.0, 16.0, 6.0, 0.1, 0.8, 0.5 + math.pi),
    # The same upright box and class, but crosswise: the areas overlap little.
    (20.0, 30.0, 16.0, 6.0, 0.1, 0.7, 0.5 + math.pi / 2),
    (40.0, 40.0, 10.0, 10.0, 0.6, 0.2, -0.25),
    # In the padding of a picture of 128x64 pixels.
    (40.0, 5.0, 10.0, 10.0, 0.5, 0.2, 0.0),
)


def _raw() -> np.ndarray:
    output = np.zeros((7, ANCHORS), np.float32)
    output[:4] = 5
    output[:, : len(PLANTED)] = np.array(PLANTED).T
    return output


def _rows() -> np.ndarray:
    output = np.zeros((10, 7), np.float32)
    for n, (x, y, w, h, first, second, angle) in enumerate(PLANTED):
        output[n] = (x, y, w, h, max(first, second), float(second > first), angle)
    return output


def _open(path: Path, output: np.ndarray, props: dict[str, str], **more: Any) -> Detector:
    constant_detector(path / 'm.onnx', output, props=props)
    return create_detector(
        DetectorConfig(model_path=str(path / 'm.onnx'), backend='onnxruntime', **more)
    )


def _picture() -> np.ndarray:
    return np.zeros((64, 128, 3), np.uint8)


@pytest.mark.parametrize('head', ['yolo_obb', 'obb_rows'])
def test_rotated_boxes_are_in_pixels_of_the_picture(head: str, tmp_path: Path) -> None:
    output, props = _raw(), PROPS
    if head == 'obb_rows':
        output, props = _rows(), {**PROPS, 'end2end': 'True'}
    with _open(tmp_path, output, props) as detector:
        assert detector.info.warnings == ()
        found = detector.detect([Image.from_array(_picture())]).detections[0]
    # The picture is halved and lies 16 pixels below the top of the input.
    expected = [
        (2 * x, 2 * (y - 16), 2 * w, 2 * h, max(scores), scores.index(max(scores)), angle)
        for x, y, w, h, *scores, angle in PLANTED
        if y > 16
    ]
    if head == 'yolo_obb':
        del expected[1]
    assert found.angles is not None
    sizes = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
    centers = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
    np.testing.assert_allclose(centers, [one[:2] for one in expected], atol=1e-4)
    np.testing.assert_allclose(sizes, [one[2:4] for one in expected], atol=1e-4)
    np.testing.assert_allclose(found.scores, [one[4] for one in expected], atol=1e-6)
    assert found.class_ids.tolist() == [one[5] for one in expected]
    turned = [math.remainder(one[6], 2 * math.pi) for one in expected]
    np.testing.assert_allclose(found.angles, turned, atol=1e-5)


def test_a_stretched_picture_turns_its_boxes() -> None:
    letterbox = Letterbox.fit((128, 64), (64, 64), PreprocessSpec(mode='stretch'))
    boxes = np.array([[10, 20, 30, 28]], np.float32)
    mapped, angles = letterbox.rotated_to_source(boxes, np.array([math.pi / 4], np.float32))
    # Half the width along (1, 1) / sqrt(2) becomes twice as long in x.
    along = np.array([10 * math.sqrt(0.5) * 2, 10 * math.sqrt(0.5)])
    assert angles[0] == pytest.approx(math.atan2(along[1], along[0]))
    assert mapped[0, 2] - mapped[0, 0] == pytest.approx(2 * np.linalg.norm(along), rel=1e-5)
    assert (mapped[0, 0] + mapped[0, 2]) / 2 == pytest.approx(40)


def test_a_rotated_box_is_drawn_along_its_edges() -> None:
    box = (30.0, 40.0, 90.0, 60.0)
    found = Detections(
        np.array([box], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32),
        angles=np.array([0.6], np.float32),
    )  # fmt: skip
    drawn = draw_detections(np.zeros((120, 120, 3), np.uint8), found, ('ship',))
    edges = corners(box, 0.6)
    for (x1, y1), (x2, y2) in zip(edges, [*edges[1:], edges[0]], strict=True):
        middle = drawn[round((y1 + y2) / 2), round((x1 + x2) / 2)]
        assert middle.max() > 100
    # Nothing is drawn on the box before the rotation.
    assert drawn[40, 85].max() == 0


def test_the_report_of_detect_has_the_angle(tmp_path: Path) -> None:
    constant_detector(tmp_path / 'm.onnx', _raw(), props=PROPS)
    cv2.imwrite(str(tmp_path / 'a.png'), _picture())
    arguments = ['--model', str(tmp_path / 'm.onnx'), '--backend', 'onnxruntime']
    arguments += ['--images', str(tmp_path / 'a.png'), '--json', str(tmp_path / 'out.json')]
    assert main(arguments) == 0
    [entry] = json.loads((tmp_path / 'out.json').read_text())
    assert [round(one['angle'], 4) for one in entry['detections']] == [0.5, 2.0708, -0.25]
