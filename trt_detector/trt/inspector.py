# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorRT's own inspector says of an engine: layers and the precision of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
import json
from typing import Any

from .library import TensorRTLibrary
from .logger import LogLines, make_logger
from .runtime import load_cuda_engine

__all__ = [
    'LAYER_PRECISION',
    'LayerInfo',
    'built_precision',
    'inspect_layers',
    'inspect_plan',
    'precision_summary',
]

# Key of :func:`precision_summary` among the details of a manifest.
LAYER_PRECISION = 'precision of layers'

# In TensorRT's descriptions of a format, best match first.
_SIGNS = (
    ('int8', ('Int8', 'INT8')),
    ('fp16', ('FP16', 'Half')),
    ('bf16', ('BF16', 'BFloat16')),
    ('fp32', ('FP32', 'Float')),
)


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """
    One layer of an engine.

    :param name: its name, which tells the ONNX nodes that were fused into it.
    :param kind: TensorRT's type, '' where the inspector gives names only.
    :param precision: 'int8', 'fp16', 'bf16' or 'fp32' of its outputs; '' where it is no float or
        the inspector does not say.
    """

    name: str
    kind: str
    precision: str


def inspect_layers(library: TensorRTLibrary, cuda_engine: Any) -> tuple[LayerInfo, ...]:
    """Return the layers of an engine; precisions are there if it was built with details."""
    inspector = cuda_engine.create_engine_inspector()
    text = inspector.get_engine_information(library.enum('LayerInformationFormat', 'JSON'))
    try:
        layers = json.loads(text).get('Layers', [])
    except (ValueError, AttributeError):
        return ()
    return tuple(_layer(entry) for entry in layers)


def inspect_plan(
    library: TensorRTLibrary, plan: bytes, dla_core: int = -1
) -> tuple[LayerInfo, ...]:
    """
    Return the layers of a plan, which is loaded for it and dropped again.

    :raises EngineError: if TensorRT refuses it.
    """
    lines = LogLines()
    logger = make_logger(library, lines)
    runtime, cuda_engine = load_cuda_engine(library, plan, logger, lines, dla_core)
    layers = inspect_layers(library, cuda_engine)
    # The engine goes before the runtime that made it, and both before the logger.
    del cuda_engine
    del runtime
    return layers


def precision_summary(layers: Iterable[LayerInfo]) -> str:
    """Return how many layers have which precision: '61 int8, 9 fp16'."""
    counts = Counter(layer.precision for layer in layers if layer.precision)
    return ', '.join(f'{count} {name}' for name, count in counts.most_common())


def built_precision(layers: Iterable[LayerInfo]) -> str:
    """Return the lowest precision that a layer really has, '' where the inspector is silent."""
    found = {layer.precision for layer in layers}
    return next((name for name in ('int8', 'fp16', 'fp32') if name in found), '')


def _layer(entry: Any) -> LayerInfo:
    """Return one entry of the inspector's JSON: an object, or a name alone."""
    if not isinstance(entry, dict):
        return LayerInfo(str(entry), '', '')
    formats = [
        str(item.get('Format/Datatype', item.get('Format', '')))
        for side in ('Outputs', 'Inputs')
        for item in entry.get(side, ())
        if isinstance(item, dict)
    ]
    precision = next(
        (name for name, signs in _SIGNS if any(sign in f for sign in signs for f in formats)), ''
    )
    return LayerInfo(str(entry.get('Name', '')), str(entry.get('LayerType', '')), precision)
