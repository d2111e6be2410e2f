# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A network as INT8 Q/DQ in one ONNX file, for runtimes that take it so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .calibration_cache import read_calibration_cache
from .exclude import match_nodes
from .model_file import load_onnx_bytes, serialize_onnx
from .qdq import insert_qdq

__all__ = ['quantize_onnx']


def quantize_onnx(
    data: bytes, folder: Path, cache_path: Path, exclude: Sequence[str] = ()
) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """
    Return an ONNX file with the scales of a calibration cache, and facts for people.

    :param data: an FP32 ONNX file.
    :param folder: where its external data is.
    :param exclude: patterns of the nodes that stay in float.
    :raises CalibrationCacheError: if the cache cannot be read or does not fit the network.
    :raises ConfigError: if a pattern matches no node.
    :raises ModelError: if the network cannot be quantized.
    """
    cache = read_calibration_cache(cache_path)
    model = load_onnx_bytes(data, folder)
    result = insert_qdq(model, cache, exclude=sorted(match_nodes(model, exclude)))
    quantized = serialize_onnx(result.model)
    details = [('quantized', f'{len(result.quantized_nodes)} layers')]
    if result.skipped:
        details.append(('not quantized', f'{len(result.skipped)} layers'))
    details.append(('model bytes', str(len(quantized))))
    return quantized, tuple(details)
