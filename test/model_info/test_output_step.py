# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs that a quantized graph rounds with one scale for boxes and scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest
from support.planted import dark_and_bright, HEIGHT, open_planted, plant, STRIDES, WIDTH
from trt_detector.model_info import read_model_info

ANCHORS = sum((HEIGHT // s) * (WIDTH // s) for s in STRIDES)


def _write(path: Path, scale: float | list[float], *, transpose: bool = False) -> Path:
    """
    Write a YOLO plane of one object that passes QuantizeLinear and DequantizeLinear at its end.

    :param scale: one, or one per row of the plane.
    :param transpose: a Transpose follows.
    """
    rng = np.random.default_rng(0)
    plane = np.full((7, ANCHORS), 0.001, np.float32)
    plane[0], plane[1] = rng.uniform(8, WIDTH - 8, ANCHORS), rng.uniform(8, HEIGHT - 8, ANCHORS)
    plane[2:4] = rng.uniform(5, 20, (2, ANCHORS))
    plane[:, 5] = (24, 32, 20, 30, 0, 0.9, 0)
    plant(path, {'raw': np.stack([plane, plane])}, metadata={'names': "['a', 'b', 'c']"})
    model = onnx.load(path)
    graph = model.graph
    scales = np.array(scale, np.float32)
    graph.initializer.extend([
        numpy_helper.from_array(scales, 'scale'),
        numpy_helper.from_array(np.zeros(scales.shape, np.uint8), 'zero'),
    ])  # fmt: skip
    axis = {'axis': 1} if scales.size > 1 else {}
    graph.node.append(helper.make_node('QuantizeLinear', ['raw', 'scale', 'zero'], ['q'], **axis))
    name = 'dequantized' if transpose else 'output0'
    graph.node.append(helper.make_node('DequantizeLinear', ['q', 'scale', 'zero'], [name], **axis))
    shape: tuple[int, ...] = (7, ANCHORS)
    if transpose:
        graph.node.append(helper.make_node('Transpose', [name], ['output0'], perm=[0, 2, 1]))
        shape = shape[::-1]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info('output0', 1, ('batch', *shape)))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize('transpose', [False, True])
@pytest.mark.parametrize(
    ('scale', 'step', 'warned'),
    [(96 / 255, '0.376', True), (640 / 255, '2.51', True), (0.04, '', False)],
)
def test_scores_that_are_rounded_coarsely_are_warned_of(
    scale: float, step: str, *, warned: bool, transpose: bool, tmp_path: Path
) -> None:
    path = _write(tmp_path / 'm.onnx', scale, transpose=transpose)
    assert read_model_info(path).output_steps == {'output0': pytest.approx(scale)}
    with open_planted(path) as detector:
        texts = [text for text in detector.info.warnings if 'one scale for boxes' in text]
    assert len(texts) == warned
    assert all(f'multiples of {step}' in text for text in texts)


def test_a_scale_per_row_rounds_scores_on_their_own(tmp_path: Path) -> None:
    path = _write(tmp_path / 'm.onnx', [0.4] * 4 + [1 / 255] * 3)
    assert read_model_info(path).output_steps == {}
    with open_planted(path) as detector:
        [found, _] = detector.detect(dark_and_bright()).detections
        assert detector.info.warnings == ()
    np.testing.assert_allclose(found.scores, [0.9], atol=0.01)
    np.testing.assert_allclose(found.boxes_xyxy, [[14, 17, 34, 47]], atol=0.5)


def test_boxes_of_their_own_output_may_be_rounded(tmp_path: Path) -> None:
    path = _write(tmp_path / 'm.onnx', 0.4)
    model = onnx.load(path)
    numbers = {'start': 0, 'cut': 4, 'stop': 7, 'axis': 1}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array([value]), name) for name, value in numbers.items()
    )
    slices = {'boxes': ('output0', 'start', 'cut'), 'scores': ('raw', 'cut', 'stop')}
    for name, inputs in slices.items():
        model.graph.node.append(helper.make_node('Slice', [*inputs, 'axis'], [name]))
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, 1, ('batch', rows, ANCHORS))
        for name, rows in (('boxes', 4), ('scores', 3))
    )
    onnx.save(model, path)
    assert read_model_info(path).output_steps == {'boxes': pytest.approx(0.4)}
    with open_planted(path, head='yolo_boxes_scores') as detector:
        assert detector.info.warnings == ()
