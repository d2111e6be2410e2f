# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Layers ranked by what INT8 does to each alone."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from support.quantized import DETECTORS, min_max_cache, random_images, yolov8_like
from trt_detector.errors import ModelError
from trt_detector.quantize import CalibrationCache
from trt_detector.quantize.qdq import insert_qdq
from trt_detector.quantize.sensitivity import rank_layers
from trt_detector.tools import calibrate

PICTURES = Path(__file__).resolve().parents[2] / 'demo' / 'pictures'


def batches(count: int = 2) -> list[object]:
    return [image[None] for image in random_images(count)]


@pytest.mark.parametrize('name', DETECTORS)
def test_every_quantizable_layer_is_ranked(name: str) -> None:
    model = DETECTORS[name]()
    cache = min_max_cache(model, random_images(2))
    ranked = rank_layers(model, cache, batches())
    assert {entry.name for entry in ranked} == set(insert_qdq(model, cache).quantized_nodes)
    errors = [entry.error for entry in ranked]
    assert errors == sorted(errors, reverse=True)
    # One layer of good INT8 alone changes a network little, but it does.
    assert 0 < errors[0] < 0.2


def test_a_spoilt_layer_stands_first() -> None:
    model = yolov8_like()
    good = min_max_cache(model, random_images(2))
    layers = insert_qdq(model, good).quantized_nodes
    victim = layers[2]
    (source,) = (node.input[0] for node in model.graph.node if node.name == victim)
    scales = {n: s * (60 if n == source else 1) for n, s in good.scales.items()}
    ranked = rank_layers(model, CalibrationCache(good.header, scales), batches())
    readers = {n.name for n in model.graph.node if n.name in layers and n.input[0] == source}
    assert {entry.name for entry in ranked[: len(readers)]} == readers
    assert victim in readers


def test_without_a_picture_there_is_no_ranking() -> None:
    model = yolov8_like()
    with pytest.raises(ModelError, match='no picture to compare'):
        rank_layers(model, min_max_cache(model, random_images(1)), [])


def test_the_tool_writes_the_ranking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / 'm.onnx'
    onnx.save(yolov8_like(), model)
    report = tmp_path / 'layers.json'
    arguments = ['--model', model, '--output', tmp_path / 'x.calib', '--gate-frames', 0]
    arguments += ['--images', *sorted(PICTURES.glob('*.png')), '--sensitivity', report]
    assert calibrate.main([str(argument) for argument in arguments]) == 0
    layers = json.loads(report.read_text())
    assert layers['pictures'] == 4
    assert len(layers['layers']) > 3
    assert layers['layers'][0]['name'] in capsys.readouterr().out
