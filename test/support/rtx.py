# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Builds with TensorRT for RTX on the CPU, and the layers that the builder lists in its log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
import math
import re
from typing import Any

__all__ = ['BuiltEngine', 'EngineLayer', 'build_rtx']

_BYTES = {'Int8': 1, 'UInt8': 1, 'Bool': 1, 'Half': 2, 'Float': 4, 'Int32': 4, 'Int64': 8}
_TENSOR = re.compile(r'Dimensions: \[([\d,]*)\].*?Datatype: (\w+)')


@dataclass(frozen=True)
class EngineLayer:
    """
    One layer of an engine, which is one kernel.

    :param name: with the operations that are fused in it.
    :param kind: e.g. 'correlation' for a convolution, 'kgen' for a generated pointwise kernel,
        'runtime_fusion' for a convolution with its activation.
    :param inputs: (data type, number of elements) of each input, constants not among them.
    :param outputs: the same of each output.
    """

    name: str
    kind: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]

    @property
    def is_convolution(self) -> bool:
        """Return whether it holds a convolution."""
        return self.kind in ('correlation', 'runtime_fusion')


@dataclass(frozen=True)
class BuiltEngine:
    """
    Result of a build.

    :param plan: the serialized engine.
    :param layers: its kernels; steps that only synchronize streams are left out.
    """

    plan: bytes
    layers: tuple[EngineLayer, ...]

    def read_types(self) -> set[str]:
        """Return the data types that the kernels read, constants not among them."""
        return {kind for layer in self.layers for kind, _ in layer.inputs}

    def count_outputs(self) -> Counter[str]:
        """Count the tensors that the kernels write, by data type."""
        return Counter(kind for layer in self.layers for kind, _ in layer.outputs)

    def count_convolutions(self) -> Counter[str]:
        """Count the convolutions by the data types that they read and write, 'Int8>Half'."""
        return Counter(
            f'{layer.inputs[0][0]}>{layer.outputs[0][0]}'
            for layer in self.layers
            if layer.is_convolution
        )

    def moved_bytes(self) -> int:
        """Return the bytes of all activations that the kernels read and write in one run."""
        return sum(
            _BYTES[kind] * count
            for layer in self.layers
            for kind, count in (*layer.inputs, *layer.outputs)
        )


def build_rtx(data: bytes, capability: str = 'SM86') -> BuiltEngine:
    """
    Build an ONNX file for a GPU that need not be in this machine.

    :param data: the ONNX file; an open batch gets a profile of 1 to 4 images.
    :param capability: member of tensorrt_rtx.ComputeCapability.
    :raises RuntimeError: with the errors of the parser or the builder.
    """
    import tensorrt_rtx as trt

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[tuple[Any, str]] = []

        def log(self, severity: Any, message: str) -> None:
            self.lines.append((severity, message))

    logger = Logger()
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(data):
        raise RuntimeError([str(parser.get_error(i)) for i in range(parser.num_errors)])
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, capability), 0)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    image = network.get_input(0)
    if image.shape[0] < 0:
        profile = builder.create_optimization_profile()
        tail = tuple(image.shape)[1:]
        profile.set_shape(image.name, (1, *tail), (1, *tail), (4, *tail))
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError([line for level, line in logger.lines if level <= logger.ERROR])
    return BuiltEngine(bytes(plan), _read_layers('\n'.join(line for _, line in logger.lines)))


def _read_layers(log: str) -> tuple[EngineLayer, ...]:
    """Read the list of layers at the end of a verbose log."""
    start = log.rindex('\nLayers:\n') + len('\nLayers:\n')
    layers = []
    for line in log[start : log.index('\nI/O Tensors:', start)].splitlines():
        match = re.match(r'Name: (.*?), LayerType: (\w+),', line)
        if match is None or match[2] in ('signal', 'wait'):
            continue
        head, _, outputs = line.partition('Outputs: [')
        inputs = head.partition('Inputs: [')[2].partition('Constants: [')[0]
        layers.append(EngineLayer(match[1], match[2], _tensors(inputs), _tensors(outputs)))
    return tuple(layers)


def _tensors(text: str) -> tuple[tuple[str, int], ...]:
    """Read (data type, number of elements) of each tensor in a part of a line."""
    return tuple(
        (kind, math.prod(int(size) for size in sizes.split(',') if size))
        for sizes, kind in _TENSOR.findall(text)
    )
