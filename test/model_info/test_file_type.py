# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are no ONNX files: recognized by their first bytes, refused with the remedy."""

from __future__ import annotations

import fcntl
import io
import json
import os
from pathlib import Path
import struct
import zipfile

from doubles.machine import machine
import numpy as np
import pytest
from support import networks
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import ModelError, PlanError
from trt_detector.factory import create_detector
from trt_detector.model_info import is_plan, read_model_info, read_plan_metadata
from trt_detector.model_setup import ModelSetup
from trt_detector.plan import read_prebuilt_plan
from trt_detector.tools import build_engine
from trt_detector.values.tensor_spec import TensorSpec


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name in names:
            archive.writestr(name, b'x')
    return buffer.getvalue()


FOREIGN = {
    'git lfs': (b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'git lfs pull'),
    'html': (b'\n<!DOCTYPE html><html><head>', 'web page.*download it again'),
    'html after a byte order mark': (b'\xef\xbb\xbf<!DOCTYPE html>', 'web page'),
    'html after a comment': (b'<!-- 404 -->\n<html>', 'web page'),
    'safetensors': (struct.pack('<Q', 40) + b'{"w":{"dtype":"F32"', 'safetensors.*ONNX'),
    'ort format': (b'\x20\0\0\0ORTM' + bytes(40), 'ORT format; name the ONNX file'),
    'checkpoint': (_zip('best/data.pkl'), 'PyTorch checkpoint; export .*format=onnx'),
    'torchscript': (_zip('best/code/__torch__.py', 'best/data.pkl'), 'TorchScript.*format=onnx'),
    'old checkpoint': (b'\x80\x02}q\x00', 'pickled PyTorch file; export .*model=m.bin'),
    'zipped': (_zip('a/model.onnx'), r'ZIP archive; unpack it.*a/model\.onnx'),
    'broken zip': (_zip('best/data.pkl')[:40], 'incomplete .pt file'),
    'tflite': (b'\x1c\0\0\0TFL3', 'tf2onnx'),
    'gzip': (b'\x1f\x8b\x08', 'unpack it'),
    'openvino': (b'<?xml version="1.0"?>', 'OpenVINO'),
}  # fmt: skip


@pytest.mark.parametrize('kind', FOREIGN)
@pytest.mark.parametrize('suffix', ['.bin', '.onnx', '.engine'])
def test_foreign_files_are_refused_with_the_remedy(kind: str, suffix: str, tmp_path: Path) -> None:
    content, message = FOREIGN[kind]
    path = tmp_path / f'm{suffix}'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message.replace('m.bin', path.name)):
        create_detector(DetectorConfig(model_path=str(path), backend='onnxruntime'))


def test_a_saved_model_and_other_folders_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / 'a.onnx').touch()
    with pytest.raises(ModelError, match=r'is a folder; name an ONNX file in it: a\.onnx'):
        read_model_info(tmp_path)
    (tmp_path / 'saved_model.pb').touch()
    with pytest.raises(ModelError, match='TensorFlow SavedModel; convert it: python -m tf2onnx'):
        read_model_info(tmp_path)


@pytest.mark.parametrize('kind', ['pipe', 'device'])
def test_file_that_is_no_regular_one_is_refused_without_reading_it(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / 'model.onnx'
    os.mkfifo(path) if kind == 'pipe' else path.symlink_to('/dev/zero')
    # Enough for the first bytes of a file: reading an empty pipe would wait for ever.
    writer = os.open(path, os.O_RDWR)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20) if kind == 'pipe' else None
    os.write(writer, bytes(1 << 20))
    try:
        with pytest.raises(ModelError, match='is a pipe, socket or device; name a regular ONNX'):
            is_plan(path)
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    ('name', 'reason'), [('a' * 300, 'File name too long'), ('a\0b', 'null'), ('link', 'symbolic')]
)
def test_name_that_cannot_be_opened_is_refused_with_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / 'link').symlink_to('link')
    with pytest.raises(ModelError, match=f'cannot read the model .*{reason}'):
        is_plan(tmp_path / name)


