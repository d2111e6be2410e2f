# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX model becomes a TensorRT network; what the parser refuses is said in full."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import BuildError
from ..library import TensorRTLibrary
from ..logger import LogLines

__all__ = ['ParserComplaint', 'parse_network']


@dataclass(frozen=True, slots=True)
class ParserComplaint:
    """
    One error of the ONNX parser.

    :param node: name of the node, '' where the error is not about one.
    :param operator: its operator type, '' likewise.
    :param reason: what the parser says.
    :param remedy: what helps, '' where that is unknown.
    """

    node: str
    operator: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        where = f'node {self.node!r} ({self.operator})' if self.operator else 'the model'
        remedy = f'; {self.remedy}' if self.remedy else ''
        return f'{where}: {self.reason}{remedy}'


_NO_MODEL = 'the file is no ONNX model or is damaged; export or copy it again'
_NO_WEIGHTS = (
    'its weights are in another file (external data): copy that file beside the model, or export '
    'the model into one file'
)
_NO_OPERATOR = (
    'this TensorRT has no such operator: name the plugin library that has it in plugin_libraries, '
    'or export without it (leave NMS out of the graph: it is done after the network here)'
)
_OLD_OPSET = 'export the model with an opset of 11 to 17'
_BROKEN = 'the graph is broken: check it with onnx.checker and export it again'
_MIXED = 'the graph mixes FP32 and FP16: export it in FP32 and set precision instead'
_TYPE = 'export the model with float32 weights and inputs'
_SHAPES = (
    'shapes in the graph contradict each other: export it with a fixed input size, or simplify it '
    'with onnxsim'
)
# What the parser's sentence holds, and what helps then; the first that fits is taken.
_REMEDIES = (
    (('Failed to parse the ONNX model', 'MODEL_DESERIALIZE_FAILED'), _NO_MODEL),
    (('Failed to import initializer', 'Failed to open file'), _NO_WEIGHTS),
    (('opset', 'Opset'), _OLD_OPSET),
    (('was not registered', 'INVALID_GRAPH'), _BROKEN),
    (('must have same input types', 'must have the same type'), _MIXED),
    (('data type', 'date type', 'Dtype'), _TYPE),
    (('Plugin not found', 'plugin creator', 'No importer', 'UNSUPPORTED_NODE'), _NO_OPERATOR),
    (('dimension', 'Dimension', 'reshape', 'Shape Error', 'broadcast'), _SHAPES),
)


def parse_network(
    library: TensorRTLibrary,
    builder: Any,
    model: bytes,
    path: Path | None,
    logger: Any,
    lines: LogLines,
) -> Any:
    """
    Return the network of an ONNX model.

    :param path: the model's file, which external data lies beside; None where it needs none.
    :raises BuildError: with every complaint of the parser: node, operator, reason and remedy.
    """
    lines.clear()
    network = builder.create_network(library.network_flags())
    parser = library.trt.OnnxParser(network, logger)
    parsed = parser.parse(model, str(path)) if path else parser.parse(model)
    if not parsed:
        complaints = _complaints(parser, model)
        raise BuildError(_sentence(library, path, complaints, lines))
    if network.num_inputs == 0 or network.num_outputs == 0:
        raise BuildError(
            f'{library.label} found {network.num_inputs} inputs and {network.num_outputs} outputs '
            'in the model; expected one image and at least one output'
        )
    return network


def _sentence(
    library: TensorRTLibrary,
    path: Path | None,
    complaints: tuple[ParserComplaint, ...],
    lines: LogLines,
) -> str:
    """Return the whole story of a model that could not be parsed."""
    name = path.name if path else 'the model'
    head = f'{library.label} cannot parse {name}'
    if not complaints:
        return f'{head}{lines.explain()}'
    missing = [text for text in lines.errors() if 'Failed to open file' in text]
    body = '\n'.join(f'  {i}. {complaint}' for i, complaint in enumerate(complaints, start=1))
    tail = f'\n  {missing[0]}' if missing else ''
    return f'{head}; {len(complaints)} error(s):\n{body}{tail}'


def _complaints(parser: Any, model: bytes) -> tuple[ParserComplaint, ...]:
    """Return all that the parser found, in its order."""
    found = (parser.get_error(index) for index in range(parser.num_errors))
    return tuple(_complaint(parser_error, model) for parser_error in found)


def _complaint(parser_error: Any, model: bytes) -> ParserComplaint:
    """Return one error with the node it is about."""
    reason = _tidy(parser_error.desc())
    if hasattr(parser_error, 'node_name'):
        node, operator = parser_error.node_name(), parser_error.node_operator()
    else:  # 8.6 gives the node's number only
        node, operator = _node_of(model, parser_error.node())
    facts = f'{parser_error.code()} {reason}'
    remedy = next((text for signs, text in _REMEDIES if any(s in facts for s in signs)), '')
    return ParserComplaint(node, operator, reason, remedy)


def _tidy(text: str) -> str:
    """Return a description on one line, without what a missing GPU adds to each of them."""
    lines = [line.strip() for line in text.splitlines() if 'catchCudaError' not in line]
    return ' '.join(line for line in lines if line)


def _node_of(model: bytes, index: int) -> tuple[str, str]:
    """Return (name, operator) of a node by its number, empty where there is none."""
    import onnx

    try:
        nodes = onnx.load_model_from_string(model).graph.node
    except Exception:  # noqa: BLE001 - protobuf's DecodeError moved; the parser's text says it
        return ('', '')
    if not 0 <= index < len(nodes):
        return ('', '')
    return (nodes[index].name, nodes[index].op_type)
