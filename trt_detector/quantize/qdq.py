# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a calibration cache into a network as QuantizeLinear and DequantizeLinear nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from ..errors import CalibrationCacheError, ModelError
from .calibration_cache import CalibrationCache, read_calibration_cache
from .coverage import find_float_convolutions, find_missing_scale, measure_coverage
from .graph import analyse_head
from .graph_index import GraphIndex, match_nodes, node_name, tensor_names
from .model_file import load_onnx_bytes, serialize_onnx
from .opset import raise_opset
from .placement import place_qdq, Placement

__all__ = ['QdqResult', 'QuantizedFile', 'insert_qdq', 'quantize_onnx']

# The first with a scale per channel.
_OPSET = 13
_EXAMPLES = 3


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

    Symmetric INT8: one scale per tensor for activations, from the cache; one per output channel
    for weights, max|w| / 127. Biases, the output convolutions and everything behind them stay in
    float.
    :func:`.placement.place_qdq` describes the places of the Q/DQ nodes.

    :param exclude: names of nodes to leave in float.
    :raises CalibrationCacheError: if no convolution's input has a scale, with examples.
    :raises ModelError: if the network has no convolution, or cannot be converted to opset 13.
    """
    model = raise_opset(model, _OPSET)
    head = analyse_head(model)
    candidates = head.convolutions
    if not candidates:
        raise ModelError('the network has no convolution to quantize; use precision fp16')
    index = GraphIndex(model.graph)
    kept = find_float_convolutions(index, head, exclude)
    skipped: dict[str, str] = {}
    chosen: list[int] = []
    for number, node in enumerate(index.nodes):
        name = node_name(node)
        if name not in candidates:
            continue
        reason = kept.get(name) or find_missing_scale(node, cache)
        if reason:
            skipped[name] = reason
        else:
            chosen.append(number)
    if not chosen:
        raise CalibrationCacheError(_no_match(model, index, cache, skipped))
    float_nodes = head.tail_nodes | set(exclude)
    placement = place_qdq(index, chosen, cache, float_nodes)
    _Writer(model.graph, index, placement).quantize(chosen)
    names = tuple(node_name(index.nodes[number]) for number in chosen)
    return QdqResult(model=model, quantized_nodes=names, skipped=skipped)


def _no_match(
    model: onnx.ModelProto,
    index: GraphIndex,
    cache: CalibrationCache,
    skipped: Mapping[str, str],
) -> str:
    """Describe the mismatch of a cache that quantizes nothing."""
    inputs = [node.input[0] for node in index.nodes if node_name(node) in skipped]
    matching = len(cache.matching(tensor_names(model)).scales)
    reasons = sorted(set(skipped.values()))[:_EXAMPLES]
    return (
        f'none of the {len(skipped)} convolutions can be quantized with this calibration cache: '
        f'{matching} of its {len(cache.scales)} entries name a tensor of the network. '
        f'The cache names {list(cache.scales)[:_EXAMPLES]}; '
        f'the convolutions read {inputs[:_EXAMPLES]} ({"; ".join(reasons)}). '
        'Calibrate again with this very ONNX file'
    )


class _Writer:
    """Writer of Q/DQ nodes into a graph, one pair per tensor for all its readers."""

    def __init__(self, graph: onnx.GraphProto, index: GraphIndex, placement: Placement) -> None:
        self._graph = graph
        self._index = index
        self._placement = placement
        self._taken = {tensor.name for tensor in graph.initializer}
        self._taken |= {value.name for value in graph.input}
        self._taken |= {name for node in index.nodes for name in (*node.output, node.name)}
        self._activations: dict[str, str] = {}
        self._weights: dict[str, str] = {}
        self._nodes: list[onnx.NodeProto] = []

    def quantize(self, numbers: Sequence[int]) -> None:
        """Let these convolutions read quantized weights, and all readers quantized tensors."""
        chosen = set(numbers)
        # A pair comes right before its first reader, which keeps the order of the graph valid.
        for number, node in enumerate(self._index.nodes):
            for position in self._placement.readers.get(number, ()):
                node.input[position] = self._quantized_activation(node.input[position])
            if number in chosen:
                node.input[1] = self._quantized_weights(node.input[1])
            self._nodes.append(node)
        self._replace_nodes()
        self._drop_unread_weights()

    def _replace_nodes(self) -> None:
        """Put the new list of nodes into the graph."""
        copies = []
        for node in self._nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copies.append(copy)
        del self._graph.node[:]
        self._graph.node.extend(copies)

    def _drop_unread_weights(self) -> None:
        """Remove float weights that only quantized convolutions read."""
        read = {name for node in self._graph.node for name in node.input}
        unread = self._weights.keys() - read
        for items in (self._graph.initializer, self._graph.input):
            for position in reversed(range(len(items))):
                if items[position].name in unread:
                    del items[position]
        nodes = self._graph.node
        for position in reversed(range(len(nodes))):
            if nodes[position].op_type == 'Constant' and nodes[position].output[0] in unread:
                del nodes[position]

    def _quantized_activation(self, tensor: str) -> str:
        """Return the dequantized form of a tensor, adding its pair when it is first asked for."""
        if tensor not in self._activations:
            scale = np.float32(self._placement.scales[tensor])
            scale_name = self._constant(f'{tensor}_scale', np.array(scale))
            zero_name = self._constant(f'{tensor}_zero_point', np.array(0, np.int8))
            quantized = self._unique(f'{tensor}_quantized')
            self._add('QuantizeLinear', [tensor, scale_name, zero_name], quantized)
            result = self._unique(f'{tensor}_dequantized')
            self._add('DequantizeLinear', [quantized, scale_name, zero_name], result)
            self._activations[tensor] = result
        return self._activations[tensor]

    def _quantized_weights(self, tensor: str) -> str:
        """Return the dequantized form of constant weights, adding it when first asked for."""
        if tensor not in self._weights:
            weights = self._index.constant(tensor)
            if weights is None:
                raise ModelError(f'weights {tensor!r} are not constant')
            quantized, scales = _quantize_channels(weights)
            names = [
                self._constant(f'{tensor}_quantized', quantized),
                self._constant(f'{tensor}_scale', scales),
                self._constant(f'{tensor}_zero_point', np.zeros(scales.shape, np.int8)),
            ]
            self._weights[tensor] = self._unique(f'{tensor}_dequantized')
            self._add('DequantizeLinear', names, self._weights[tensor], axis=0)
        return self._weights[tensor]

    def _add(self, kind: str, inputs: list[str], output: str, *, axis: int | None = None) -> None:
        node = helper.make_node(kind, inputs, [output], name=self._unique(f'{output}/{kind}'))
        if axis is not None:
            node.attribute.append(helper.make_attribute('axis', axis))
        self._nodes.append(node)

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        name = self._unique(name)
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _unique(self, name: str) -> str:
        """Return a name that the graph does not use yet."""
        number = 1
        result = name
        while result in self._taken:
            number += 1
            result = f'{name}_{number}'
        self._taken.add(result)
        return result


def _quantize_channels(
    weights: npt.NDArray[np.generic],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return INT8 weights and one scale per output channel (the first dimension)."""
    values = weights.astype(np.float64)
    largest = np.abs(values).reshape(len(values), -1).max(axis=1)
    scales = (largest / 127).astype(np.float32)
    # A scale must be above 0; what rounds to 0 as a 32-bit float is 0 under any scale.
    scales[scales < np.finfo(np.float32).tiny] = 1.0
    shaped = scales.astype(np.float64).reshape(-1, *([1] * (values.ndim - 1)))
    return np.clip(np.rint(values / shaped), -127, 127).astype(np.int8), scales