@pytest.mark.parametrize('name', ['m.engine', 'm.ENGINE', 'm.plan', 'm.trt', 'm.bin', 'm.onnx'])
def test_a_plan_is_known_by_its_first_bytes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b'ftrt' + bytes(60))
    assert is_plan(path)
    # Unknown bytes: the name counts, and TensorRT judges.
    path.write_bytes(bytes(64))
    assert is_plan(path) == (name not in ('m.bin', 'm.onnx'))


@pytest.mark.parametrize('name', ['m.onnx', 'm.engine', 'm.plan', 'm.trt', 'm.bin', 'm'])
def test_an_onnx_file_is_no_plan(name: str, tmp_path: Path) -> None:
    assert not is_plan(lamp_detector(tmp_path / name))


def test_an_onnx_file_with_the_name_of_a_plan_runs_and_says_so(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'm.engine')
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', warmup_iterations=0)
    with create_detector(config) as detector:
        (warning,) = detector.info.warnings
    assert warning == 'm.engine is an ONNX file by its content, not a TensorRT plan; rename it'
    path.chmod(0o600)
    with pytest.raises(
        PlanError, match=r'm\.engine is an ONNX file by .*; rename it to \.onnx, or'
    ):
        read_prebuilt_plan(path)
    path = path.rename(tmp_path / 'm.onnx')
    with pytest.raises(
        PlanError, match=r'm\.onnx is an ONNX file by .*; name a plan, which build'
    ):
        read_prebuilt_plan(path)


def test_a_plan_with_the_name_of_an_onnx_file_says_so(tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    with machine('tensorrt-10.16'):
        plan = tmp_path / 'plan.onnx'
        arguments = ['--model', str(model), '--output', str(plan), '--precision', 'fp32']
        assert build_engine.main([*arguments, '--engine-cache-dir', str(tmp_path / 'p')]) == 0
        config = DetectorConfig(model_path=str(plan), warmup_iterations=0)
        with create_detector(config) as detector:
            warnings = detector.info.warnings
    assert 'plan.onnx is a TensorRT plan by its content, not an ONNX file; rename it' in warnings
    with pytest.raises(ModelError, match=r'plan\.onnx is a TensorRT plan; expected an ONNX file'):
        read_model_info(plan)


@pytest.mark.parametrize('content', [b'', b'\x08', b'\x08\x00\x12', b'\x08\x09\x99'])
def test_other_bytes_are_no_onnx_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / 'm.engine'
    path.write_bytes(content)
    assert is_plan(path)


def test_the_header_of_ultralytics_gives_names_size_and_task(tmp_path: Path) -> None:
    content = {
        'names': {'0': 'lamp', '1': 'box'}, 'imgsz': [64, 96], 'task': 'detect', 'stride': 32,
        'end2end': True,
    }  # fmt: skip
    header = json.dumps(content).encode()
    path = tmp_path / 'yolo.engine'
    path.write_bytes(struct.pack('<i', len(header)) + header + b'ftrt' + bytes(range(60)))
    path.chmod(0o600)
    assert is_plan(path)
    assert read_plan_metadata(path)['task'] == 'detect'
    assert read_prebuilt_plan(path).data == b'ftrt' + bytes(range(60))
    setup = ModelSetup.read(DetectorConfig(), path, None)
    assert (setup.names, setup.names_source) == (('lamp', 'box'), 'metadata of yolo.engine')
    outputs = [TensorSpec('output0', (1, 300, 6), np.dtype('f4'))]
    assert setup.recognize(outputs, (64, 96)).name == 'end_to_end'


@pytest.mark.parametrize(
    'header', [b'', b'\xff\xff\xff\x7f{', struct.pack('<i', 9) + b'{not json']
)
def test_what_is_no_header_stays_part_of_the_plan(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / 'm.engine'
    path.write_bytes(header + b'ftrt' + bytes(20))
    path.chmod(0o600)
    assert read_plan_metadata(path) == {}
    assert read_prebuilt_plan(path).data == path.read_bytes()
