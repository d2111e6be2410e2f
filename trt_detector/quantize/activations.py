# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Run a network with ONNX Runtime and count the magnitudes of its activations."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy.typing as npt
import onnx
from onnx import helper, shape_inference, TensorProto

from ..errors import EngineError, ModelError
from ..model_info.onnx_session import open_session, SessionOptions
from .graph import analyse_head
from .graph_index import GraphIndex, node_name
from .histogram import MagnitudeHistogram
from .model_file import serialize_onnx

__all__ = ['ActivationCounter', 'calibrated_tensors', 'open_cpu_session']

_FLOAT_BYTES = 4
_DEFAULT_CHUNK_BYTES = 128 << 20


def calibrated_tensors(model: onnx.ModelProto) -> tuple[str, ...]:
    """
    Return the tensors that get a scale in a calibration cache, in graph order.

    These are the input and every float activation up to the last convolutions. TensorRT up to 10
    quantizes every tensor with a scale, so the head tail gets none.

    :raises ModelError: if the network has no convolution, or is FP16 or already quantized.
    """
    head = analyse_head(model)
    if not head.convolutions:
        raise ModelError('the network has no convolution to quantize; use precision fp16')
    index = GraphIndex(model.graph)
    types = _element_types(model)
    if any(node.op_type == 'DequantizeLinear' for node in index.nodes):
        raise ModelError('the network is already quantized: it has Q/DQ nodes with their scales')
    constants = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in constants]
    for node in index.nodes:
        if node.op_type != 'Constant' and node_name(node) not in head.tail_nodes:
            names += [name for name in node.output if name]
    floats = tuple(name for name in names if types.get(name) == TensorProto.FLOAT)
    if not floats:
        raise ModelError('the network has no FP32 activation; calibrate its FP32 export')
    return floats


def open_cpu_session(model: onnx.ModelProto, threads: int, *, exact: bool = False) -> Any:
    """
    Open a session of ONNX Runtime on the CPU that keeps no memory between runs.

    :param threads: see :class:`.SessionOptions`.
    :param exact: compute Q/DQ nodes one by one, as :class:`.SessionOptions` describes.
    :raises BackendUnavailableError: if onnxruntime is not installed.
    :raises ModelError: if it refuses the model.
    """
    # An arena would grow to the largest of every chunk.
    options = SessionOptions(threads=threads, exact=exact, memory_arena=False)
    return open_session(serialize_onnx(model), options)


class ActivationCounter:
    """
    Counter of the activations of a network: a histogram per calibrated tensor.

    Its memory does not grow with the number of pictures. The activations of one batch are computed
    in several runs if they exceed a chunk together.

    :param model: an FP32 network; left as it is.
    :param batch_shape: shape of the batches that :meth:`add` will get.
    :param threads: see :class:`.SessionOptions`.
    :param chunk_bytes: activations to hold at once; one tensor may exceed it.
    :raises ModelError: if the network cannot be calibrated, or ONNX Runtime refuses it.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        batch_shape: Sequence[int],
        *,
        threads: int = 0,
        chunk_bytes: int = _DEFAULT_CHUNK_BYTES,
    ) -> None:
        names = calibrated_tensors(model)
        self._input = names[0]
        self.histograms = {name: MagnitudeHistogram() for name in names}
        sizes = _tensor_bytes(model, batch_shape)
        unknown = max(sizes.values(), default=chunk_bytes)
        self._chunks: list[tuple[list[str], Any]] = []
        for chunk in _chunks(names[1:], sizes, unknown, chunk_bytes):
            self._chunks.append(
                (chunk, open_cpu_session(_extract_subgraph(model, chunk), threads))
            )

    def add(self, batch: npt.NDArray[Any], count: int | None = None) -> None:
        """
        Count the activations of a batch.

        :param batch: the network's input.
        :param count: images at the start of the batch that count; None is all of them.
        :raises EngineError: if ONNX Runtime fails, or an activation is not finite.
        """
        self._count(self._input, batch[:count])
        for names, session in self._chunks:
            try:
                values = session.run(names, {self._input: batch})
            except Exception as error:  # as in open_session()
                raise EngineError(f'ONNX Runtime could not run the model: {error}') from error
            for name, value in zip(names, values, strict=True):
                # Only a tensor with the batch in front can leave the padding images out.
                own = value.ndim and value.shape[0] == len(batch)
                self._count(name, value[:count] if own else value)

    def _count(self, name: str, values: npt.NDArray[Any]) -> None:
        """Count the values of one tensor."""
        try:
            self.histograms[name].add(values)
        except EngineError as error:
            raise EngineError(f'activation {name!r}: {error}') from error


def _chunks(
    names: Sequence[str], sizes: dict[str, int], unknown: int, limit: int
) -> list[list[str]]:
    """Return the tensors in groups that stay within a limit, in order."""
    groups: list[list[str]] = []
    filled = limit
    for name in names:
        size = sizes.get(name, unknown)
        if not groups or filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    return groups


def _extract_subgraph(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return the part of a network that produces some of its tensors, as its outputs."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    graph = shown.graph
    index = GraphIndex(graph)
    wanted = set(names)
    makers = [n for n, node in enumerate(index.nodes) if wanted & set(node.output)]
    needed = index.upstream(makers)
    for number in reversed(range(len(index.nodes))):
        if number not in needed:
            del graph.node[number]
    read = {name for node in graph.node for name in node.input}
    for position in reversed(range(len(graph.initializer))):
        if graph.initializer[position].name not in read:
            del graph.initializer[position]
    del graph.output[:]
    del graph.value_info[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    return shown


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network with the types and shapes of its tensors."""
    try:
        return shape_inference.infer_shapes(model)
    except Exception as error:  # C++ code that raises whatever fits
        raise ModelError(f'the shapes of the network cannot be inferred: {error}') from error


def _values(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the types and shapes of the tensors of a network."""
    graph = _inferred(model).graph
    return [*graph.input, *graph.value_info, *graph.output]


def _element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element types of a network's tensors."""
    return {value.name: value.type.tensor_type.elem_type for value in _values(model)}


def _tensor_bytes(model: onnx.ModelProto, batch_shape: Sequence[int]) -> dict[str, int]:
    """Return the sizes in bytes of the tensors for a batch, as far as they can be inferred."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    constants = {tensor.name for tensor in fixed.graph.initializer}
    for value in fixed.graph.input:
        if value.name not in constants:
            for dim, size in zip(value.type.tensor_type.shape.dim, batch_shape, strict=True):
                dim.dim_value = size
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField('shape')
    sizes = {}
    for value in _values(fixed):
        shape = value.type.tensor_type.shape.dim
        known = value.type.tensor_type.HasField('shape')
        if known and all(dim.HasField('dim_value') for dim in shape):
            sizes[value.name] = _FLOAT_BYTES * math.prod(dim.dim_value for dim in shape)
    return sizes
