# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Presets of the preprocessing, and their parameter files."""

from __future__ import annotations

from pathlib import Path

import pytest
from trt_detector.config import DetectorConfig
from trt_detector.preprocess import PreprocessSpec, PRESETS
import yaml

PRESET_FILES = sorted((Path(__file__).parents[2] / 'config' / 'presets').glob('*.yaml'))


def test_every_preset_has_a_file() -> None:
    assert [path.stem for path in PRESET_FILES] == sorted(PRESETS)


@pytest.mark.parametrize('path', PRESET_FILES, ids=lambda path: path.stem)
def test_a_preset_file_says_what_the_code_does(path: Path) -> None:
    values = yaml.safe_load(path.read_text(encoding='utf-8'))['/**']['ros__parameters']
    assert values.pop('preprocess_preset') == path.stem
    # Each value for itself: none may come from the preset of the same name.
    assert 'auto' not in values.values()
    config = DetectorConfig.from_mapping(values)
    other = 'detr' if path.stem != 'detr' else 'yolo'
    assert PreprocessSpec.from_config(config, PRESETS[other]) == PRESETS[path.stem]


def test_mean_and_std_follow_their_colors_to_another_order() -> None:
    # RTMDet takes BGR: blue, its first channel, has the mean 103.5 of 255.
    spec = PreprocessSpec.from_config(DetectorConfig(color_order='bgr'), PRESETS['mmdet'])
    assert (spec.color, spec.mean, spec.std) == (
        'bgr',
        (0.406, 0.456, 0.485),
        (0.225, 0.224, 0.229),
    )
    given = DetectorConfig(color_order='bgr', input_mean=(1.0, 2.0, 3.0))
    assert PreprocessSpec.from_config(given, PRESETS['mmdet']).mean == (1.0, 2.0, 3.0)
