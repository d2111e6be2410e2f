# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Layers of an engine and their precision, from the engine inspector of TensorRT."""

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

# Names of data types in the output of the inspector, lowest precision first.
_SIGNS = (
    ('int8', ('Int8', 'INT8')),
    ('fp16', ('FP16', 'Half')),
    ('bf16', ('BF16', 'BFloat16')),
    ('fp32', ('FP32', 'Float')),
)


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """
    Layer of an engine.

    :param name: name, made of the ONNX nodes that were fused into the layer.
    :param kind: type of the layer, '' if the inspector reports names only.
    :param precision: 'int8', 'fp16', 'bf16' or 'fp32' of its outputs; '' for other types or if
        the inspector does not report it.
    """

    name: str
    kind: str
    precision: str


def inspect_layers(library: TensorRTLibrary, cuda_engine: Any) -> tuple[LayerInfo, ...]:
    """
    List the layers of an engine, none if the library has no inspector (lean runtime).

    Precisions need a plan that was built with detailed verbosity.
    """
    if not library.has_inspector:
        return ()
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
    List the layers of a plan, which is deserialized and released again.

    :raises EngineError: if TensorRT rejects it.
    """
    lines = LogLines()
    logger = make_logger(library, lines)
    runtime, cuda_engine = load_cuda_engine(library, plan, logger, lines, dla_core)
    layers = inspect_layers(library, cuda_engine)
    # The engine has to be released before its runtime, and both before the logger.
    del cuda_engine
    del runtime
    return layers


def precision_summary(layers: Iterable[LayerInfo]) -> str:
    """Count the layers per precision, e.g. '61 int8, 9 fp16'."""
    counts = Counter(layer.precision for layer in layers if layer.precision)
    return ', '.join(f'{count} {name}' for name, count in counts.most_common())


def built_precision(layers: Iterable[LayerInfo]) -> str:
    """Return the lowest precision of the layers, '' if the inspector reports none."""
    found = {layer.precision for layer in layers}
    return next((name for name in ('int8', 'fp16', 'fp32') if name in found), '')


def _layer(entry: Any) -> LayerInfo:
    """Convert an entry of the inspector: an object, or a name only."""
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
