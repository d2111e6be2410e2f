# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The line that a detector, the tools and the node show at start: settings and their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.models import constant_detector, lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.tools import detect


def _describe(path: Path, **parameters: Any) -> tuple[str, ...]:
    """Open a detector and return the parts of its description."""
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', **parameters)
    with create_detector(config) as detector:
        return tuple(detector.description.split('; '))


def test_the_sources_of_a_model_with_metadata(tmp_path: Path) -> None:
    head, preprocessing, size, classes = _describe(lamp_detector(tmp_path / 'm.onnx'))
    assert head == 'head end_to_end (recognized by metadata)'
    assert preprocessing == (
        'preprocessing letterbox center with padding 114, RGB, scale 1/255, no mean and std '
        '(head layout end_to_end)'
    )
    assert size == 'input 64x64, float32 (fixed by the model)'
    assert classes == '2 classes (metadata of m.onnx)'


def test_parameters_and_files_are_sources(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / 'm.onnx', np.zeros((6, 50)), size=('h', 'w'))
    (tmp_path / 'names.txt').write_text('a\nb\n')
    _, _, size, classes = _describe(path, head='yolo', score_threshold=0.5)
    assert size == 'input follows the images, float32 (open, limit: default of 640x640)'
    assert classes == '2 classes (names.txt beside m.onnx)'
    head, preprocessing, size, classes = _describe(
        path, head='yolo', class_names=('x', 'y'), input_shape='64x96',
        preprocess_preset='detr_imagenet', color_order='bgr',
    )  # fmt: skip
    assert head == 'head yolo (parameter head)'
    assert preprocessing == (
        'preprocessing stretch, BGR, scale 1/255, mean 0.406/0.456/0.485, std 0.225/0.224/0.229 '
        '(parameter preprocess_preset detr_imagenet, parameters color_order)'
    )
    assert size == 'input 96x64, float32 (parameter input_shape)'
    assert classes == '2 classes (parameter class_names)'


def test_detect_prints_the_line_and_every_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lamp_detector(tmp_path / 'm.onnx')
    # A file of the model's own is read for entries that its metadata lack.
    (tmp_path / 'm.yaml').write_text('head: [')
    cv2.imwrite(str(tmp_path / 'p.png'), np.zeros((64, 64, 3), np.uint8))
    arguments = ['--model', str(path), '--images', str(tmp_path / 'p.png')]
    assert detect.main([*arguments, '--backend', 'onnxruntime']) == 0
    printed = capsys.readouterr().err
    assert 'detect: m.onnx: head end_to_end (recognized by metadata); preprocessing' in printed
    assert 'm.yaml is not YAML' in printed
