# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Weights behind symbolic links, as in the cache of Hugging Face, on every route to TensorRT."""

from __future__ import annotations

from pathlib import Path

from doubles.machine import machine
import numpy as np
import onnx
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Return a model in a snapshot: it and its weights are links to blobs with other names."""
    blobs, snapshot = tmp_path / 'blobs', tmp_path / 'snapshots' / 'revision'
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    model = onnx.load(networks.yolo(tmp_path / 'yolo.onnx'))
    onnx.save(model, snapshot / 'model.onnx', save_as_external_data=True,
              location='model.onnx_data', size_threshold=256)  # fmt: skip
    for name, blob in (('model.onnx', 'a1'), ('model.onnx_data', 'b2')):
        (snapshot / name).rename(blobs / blob)
        (snapshot / name).symlink_to(f'../../blobs/{blob}')
    return snapshot / 'model.onnx'


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('personality', ['tensorrt-10.3', 'tensorrt-11.4'])
def test_every_route_reads_linked_weights(
    personality: str, precision: str, linked: Path, tmp_path: Path
) -> None:
    cache = networks.write_cache(tmp_path / 'yolo.cache', tmp_path / 'yolo.onnx')
    config = DetectorConfig(
        model_path=str(linked),
        engine_cache_dir=str(tmp_path / 'plans'),
        precision=precision,
        calib_cache_path=str(cache) if precision == 'int8' else '',
        warmup_iterations=0,
    )
    image = Image.from_array(np.zeros((64, 64, 3), np.uint8))
    with machine(personality), create_detector(config) as detector:
        assert detector.info.backend == 'tensorrt'
        assert len(detector.detect([image]).detections) == 1
