# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detectors with INT8 engines of the demo model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trt_detector.config import DetectorConfig
from trt_detector.pipeline import Detector

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
PICTURES = ROOT / 'demo' / 'pictures'
# Six pictures with 64 objects.
FRAMES = ('scene_06', 'scene_08', 'scene_24', 'scene_28', 'scene_33', 'scene_48')


def settings(cache: Path, **changes: Any) -> DetectorConfig:
    values = {
        'model_path': str(MODEL),
        'backend': 'onnxruntime',
        'precision': 'int8',
        'calib_cache_path': str(cache),
        'warmup_iterations': 0,
        **changes,
    }
    return DetectorConfig.from_mapping(values)


def details(detector: Detector) -> dict[str, str]:
    return detector.info.report()
