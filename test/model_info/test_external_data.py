# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in files beside the model, also behind symbolic links as in the Hugging Face cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import ModelError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.model_info import read_model_info, resolve_external_data
from trt_detector.quantize.model_file import load_onnx_bytes


def _split(path: Path, folder: Path, location: str = 'model.onnx_data') -> None:
    """Save a model with its weights in a file of their own."""
    onnx.save_model(
        onnx.load(path), folder / 'model.onnx', save_as_external_data=True,
        all_tensors_to_one_file=True, location=location, size_threshold=100,
    )  # fmt: skip


@pytest.fixture(name='snapshot')
def _snapshot(tmp_path: Path) -> Path:
    """Lay a model out as the Hugging Face cache does, and return its path."""
    blobs, snapshot = tmp_path / 'blobs', tmp_path / 'snapshots' / 'abc'
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    _split(lamp_detector(tmp_path / 'lamp.onnx'), blobs)
    for number, name in enumerate(['model.onnx', 'model.onnx_data']):
        (blobs / name).rename(blobs / f'{number:064}')
        (snapshot / name).symlink_to(Path('..', '..', 'blobs', f'{number:064}'))
    return snapshot / 'model.onnx'


def test_onnx_runtime_runs_a_model_behind_links(snapshot: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[24:32, 40:48] = 255
    with create_detector(DetectorConfig(model_path=str(snapshot), backend='onnxruntime')) as found:
        [detections] = found.detect([Image.from_array(pixels)]).detections
    assert detections.boxes_xyxy.tolist() == [[40, 24, 48, 32]]
    assert detections.scores.tolist() == pytest.approx([1])


def test_quantization_and_conversion_read_a_model_behind_links(
    snapshot: Path, tmp_path: Path
) -> None:
    model = load_onnx_bytes(snapshot.read_bytes(), snapshot.parent)
    expected = onnx.load(tmp_path / 'lamp.onnx')
    weights = [
        {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in each.graph.initializer}
        for each in (model, expected)
    ]
    np.testing.assert_equal(*weights)


def test_files_without_links_stay_as_they_are(tmp_path: Path) -> None:
    _split(lamp_detector(tmp_path / 'lamp.onnx'), tmp_path)
    data = (tmp_path / 'model.onnx').read_bytes()
    assert resolve_external_data(data, tmp_path) == (data, tmp_path)


@pytest.mark.parametrize('location', ['../secret', '/etc/hostname', 'a/../../secret'])
def test_locations_outside_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    _split(lamp_detector(tmp_path / 'lamp.onnx'), tmp_path)
    model = onnx.load(tmp_path / 'model.onnx', load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == 'location':
                entry.value = location
    (tmp_path / 'model.onnx').write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match='outside its own folder, which is refused'):
        read_model_info(tmp_path / 'model.onnx')
