# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing in the infer_cfg.yml that PaddleDetection exports with a model."""

from __future__ import annotations

from pathlib import Path
import reprlib
from typing import Any

from ..errors import ModelError
from .hugging_face import is_number, ProcessorConfig, SMALLEST_DIVISOR
from .text_files import read_yaml

__all__ = ['read_paddle_config']

_NAME = 'infer_cfg.yml'


def read_paddle_config(model: Path) -> ProcessorConfig | None:
    """
    Read the steps Resize and NormalizeImage of the infer_cfg.yml beside a model.

    :return: None if there is no such file, or no such step in it.
    :raises ModelError: if it cannot be read, or a step is not as PaddleDetection writes it.
    """
    path = model.parent / _NAME
    if not path.is_file():
        return None
    content, _ = read_yaml(path)
    steps = content.get('Preprocess') if isinstance(content, dict) else None
    if not isinstance(steps, list):
        return None
    by_type = {str(step.get('type')): step for step in steps if isinstance(step, dict)}
    normalize = by_type.get('NormalizeImage')
    if normalize is None and 'Resize' not in by_type:
        return None
    pad_size = _read_pad_size(path, by_type.get('Resize'))
    if normalize is None:
        # Fused into the network, which takes the pixels as they are.
        plain = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        return ProcessorConfig(path, 1.0, *plain, pad_size=pad_size)
    scale = 1 / 255 if normalize.get('is_scale', True) else 1.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if normalize.get('norm_type', 'mean_std') != 'none':
        mean = _read_triple(path, normalize, 'mean')
        std = _read_triple(path, normalize, 'std')
        if min(std) < SMALLEST_DIVISOR:
            raise ModelError(
                f'{path} has the std {list(std)}; expected {SMALLEST_DIVISOR} or more'
            )
    return ProcessorConfig(path, scale, mean, std, pad_size=pad_size)


def _read_pad_size(path: Path, resize: Any) -> tuple[int, int] | None:
    """Read (height, width) that images are padded to; None if they are stretched."""
    if resize is None or not resize.get('keep_ratio'):
        return None
    size = resize.get('target_size')
    if isinstance(size, list) and len(size) == 2 and all(type(s) is int and s > 0 for s in size):
        return size[0], size[1]
    raise ModelError(f'{path} has the target_size {reprlib.repr(size)}; expected height and width')


def _read_triple(path: Path, step: dict[str, Any], key: str) -> tuple[float, float, float]:
    """Read a number per channel."""
    value = step.get(key)
    if not isinstance(value, list) or len(value) != 3 or not all(is_number(v) for v in value):
        raise ModelError(f'{path} has the {key} {reprlib.repr(value)}; expected three numbers')
    return float(value[0]), float(value[1]), float(value[2])
