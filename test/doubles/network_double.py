# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A double of TensorRT's network and ONNX parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from doubles.call_log import log, Recorded

_ELEMENT_TYPES = {
    TensorProto.FLOAT: 'FLOAT', TensorProto.FLOAT16: 'HALF', TensorProto.INT8: 'INT8',
    TensorProto.INT32: 'INT32', TensorProto.INT64: 'INT64', TensorProto.BOOL: 'BOOL',
    TensorProto.UINT8: 'UINT8',
}  # fmt: skip


class NetworkDouble(Recorded):
    @classmethod
    def _make(cls, flags: int) -> Any:
        network = cls.__new__(cls)
        network._flags = flags
        network._layers, network._inputs, network._outputs = [], [], []
        network._model, network._dequantized = None, set()
        return network

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    def get_layer(self, index: int) -> Any:
        return self._layers[index]

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_output(self, index: int) -> Any:
        return self._outputs[index]


class TensorDouble(Recorded):
    @classmethod
    def _make(cls, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        tensor = cls.__new__(cls)
        tensor._name, tensor._shape, tensor._dtype = name, shape, dtype
        return tensor

    @property
    def name(self) -> str:
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def is_shape_tensor(self) -> bool:
        return self._dtype.name == 'INT64'


class LayerDouble(Recorded):
    @classmethod
    def _make(cls, name: str, op: str, inputs: list[str], outputs: list[Any]) -> Any:
        layer = cls.__new__(cls)
        layer._name, layer._op, layer._inputs, layer._outputs = name, op, inputs, outputs
        layer._precision, layer._output_types = None, {}
        return layer

    @property
    def name(self) -> str:
        return self._name

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_output(self, index: int) -> Any:
        return self._outputs[index]

    @property
    def precision(self) -> Any:
        return self._precision

    @precision.setter
    def precision(self, value: Any) -> None:
        # The bindings raise nothing: TensorRT fails the build.
        self._precision = value

    def set_output_type(self, index: int, dtype: Any) -> None:
        self._output_types[index] = dtype


class ParserDouble(Recorded):
    def __init__(self, network: Any, logger: Any) -> None:
        self._network, self._logger = network, logger
        self._world, self._trt = type(self).world, type(self).trt
        self._errors: list[Any] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def parse(self, model: Any, path: str | None = None) -> bool:
        if self._world.record.version.startswith('8.') and not self._network._flags & 1:
            self._complain(-1, 'This version of the ONNX parser only supports explicit batch')
            return False
        try:
            proto = onnx.load_model_from_string(bytes(model))
            graph = proto.graph
            if path is not None:
                read_weights(graph, Path(path).parent)
        except Exception:
            self._complain(-1, 'Failed to parse the ONNX model.')
            return False
        for number, node in enumerate(graph.node):
            known = onnx.defs.has(node.op_type) and node.domain in ('', 'ai.onnx')
            if not known and node.op_type not in self._world.plugins:
                self._complain(number, 'Plugin not found, are the plugin name right?', node)
        if self._errors:
            return False
        proto = onnx.shape_inference.infer_shapes(proto)
        if not self._types_agree(proto):
            return False
        self._fill(proto)
        return True

    def _types_agree(self, proto: Any) -> bool:
        """Refuse a strongly typed network that adds FP16 to FP32."""
        if not self._world.strongly_typed:
            return True
        types = element_types(proto.graph)
        for number, node in enumerate(proto.graph.node):
            if node.op_type not in ('Add', 'Mul', 'Conv', 'Concat', 'MatMul', 'Sub', 'Div'):
                continue
            used = {types[name] for name in node.input if name in types}
            if len(used) > 1:
                self._complain(number, 'operands must have same input types', node)
        return not self._errors

    def _complain(self, number: int, text: str, node: Any = None) -> None:
        log(self._logger, 'ERROR', f'While parsing node number {number}: {text}')
        self._errors.append(self._trt.ParserError._make(number, text, node))

    def _fill(self, proto: Any) -> None:
        """Put the graph into the network."""
        trt, graph = self._trt, proto.graph
        types = element_types(graph)
        constants = {tensor.name for tensor in graph.initializer}

        def tensor(name: str, shape: tuple[int, ...] = ()) -> Any:
            kind = _ELEMENT_TYPES.get(types.get(name, TensorProto.FLOAT), 'FLOAT')
            return trt.ITensor._make(name, shape, getattr(trt.DataType, kind, trt.DataType.INT32))

        self._network._model = proto
        self._network._inputs = [
            tensor(v.name, dims(v)) for v in graph.input if v.name not in constants
        ]
        self._network._outputs = [tensor(v.name, dims(v)) for v in graph.output]
        for node in graph.node:
            name = node.name or f'node_of_{node.output[0]}'
            outputs = [tensor(output) for output in node.output]
            layer = trt.ILayer._make(name, node.op_type, list(node.input), outputs)
            self._network._layers.append(layer)
            if node.op_type == 'DequantizeLinear':
                self._network._dequantized.add(node.output[0])


def read_weights(graph: Any, folder: Path) -> None:
    """Read external data as NVIDIA's parser does: links are followed, paths upwards refused."""
    for tensor in graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries:
            assert '..' not in entries['location']
            start, length = int(entries.get('offset', 0)), int(entries['length'])
            data = (folder / entries['location']).read_bytes()[start : start + length]
            tensor.raw_data = data
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]


def dims(value: Any) -> tuple[int, ...]:
    """Return the shape of a value, -1 for dynamic dimensions."""
    return tuple(
        d.dim_value if d.HasField('dim_value') and d.dim_value > 0 else -1
        for d in value.type.tensor_type.shape.dim
    )


def element_types(graph: Any) -> dict[str, int]:
    """Return the element type of every tensor that has a known one."""
    values = (*graph.input, *graph.output, *graph.value_info)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {name: kind for name, kind in types.items() if kind}


class ParserErrorDouble(Recorded):
    @classmethod
    def _make(cls, number: int, text: str, node: Any) -> Any:
        error = cls.__new__(cls)
        error._number, error._text, error._node = number, text, node
        return error

    def code(self) -> str:
        if self._node is not None:
            return 'ErrorCode.UNSUPPORTED_NODE'
        # As in ModelImporter.cpp of onnx-tensorrt.
        is_damaged = self._text.startswith('Failed to parse')
        return f'ErrorCode.{"MODEL_DESERIALIZE_FAILED" if is_damaged else "INVALID_VALUE"}'

    def desc(self) -> str:
        return self._text

    def node(self) -> int:
        return self._number

    def node_name(self) -> str:
        return self._node.name if self._node is not None else ''

    def node_operator(self) -> str:
        return self._node.op_type if self._node is not None else ''
