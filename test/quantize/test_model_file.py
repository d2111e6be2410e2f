# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX files with and without external data."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from support.quantized import min_max_cache, random_images, yolox_like
from trt_detector.errors import ModelError
from trt_detector.quantize.model_file import load_onnx_bytes, serialize_onnx
from trt_detector.quantize.precision_fp16 import convert_to_fp16
from trt_detector.quantize.qdq import insert_qdq


def save_with_external_data(model: onnx.ModelProto, path: Path) -> None:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.save(copy, str(path), save_as_external_data=True, location='weights.bin',
              size_threshold=0)  # fmt: skip


def test_external_data_is_loaded_and_stored_inside(tmp_path: Path) -> None:
    model = yolox_like()
    path = tmp_path / 'model.onnx'
    save_with_external_data(model, path)
    assert (tmp_path / 'weights.bin').stat().st_size > 1000
    loaded = load_onnx_bytes(path.read_bytes(), tmp_path)
    cache = min_max_cache(loaded, random_images(1))
    converted = convert_to_fp16(insert_qdq(loaded, cache).model)
    again = onnx.load_from_string(serialize_onnx(converted))
    onnx.checker.check_model(again)
    assert not any(t.external_data for t in again.graph.initializer)


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'model.onnx'
    save_with_external_data(yolox_like(), path)
    (tmp_path / 'weights.bin').unlink()
    with pytest.raises(ModelError, match=r'weights\.bin'):
        load_onnx_bytes(path.read_bytes(), tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='the model is not a complete ONNX file'):
        load_onnx_bytes(yolox_like().SerializeToString()[:1000], tmp_path)


def test_models_above_2_gib_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = yolox_like()
    assert len(serialize_onnx(model)) == model.ByteSize()
    monkeypatch.setattr('trt_detector.quantize.model_file._LARGEST', 10_000)
    with pytest.raises(ModelError, match='maximum of one ONNX file is 2 GiB'):
        serialize_onnx(model)
