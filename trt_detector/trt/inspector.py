# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Layers of an engine and their precision, from the engine inspector of TensorRT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
import json
import logging
import re
from typing import Any

from ..plan import PRECISIONS
from .library import TensorRTLibrary
from .logger import LogLines, make_logger
from .runtime import load_cuda_engine

__all__ = [
    'LayerInfo',
    'built_precision',
    'count_dla_layers',
    'inspect_layers',
    'inspect_plan',
    'precision_summary',
]

_LOG = logging.getLogger(__name__)

# Names of data types: 'Row major linear FP16' (8.6 to 10), 'Half' (11, RTX).
_DATA_TYPES = {
    'Int8': 'int8',
    'INT8': 'int8',
    'FP16': 'fp16',
    'Half': 'fp16',
    'BF16': 'bf16',
    'BFloat16': 'bf16',
    'FP32': 'fp32',
    'Float': 'fp32',
}
_WORD = re.compile(r'\w+')
_TF32 = 'tf32'


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """
    Layer of an engine.

    :param name: name, made of the ONNX nodes that were fused into the layer.
    :param kind: type of the layer, '' if the inspector reports names only.
    :param precision: lowest of its tensors, one of :data:`..plan.PRECISIONS`; '' for other types
        or if the inspector does not report it.
    """

    name: str
    kind: str
    precision: str


def inspect_layers(library: TensorRTLibrary, cuda_engine: Any) -> tuple[LayerInfo, ...]:
    """
    List the layers of an engine, none if the library has no inspector (lean runtime) or fails.

    Precisions need a plan that was built with detailed verbosity.
    """
    inspector = cuda_engine.create_engine_inspector() if library.has_inspector else None
    if inspector is None:
        return ()
    try:
        # A text that is no UTF-8 is a ValueError already, no text at all None.
        text = inspector.get_engine_information(library.enum('LayerInformationFormat', 'JSON'))
        layers = json.loads(text or '').get('Layers', [])
    except (ValueError, AttributeError) as error:
        _LOG.warning('the layers of the engine are unknown: its inspector fails: %s', error)
        return ()
    return tuple(_layer(entry) for entry in layers)


def inspect_plan(library: TensorRTLibrary, plan: bytes, dla_core: int) -> tuple[LayerInfo, ...]:
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


def count_dla_layers(layers: Iterable[LayerInfo]) -> int:
    """Count the layers that run on a Deep Learning Accelerator."""
    return sum('dla' in info.kind.lower() for info in layers)


def built_precision(layers: Iterable[LayerInfo]) -> str:
    """Return the lowest precision of the layers, '' if the inspector reports none."""
    found = {layer.precision for layer in layers}
    return next((name for name in PRECISIONS if name in found), '')


def _layer(entry: Any) -> LayerInfo:
    """Convert an entry of the inspector: an object, or a name only."""
    if not isinstance(entry, dict):
        return LayerInfo(str(entry), '', '')
    tensors = [
        item
        for side in ('Outputs', 'Inputs')
        for item in entry.get(side, ())
        if isinstance(item, dict)
    ]
    found = {_DATA_TYPES.get(word, '') for item in tensors for word in _type_words(item)}
    precision = next((name for name in PRECISIONS if name in found), '')
    # Only the name of the kernel tells that it rounds FP32 to TF32.
    if precision == 'fp32' and _TF32 in str(entry.get('TacticName', '')):
        precision = _TF32
    return LayerInfo(str(entry.get('Name', '')), str(entry.get('LayerType', '')), precision)


def _type_words(description: dict[str, Any]) -> list[str]:
    """Return the words that describe the data type of a tensor, in the form of any version."""
    text = (
        description.get('Datatype')
        or description.get('Format/Datatype')
        or description.get('Format', '')
    )
    return _WORD.findall(str(text))
