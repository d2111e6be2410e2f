# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing of the DETR family by files, model type, output names and assumption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.image.image import Image
from trt_detector.model_setup import ModelSetup
from trt_detector.model_setup.preprocessing import Preprocessing
from trt_detector.preprocess import CpuPreprocessor
from trt_detector.values.tensor_spec import TensorSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DETECTION = ('logits', 'pred_boxes')


def _choose(
    folder: Path,
    *,
    names: tuple[str, str] = DETECTION,
    metadata: dict[str, str] | None = None,
    **parameters: Any,
) -> Preprocessing:
    """Choose the preprocessing of a network with two outputs, 91 classes by sigmoid."""
    config = DetectorConfig(head='detr_sigmoid', **parameters)
    setup = ModelSetup(config, folder / 'm.onnx', None, metadata or {}, {}, (), '')
    outputs = [
        TensorSpec(names[0], (1, 300, 91), np.dtype('f4')),
        TensorSpec(names[1], (1, 300, 4), np.dtype('f4')),
    ]
    return setup.preprocessing(setup.recognize(outputs, (64, 64)), outputs)


def _pixel(preprocessing: Preprocessing) -> list[float]:
    """Preprocess a gray picture and return one pixel of the input."""
    spec = TensorSpec('images', (1, 3, 8, 8), np.dtype('f4'))
    out = np.zeros((3, 8, 8), np.float32)
    CpuPreprocessor(preprocessing.spec, spec, (8, 8))(
        Image.from_array(np.full((8, 8, 3), 100, np.uint8)), out
    )
    return [float(value) for value in out[:, 4, 4]]


PLAIN = [100 / 255] * 3
IMAGENET = [(100 / 255 - mean) / std for mean, std in zip(MEAN, STD, strict=True)]


@pytest.mark.parametrize(
    ('kind', 'expected'),
    [
        ('rt_detr', PLAIN), ('rt_detr_v2', PLAIN), ('d_fine', PLAIN),
        ('deformable_detr', IMAGENET), ('conditional_detr', IMAGENET), ('dab-detr', IMAGENET),
        ('yolos', IMAGENET), ('table-transformer', IMAGENET), ('rf_detr', IMAGENET),
    ],
)  # fmt: skip
def test_the_model_type_tells(kind: str, expected: list[float], tmp_path: Path) -> None:
    (tmp_path / 'config.json').write_text(json.dumps({'model_type': kind}))
    found = _choose(tmp_path)
    assert (found.source, found.warnings) == (f'model_type {kind}', ())
    assert _pixel(found) == pytest.approx(expected, abs=1e-5)


def test_the_output_names_of_rf_detr_tell(tmp_path: Path) -> None:
    found = _choose(tmp_path, names=('labels', 'dets'))
    assert (found.source, found.warnings) == ('output names of RF-DETR', ())
    assert _pixel(found) == pytest.approx(IMAGENET, abs=1e-5)


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    found = _choose(tmp_path)
    assert _pixel(found) == pytest.approx(PLAIN, abs=1e-5)
    [warning] = found.warnings
    assert 'preprocess_preset: detr_imagenet' in warning
    assert not _choose(tmp_path, preprocess_preset='detr').warnings
    assert not _choose(tmp_path, metadata={'head': 'RTDETRDecoder'}).warnings


@pytest.mark.parametrize('folder', ['', 'onnx'])
def test_the_processor_file_outranks_every_guess(folder: str, tmp_path: Path) -> None:
    (tmp_path / 'onnx').mkdir()
    content = {
        'do_rescale': True, 'rescale_factor': 0.01, 'do_normalize': True,
        'image_mean': [0.5, 0.25, 0.125], 'image_std': [0.5, 0.2, 0.1],
        'size': {'height': 480, 'width': 512},
    }  # fmt: skip
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(content))
    (tmp_path / 'config.json').write_text('{"model_type": "rt_detr"}')
    found = _choose(tmp_path / folder)
    assert (found.source, found.warnings) == ('preprocessor_config.json', ())
    assert _pixel(found) == pytest.approx([(1 - 0.5) / 0.5, (1 - 0.25) / 0.2, (1 - 0.125) / 0.1])
    assert (found.size, found.square) == ((480, 512), True)
    # Parameters outrank the file.
    other = _choose(tmp_path / folder, input_scale=1.0, input_mean=(1.0,), input_std=(2.0,))
    assert _pixel(other) == pytest.approx([(100 - 1) / 2] * 3)
    assert 'parameters input_scale, input_mean, input_std' in other.source


def test_a_processor_that_does_not_normalize(tmp_path: Path) -> None:
    content = {'do_rescale': False, 'do_normalize': False, 'image_mean': MEAN, 'image_std': STD}
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(content))
    assert _pixel(_choose(tmp_path)) == [100.0] * 3


def test_edges_and_padding_of_a_processor(tmp_path: Path) -> None:
    content = {
        'do_normalize': True, 'size': {'shortest_edge': 800, 'longest_edge': 1333},
        'do_pad': True, 'pad_size': {'height': 1024, 'width': 1024},
    }  # fmt: skip
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(content))
    found = _choose(tmp_path)
    assert (found.size, found.edges, found.square) == (None, (800, 1333), False)
    # Padding of 0 after the normalization is the mean before it.
    assert (found.spec.mode, found.spec.anchor, found.spec.pad_value) == (
        'letterbox',
        'top_left',
        114,
    )
    (tmp_path / 'preprocessor_config.json').write_text('{"size": 600, "max_size": 900}')
    assert _choose(tmp_path).edges == (600, 900)


@pytest.mark.parametrize(
    'content', ['{', '[]', '{"do_normalize": true, "image_std": [1, 0, 1]}', '{"size": [1]}',
                '{"do_normalize": true, "image_mean": "a"}'],
)  # fmt: skip
def test_a_damaged_processor_file_is_a_warning(content: str, tmp_path: Path) -> None:
    (tmp_path / 'preprocessor_config.json').write_text(content)
    found = _choose(tmp_path, names=('labels', 'dets'))
    [warning] = found.warnings
    assert 'preprocessor_config.json' in warning
    assert _pixel(found) == pytest.approx(IMAGENET, abs=1e-5)
