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


@pytest.mark.parametrize('with_length', [True, False])
@pytest.mark.parametrize('kind', ['initializers', 'constants'])
def test_shapes_in_a_file_are_read(kind: str, with_length: bool, tmp_path: Path) -> None:
    path = tmp_path / 'model.onnx'
    model = onnx.load(lamp_detector(tmp_path / 'lamp.onnx'))
    if kind == 'constants':
        _turn_into_constants(model)
    onnx.save_model(
        model, path, save_as_external_data=True, location='weights.bin', size_threshold=0,
        convert_attribute=True,
    )  # fmt: skip
    if not with_length:
        _edit_extents(path, {'length': None})
    assert onnx.load(path, load_external_data=False).ByteSize() < 1500
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[24:32, 40:48] = 255
    with create_detector(DetectorConfig(model_path=str(path), backend='onnxruntime')) as found:
        [detections] = found.detect([Image.from_array(pixels)]).detections
    assert detections.boxes_xyxy.tolist() == [[40, 24, 48, 32]]


def _turn_into_constants(model: onnx.ModelProto) -> None:
    """Replace the initializers by Constant nodes."""
    nodes = [
        onnx.helper.make_node('Constant', [], [tensor.name], value=tensor)
        for tensor in model.graph.initializer
    ]
    rest = list(model.graph.node)
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def _edit_extents(path: Path, changes: dict[str, str | None]) -> None:
    """Change or remove entries on the place of every external tensor."""
    model = onnx.load(path, load_external_data=False)
    tensors = [*model.graph.initializer, *(a.t for n in model.graph.node for a in n.attribute)]
    for tensor in tensors:
        kept = {entry.key: entry.value for entry in tensor.external_data}
        if not kept:
            continue
        kept |= {key: value for key, value in changes.items() if value is not None}
        del tensor.external_data[:]
        for key, value in kept.items():
            if key not in changes or changes[key] is not None:
                tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def test_weights_that_were_cut_off_are_refused(tmp_path: Path) -> None:
    _split(lamp_detector(tmp_path / 'lamp.onnx'), tmp_path)
    file = tmp_path / 'model.onnx_data'
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError, match='up to byte 1024, but that file has 100 bytes'):
        read_model_info(tmp_path / 'model.onnx')


@pytest.mark.parametrize('changes', [{'offset': 'x'}, {'length': '-3'}, {'offset': '-1'}])
def test_a_place_that_is_none_is_refused(changes: dict[str, str | None], tmp_path: Path) -> None:
    _split(lamp_detector(tmp_path / 'lamp.onnx'), tmp_path)
    _edit_extents(tmp_path / 'model.onnx', changes)
    with pytest.raises(ModelError, match='export the model again'):
        read_model_info(tmp_path / 'model.onnx')