@dataclass(frozen=True, slots=True)
class QuantizedFile:
    """
    Result of :func:`quantize_onnx`.

    :param data: the quantized ONNX file.
    :param entries: entries of a report.
    :param warnings: sentences for the user.
    """

    data: bytes
    entries: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def quantize_onnx(
    data: bytes, folder: Path, cache_path: Path, exclude: Sequence[str] = ()
) -> QuantizedFile:
    """
    Quantize an ONNX file with the scales of a calibration cache.

    :param data: an FP32 ONNX file.
    :param folder: of its external data.
    :param exclude: patterns of the nodes that stay in float.
    :raises CalibrationCacheError: if the cache cannot be read, or covers too little of the
        network.
    :raises ConfigError: if a pattern matches no node.
    :raises ModelError: if the network cannot be quantized.
    """
    cache = read_calibration_cache(cache_path)
    model = load_onnx_bytes(data, folder)
    kept = sorted(match_nodes(model, exclude))
    result = insert_qdq(model, cache, exclude=kept)
    coverage = measure_coverage(model, cache, kept)
    try:
        coverage.check()
    except CalibrationCacheError as error:
        raise CalibrationCacheError(f'{cache_path}: {error}') from error
    entries = [('quantized', f'{len(result.quantized_nodes)} layers')]
    if result.skipped:
        entries.append(('not quantized', f'{len(result.skipped)} layers'))
    warnings = (coverage.warning,) if coverage.warning else ()
    return QuantizedFile(serialize_onnx(result.model), tuple(entries), warnings)
