# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The infer_cfg.yml of PaddleDetection: preprocessing and class names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.image.image import Image
from trt_detector.model_info.metadata_files import read_metadata_files
from trt_detector.model_setup import ModelSetup
from trt_detector.model_setup.preprocessing import Preprocessing
from trt_detector.preprocess import CpuPreprocessor
from trt_detector.values.tensor_spec import TensorSpec

# As PaddleDetection dumps it, shortened.
CONFIG = """
mode: paddle
draw_threshold: 0.5
metric: COCO
arch: YOLO
Preprocess:
- interp: 2
  keep_ratio: {ratio}
  target_size: [8, 8]
  type: Resize
{normalize}
- type: Permute
label_list: [person, bicycle, car]
"""
MEAN_STD = """- is_scale: {scale}
  mean: [0.5, 0.25, 0.125]
  norm_type: {kind}
  std: [0.5, 0.2, 0.1]
  type: NormalizeImage"""


def _choose(folder: Path, **parameters: Any) -> Preprocessing:
    setup = ModelSetup(DetectorConfig(**parameters), folder / 'm.onnx', None, {}, {}, (), '')
    outputs = [
        TensorSpec('fetch_name_0', (None, 6), np.dtype('f4')),
        TensorSpec('fetch_name_1', (None,), np.dtype('i4')),
    ]
    return setup.preprocessing(setup.recognize(outputs, (8, 8)), outputs)


def _pixels(preprocessing: Preprocessing) -> tuple[list[float], list[float]]:
    """Preprocess a wide gray picture and return a pixel of the top and of the bottom."""
    spec = TensorSpec('image', (1, 3, 8, 8), np.dtype('f4'))
    out = np.zeros((3, 8, 8), np.float32)
    CpuPreprocessor(preprocessing.spec, spec, (8, 8))(
        Image.from_array(np.full((4, 8, 3), 100, np.uint8)), out
    )
    return out[:, 1, 4].tolist(), out[:, 6, 4].tolist()


@pytest.mark.parametrize(
    ('normalize', 'pixel'),
    [
        (MEAN_STD.format(scale='true', kind='mean_std'),
         [(100 / 255 - 0.5) / 0.5, (100 / 255 - 0.25) / 0.2, (100 / 255 - 0.125) / 0.1]),
        (MEAN_STD.format(scale='false', kind='mean_std'),
         [(100 - 0.5) / 0.5, (100 - 0.25) / 0.2, (100 - 0.125) / 0.1]),
        (MEAN_STD.format(scale='true', kind='none'), [100 / 255] * 3),
        # Without the step the network normalizes itself (fuse_normalize).
        ('', [100.0] * 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize('ratio', ['false', 'true'])
def test_the_steps_are_those_of_the_file(
    normalize: str, pixel: list[float], ratio: str, tmp_path: Path
) -> None:
    (tmp_path / 'infer_cfg.yml').write_text(CONFIG.format(ratio=ratio, normalize=normalize))
    found = _choose(tmp_path)
    assert (found.source, found.warnings) == ('infer_cfg.yml', ())
    top, bottom = _pixels(found)
    assert top == pytest.approx(pixel, abs=1e-5)
    # Stretched, or padded with what is 0 for the network up to half a gray level.
    if ratio == 'false':
        assert bottom == pytest.approx(pixel, abs=1e-5)
    else:
        assert abs(np.mean(bottom)) < 1.5


def test_without_the_file_the_assumption_is_said_unless_a_parameter_tells(tmp_path: Path) -> None:
    found = _choose(tmp_path)
    assert 'PicoDet need preprocess_preset: detr_imagenet' in found.warnings[0]
    assert found.source == 'head layout paddle, assumed'
    assert not _choose(tmp_path, preprocess_preset='detr_imagenet').warnings


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('Preprocess:\n- {type: NormalizeImage, mean: [1, 2], std: [1, 1, 1]}', 'has the mean'),
        ('Preprocess:\n- {type: NormalizeImage, mean: [1, 2, 3], std: [1, 0, 1]}', 'has the std'),
        ('Preprocess:\n- {type: Resize, keep_ratio: true, target_size: 8}', 'has the target_size'),
    ],
)
def test_a_damaged_file_is_a_warning(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / 'infer_cfg.yml').write_text(text)
    warnings = _choose(tmp_path).warnings
    assert message in warnings[0]
    assert warnings[0].endswith('(it was ignored)')


@pytest.mark.parametrize(
    'text',
    ['Preprocess: 5', '[1, 2]', 'mode: paddle', 'Preprocess: [5]', 'Preprocess: [{type: []}]'],
)
def test_a_file_without_steps_tells_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / 'infer_cfg.yml').write_text(text)
    assert 'assumed' in _choose(tmp_path).source


def test_names_and_anchors_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / 'infer_cfg.yml').write_text(CONFIG.format(ratio='false', normalize=''))
    assert read_metadata_files(tmp_path / 'm.onnx').metadata == {
        'names': "['person', 'bicycle', 'car']"
    }
    # YOLOv5's description of a model; a number stands for anchors that are to be fitted.
    lists = '[[10, 13, 16, 30], [30, 61, 62, 45]]'
    (tmp_path / 'm.yaml').write_text(f'nc: 3\nanchors: {lists}\n')
    assert read_metadata_files(tmp_path / 'm.onnx').metadata['anchors'] == lists
    (tmp_path / 'm.yaml').write_text('nc: 3\nanchors: 3\n')
    assert 'anchors' not in read_metadata_files(tmp_path / 'm.onnx').metadata
