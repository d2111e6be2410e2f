# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a calibration cache into a network as QuantizeLinear and DequantizeLinear nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from .calibration_cache import CalibrationCache

__all__ = ['QdqResult', 'insert_qdq']


@dataclass(frozen=True, slots=True)
class QdqResult:
    """
    A network with Q/DQ nodes.

    :param model: the new network; the one given is left as it was.
    :param quantized_nodes: names of the nodes that now compute in INT8.
    :param skipped: node name to the reason why it stayed in float.
    """

    model: onnx.ModelProto
    quantized_nodes: tuple[str, ...]
    skipped: Mapping[str, str]


def insert_qdq(
    model: onnx.ModelProto,
    cache: CalibrationCache,
    *,
    exclude: Sequence[str] = (),
) -> QdqResult:
    """
    Quantize a network's convolutions with the scales of a calibration cache.

    :param exclude: names of nodes to leave in float.
    :raises CalibrationCacheError: if no convolution's input has a scale, with names of both sides.
    :raises ModelError: if the network has no convolution, or cannot be brought to opset 13.
    """
    raise NotImplementedError
