# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parse an ONNX model into a TensorRT network and report every error of the parser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import BuildError
from ..library import TensorRTLibrary
from ..logger import LogLines

__all__ = ['ParserErrorReport', 'parse_network']


@dataclass(frozen=True, slots=True)
class ParserErrorReport:
    """
    Error of the ONNX parser.

    :param node: name of the node, '' if the error is not about a node.
    :param operator: operator type of the node, '' likewise.
    :param reason: message of the parser.
    :param remedy: how to fix it, '' if unknown.
    """

    node: str
    operator: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        subject = f'node {self.node!r} ({self.operator})' if self.operator else 'the model'
        remedy = f'; {self.remedy}' if self.remedy else ''
        return f'{subject}: {self.reason}{remedy}'


_NO_MODEL = 'the file is not an ONNX model or is damaged; export or copy it again'
_NO_WEIGHTS = (
    'its weights are in another file (external data): copy that file to the folder of the model, '
    'or export the model into one file'
)
_NO_OPERATOR = (
    'this TensorRT does not support the operator: add a plugin library that does to '
    'plugin_libraries, or export without it (export without NMS: the node applies NMS itself)'
)
_OLD_OPSET = 'export the model with an opset of 11 to 17'
_BROKEN = 'the graph is broken: check it with onnx.checker and export it again'
_MIXED = 'the graph mixes FP32 and FP16: export it in FP32 and set precision instead'
_TYPE = 'export the model with float32 weights and inputs'
_SHAPES = (
    'shapes in the graph contradict each other: export it with a fixed input size, or simplify it '
    'with onnxsim'
)
# Text in the message of the parser, and the remedy; the first match is used.
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
    Parse an ONNX model.

    :param library: the library whose parser is used.
    :param builder: IBuilder that creates the network.
    :param model: bytes of the ONNX file.
    :param path: the file, whose folder holds the external data; None if there is none.
    :param logger: ILogger for the parser.
    :param lines: log lines of the logger.
    :return: the INetworkDefinition.
    :raises BuildError: with every error of the parser: node, operator, reason and remedy.
    """
    lines.clear()
    network = builder.create_network(library.network_flags())
    if network is None:
        raise BuildError(f'{library.label} cannot create a network{lines.explain()}')
    try:
        # The network keeps the parser alive, and with it the weights.
        parser = library.trt.OnnxParser(network, logger)
    except TypeError as error:
        # The bindings' word for a parser that was not created.
        raise BuildError(
            f'{library.label} cannot create an ONNX parser: {error}{lines.explain()}'
        ) from error
    parsed = parser.parse(model, str(path)) if path else parser.parse(model)
    if not parsed:
        reports = _error_reports(parser, model)
        raise BuildError(_sentence(library, path, reports, lines))
    if network.num_inputs == 0 or network.num_outputs == 0:
        raise BuildError(
            f'{library.label} found {network.num_inputs} inputs and {network.num_outputs} outputs '
            'in the model; expected one image and at least one output'
        )
    return network


def _sentence(
    library: TensorRTLibrary,
    path: Path | None,
    reports: tuple[ParserErrorReport, ...],
    lines: LogLines,
) -> str:
    """Compose the message for a model that could not be parsed."""
    name = path.name if path else 'the model'
    head = f'{library.label} cannot parse {name}'
    if not reports:
        return f'{head}{lines.explain()}'
    signs = ('Failed to open file', 'Relative paths to parent')
    missing = [text for text in lines.errors() if any(sign in text for sign in signs)]
    body = '\n'.join(f'  {i}. {report}' for i, report in enumerate(reports, start=1))
    tail = f'\n  {missing[0]}' if missing else ''
    return f'{head}; {len(reports)} error(s):\n{body}{tail}'


def _error_reports(parser: Any, model: bytes) -> tuple[ParserErrorReport, ...]:
    """Collect the errors of the parser in its order."""
    found = (parser.get_error(index) for index in range(parser.num_errors))
    return tuple(_error_report(parser_error, model) for parser_error in found)


def _error_report(parser_error: Any, model: bytes) -> ParserErrorReport:
    """Convert an error of the parser."""
    reason = _one_line(parser_error.desc())
    if hasattr(parser_error, 'node_name'):
        node, operator = parser_error.node_name(), parser_error.node_operator()
    else:  # 8.6 reports only the index of the node
        node, operator = _node_of(model, parser_error.node())
    text = f'{parser_error.code()} {reason}'
    remedy = next((fix for signs, fix in _REMEDIES if any(sign in text for sign in signs)), '')
    return ParserErrorReport(node, operator, reason, remedy)


def _one_line(text: str) -> str:
    """Join a description into one line, without the CUDA errors of a machine without GPU."""
    lines = [line.strip() for line in text.splitlines() if 'catchCudaError' not in line]
    return ' '.join(line for line in lines if line)


def _node_of(model: bytes, index: int) -> tuple[str, str]:
    """Return (name, operator) of a node by its index, empty if there is none."""
    import onnx

    try:
        nodes = onnx.load_model_from_string(model).graph.node
    except Exception:  # noqa: BLE001 - protobuf's DecodeError moved; the parser reports it
        return ('', '')
    if not 0 <= index < len(nodes):
        return ('', '')
    return (nodes[index].name, nodes[index].op_type)
