# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Targets: the files that exporters put beside a model."""

from __future__ import annotations

from functools import cache
import math
from pathlib import Path
from typing import Any

import numpy as np
from trt_detector.config import DetectorConfig
from trt_detector.decode import GraphInfo, recognize, Recognized
from trt_detector.image.image import Image
from trt_detector.model_info import (
    parse_names,
    ProcessorConfig,
    read_model_type,
    read_paddle_config,
    read_processor_config,
)
from trt_detector.model_info.metadata_files import read_metadata_files
from trt_detector.model_setup.preprocessing import choose_preprocessing
from trt_detector.preprocess import CpuPreprocessor
from trt_detector.values.tensor_spec import TensorSpec

from ..invariants import attempt, check_text
from ..scratch import scratch_files
from .models import check_interpretation

FILES = (
    'model.yaml', 'model.yml', 'model.json', 'model.txt', 'metadata.yaml', 'config.json',
    'infer_cfg.yml', 'names.txt', 'classes.txt', 'labels.txt',
)  # fmt: skip
# Between the two files of Hugging Face.
SEPARATOR = b'\n===\n'
_FLOAT = np.dtype(np.float32)
_INPUT = TensorSpec('images', (1, 3, 16, 24), _FLOAT)
_OUTPUTS = {
    'detr': (
        TensorSpec('logits', (1, 20, 5), _FLOAT),
        TensorSpec('pred_boxes', (1, 20, 4), _FLOAT),
    ),
    'yolo': (TensorSpec('output0', (1, 84, 8400), _FLOAT),),
}


@cache
def _recognized(kind: str) -> Recognized:
    """Recognize one of the two heads that the preprocessing is chosen for."""
    name = 'detr_sigmoid' if kind == 'detr' else 'auto'
    return recognize(GraphInfo(_OUTPUTS[kind], input_size=(640, 640)), name)


def _check_config(config: ProcessorConfig) -> None:
    """Check the values of a preprocessing file."""
    if config.scale is not None:
        assert 0 < config.scale < math.inf
    for values in (config.mean, config.std):
        assert values is None or (len(values) == 3 and all(map(math.isfinite, values)))
    assert config.std is None or min(config.std) > 0
    for pair in (config.size, config.edges, config.pad_size):
        assert pair is None or (len(pair) == 2 and all(type(n) is int and n > 0 for n in pair))


def _check_preprocessing(path: Path, metadata: dict[str, str], kind: str) -> None:
    """Choose the preprocessing with the files beside a model, and run it on a picture."""
    found = _recognized(kind)
    chosen: Any = attempt(
        choose_preprocessing, DetectorConfig(), path, metadata, found, _OUTPUTS[kind]
    )
    if chosen is None:
        return
    for warning in chosen.warnings:
        check_text(warning)
    assert 0 <= chosen.spec.pad_value <= 255
    target = np.zeros((3, 16, 24), np.float32)
    picture = np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3)
    CpuPreprocessor(chosen.spec, _INPUT, (16, 24))(Image.from_array(picture), target)
    assert np.isfinite(target).all()


def check_processor_config(data: bytes) -> None:
    """Read a preprocessor_config.json and a config.json, and preprocess a picture as they say."""
    first, _, second = data.partition(SEPARATOR)
    files = {'preprocessor_config.json': first}
    if second:
        files['config.json'] = second
    with scratch_files(files) as folder:
        model = folder / 'model.onnx'
        config = attempt(read_processor_config, model)
        if config is not None:
            _check_config(config)
        kind = attempt(read_model_type, model)
        assert kind is None or isinstance(kind, str)
        for name in _OUTPUTS if config else ('detr',):
            _check_preprocessing(model, {}, name)


def check_paddle_config(data: bytes) -> None:
    """Read an infer_cfg.yml, and preprocess a picture as it says."""
    with scratch_files({'infer_cfg.yml': data}) as folder:
        model = folder / 'model.onnx'
        config = attempt(read_paddle_config, model)
        if config is not None:
            _check_config(config)
        for name in _OUTPUTS if config else ('detr',):
            _check_preprocessing(model, {}, name)


def check_metadata_file(data: bytes) -> None:
    """Read one of the metadata files, and use what it says."""
    name, content = FILES[data[0] % len(FILES)] if data else FILES[0], data[1:]
    with scratch_files({name: content}) as folder:
        found = read_metadata_files(folder / 'model.onnx')
    assert found.metadata.keys() == found.sources.keys()
    assert all(isinstance(text, str) for pair in found.metadata.items() for text in pair)
    assert set(found.sources.values()) <= {name}
    for warning in found.warnings:
        check_text(warning)
    if 'names' in found.metadata:
        names = parse_names(found.metadata)
        assert names
        assert all(isinstance(text, str) for text in names)
        if name.endswith('.txt'):
            assert len(names) <= len(content)
    check_interpretation(found.metadata)
