# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sensitivity of the layers of a network to INT8, each quantized alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, TensorProto

from ..errors import ModelError
from .activations import open_cpu_session
from .calibration_cache import CalibrationCache
from .graph import analyse_head
from .graph_index import GraphIndex, node_name, read_names
from .qdq import insert_qdq

__all__ = ['LayerSensitivity', 'rank_layers']

Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class LayerSensitivity:
    """
    Error of the network if one layer alone is quantized.

    :param name: of the node.
    :param error: mean over the tensors that enter the head tail of |quantized - float|, as root
        mean square, relative to the root mean square of the float values.
    """

    name: str
    error: float


def rank_layers(
    model: onnx.ModelProto,
    cache: CalibrationCache,
    batches: Sequence[npt.NDArray[Any]],
    *,
    threads: int = 0,
    on_layer: Callable[[int, int, str], None] = lambda *_: None,
) -> tuple[LayerSensitivity, ...]:
    """
    Rank the quantizable layers of a network, the most sensitive first.

    The error is measured at the inputs of the head tail: behind them a TopK may swap two boxes
    with nearly equal scores, which looks like a large error.

    :param batches: inputs of the network to compare on.
    :param on_layer: called with (layers done, total layers, name of the next).
    :raises CalibrationCacheError: if the cache does not fit.
    :raises ModelError: if the network cannot be quantized, or there is no batch.
    """
    if not batches:
        raise ModelError('no picture to compare layers on; name an input with pictures')
    shown = _with_tail_inputs(model)
    layers = insert_qdq(shown, cache).quantized_nodes
    expected = _run(shown, batches, threads)
    ranked = []
    for number, layer in enumerate(layers):
        on_layer(number, len(layers), layer)
        others = [name for name in layers if name != layer]
        alone = insert_qdq(shown, cache, exclude=others).model
        ranked.append(LayerSensitivity(layer, _error(expected, _run(alone, batches, threads))))
    return tuple(sorted(ranked, key=lambda entry: (-entry.error, entry.name)))


def _with_tail_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network whose outputs are the float tensors that its head tail reads."""
    head = analyse_head(model)
    index = GraphIndex(model.graph)
    made = [
        name
        for node in index.nodes
        if node_name(node) not in head.tail_nodes and node.op_type != 'Constant'
        for name in node.output
    ]
    read = {
        name for node in index.nodes if node_name(node) in head.tail_nodes
        for name in read_names(node)
    } | set(index.outputs)  # fmt: skip
    convolved = index.upstream(
        n for n, node in enumerate(index.nodes) if node_name(node) in head.convolutions
    )
    # Of the rest, only what convolutions made: not shapes that are computed beside them.
    makers = {name for n in convolved for name in index.nodes[n].output}
    names = [name for name in made if name in read and name in makers]
    if not names:
        raise ModelError('the network has no convolution before its outputs')
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    del shown.graph.value_info[:]
    shown.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    return shown


def _run(
    model: onnx.ModelProto, batches: Sequence[npt.NDArray[Any]], threads: int
) -> list[Arrays]:
    """Return the outputs of a network on each batch."""
    session = open_cpu_session(model, threads, exact=True)
    name = session.get_inputs()[0].name
    return [session.run(None, {name: batch}) for batch in batches]


def _error(expected: Sequence[Arrays], found: Sequence[Arrays]) -> float:
    """Return the mean relative error over the tensors."""
    errors = []
    for wanted, given in zip(zip(*expected, strict=True), zip(*found, strict=True), strict=True):
        power = sum(float(np.square(a, dtype=np.float64).sum()) for a in wanted)
        noise = sum(
            float(np.square(b.astype(np.float64) - a).sum())
            for a, b in zip(wanted, given, strict=True)
        )
        errors.append((noise / power) ** 0.5 if power else 0.0)
    return float(np.mean(errors))
