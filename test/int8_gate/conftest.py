# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration caches and frames for the gate."""

from __future__ import annotations

from pathlib import Path
import shutil

import cv2
import numpy as np
import pytest
from support.int8 import FRAMES, MODEL, PICTURES
from trt_detector.quantize import CalibrationCache, read_calibration_cache
from trt_detector.tools import calibrate


@pytest.fixture(scope='module')
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('frames')
    for name in FRAMES:
        (path,) = PICTURES.glob(f'{name}_*')
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope='module')
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good cache, one with scales x8, and one calibrated on dark noise."""
    folder = tmp_path_factory.mktemp('caches')
    names = (*FRAMES, 'scene_13', 'scene_25', 'scene_30', 'scene_35', 'scene_46')
    pictures = [path for path in PICTURES.iterdir() if path.stem.startswith(names)]
    noise = folder / 'noise'
    noise.mkdir()
    random = np.random.default_rng(1)
    for number in range(4):
        pixels = random.integers(0, 96, (320, 512, 3), np.uint8)
        cv2.imwrite(str(noise / f'{number}.png'), pixels)
    for name, images in {'good': pictures, 'noise': [noise]}.items():
        arguments = ['--model', MODEL, '--output', folder / f'{name}.calib', '--gate-frames', 0]
        arguments += ['--method', 'minmax', '--images', *images]
        assert calibrate.main([str(argument) for argument in arguments]) == 0
    good = read_calibration_cache(folder / 'good.calib')
    wide = CalibrationCache(good.header, {n: 8 * s for n, s in good.scales.items()})
    (folder / 'x8.calib').write_bytes(wide.to_bytes())
    return folder
