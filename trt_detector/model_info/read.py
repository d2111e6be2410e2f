# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of an ONNX file, read without running it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..values.literal import read_literal
from ..values.tensor_spec import TensorSpec
from .box_form import find_box_form, has_objectness
from .class_names import parse_names
from .content import hash_model, ModelContent, parse_model, read_model_file
from .external_data import find_external_files
from .graph import all_nodes, output_parts, tail_operators
from .info import complete_image_shape, find_image_inputs, ModelInfo
from .local_functions import inline_functions
from .metadata_files import merge_metadata
from .output_step import find_output_step
from .pixels import find_input_pixels, InputPixels

__all__ = ['read_model_info']

# Rows of so many values exist in several orders, which only their parts tell.
_ROW_VALUES = 7
# [n, 4] of one image, [N, A, 4], and [N, A, 1, 4] of YOLOv4.
_BOX_RANKS = (2, 3, 4)
# Each output's way through the graph is searched.
_MOST_OUTPUTS = 256


def read_model_info(path: Path, known: Collection[str] = ()) -> ModelInfo:
    """
    Read an ONNX file and the metadata files beside it.

    :param known: metadata that parameters give, e.g. 'names'; the files are not asked for it.
    :raises ModelError: if it is missing, is not ONNX, is damaged, or lacks its external data.
    """
    file = read_model_file(path)
    model = inline_functions(parse_model(path, file.data))
    graph = model.graph
    inputs, outputs = _read_tensors(path, graph)
    own = {entry.key: entry.value for entry in model.metadata_props}
    merged = merge_metadata(path, own, {*known, *_known_from_shape(inputs)}, path.name)
    external = find_external_files(path, graph)
    operators = frozenset(node.op_type for node in all_nodes(graph))
    return ModelInfo(
        path=path,
        sha256=hash_model(file, external),
        inputs=inputs,
        outputs=outputs,
        metadata=merged.metadata,
        class_names=parse_names(merged.metadata),
        input_size=_input_size(inputs, merged.metadata),
        stride=_stride(merged.metadata),
        producer=f'{model.producer_name} {model.producer_version}'.strip(),
        operators=operators,
        precision=_precision(graph, operators),
        external_data=external,
        tails={value.name: tail_operators(graph, value.name) for value in graph.output},
        parts={
            spec.name: output_parts(model, spec.name)
            for spec in outputs
            if len(spec.shape) in (2, 3) and spec.shape[-1] == _ROW_VALUES
        },
        box_forms={
            spec.name: form
            for spec in outputs
            if len(spec.shape) in _BOX_RANKS and (form := find_box_form(graph, spec.name))
        },
        objectness=frozenset(
            spec.name
            for spec in outputs
            if len(spec.shape) == 3 and has_objectness(graph, spec.name)
        ),
        output_steps={
            spec.name: step
            for spec in outputs
            if (step := find_output_step(graph, spec.name)) is not None
        },
        input_pixels=_read_input_pixels(graph, inputs),
        sources=merged.sources,
        warnings=merged.warnings,
        content=ModelContent(None if external else file.data),
    )


def _read_tensors(path: Path, graph: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """
    Read the inputs and the outputs of a graph.

    :raises ModelError: if there are too many, or two have one name.
    """
    weights = {tensor.name for tensor in graph.initializer}
    if len(graph.output) > _MOST_OUTPUTS:
        raise ModelError(
            f'{path} has {len(graph.output)} outputs; expected at most {_MOST_OUTPUTS}: export a '
            'detector'
        )
    inputs = tuple(_tensor_spec(path, v) for v in graph.input if v.name not in weights)
    outputs = tuple(_tensor_spec(path, value) for value in graph.output)
    _check_unique(path, inputs)
    _check_unique(path, outputs)
    return inputs, outputs


def _tensor_spec(path: Path, value: Any) -> TensorSpec:
    """Return the spec of a graph input or output."""
    import onnx

    tensor = value.type.tensor_type
    if not value.type.HasField('tensor_type') or not tensor.HasField('shape'):
        raise ModelError(
            f'{path}: {value.name!r} has no tensor shape; export the model with fixed ranks'
        )
    shape = tuple(d.dim_value if d.HasField('dim_value') else None for d in tensor.shape.dim)
    # Exporters also write 0 or -1 for a dynamic dimension.
    shape = tuple(dim if dim is not None and dim > 0 else None for dim in shape)
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, TypeError) as error:
        raise ModelError(
            f'{path}: {value.name!r} has the element type {tensor.elem_type}, which this version '
            'of onnx does not know; export the model again'
        ) from error
    return TensorSpec(value.name, shape, dtype)


def _check_unique(path: Path, specs: Sequence[TensorSpec]) -> None:
    """Refuse inputs or outputs of one name: runtimes bind tensors by name."""
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise ModelError(
            f'{path} has several inputs or outputs of one name: '
            f'{"; ".join(map(str, specs))}; export the model again'
        )


def _read_input_pixels(graph: Any, inputs: tuple[TensorSpec, ...]) -> InputPixels:
    """Read the arithmetic on the one image input; none if there are others."""
    images = [complete_image_shape(image) for image in find_image_inputs(inputs)]
    if len(images) != 1 or len(images[0].shape) != 4:
        return InputPixels()
    [image] = images
    channels = image.shape[3 if image.channels_last else 1]
    if channels not in (1, 3):
        return InputPixels()
    rank = len(find_image_inputs(inputs)[0].shape)
    found = find_input_pixels(
        graph, image.name, channels_last=image.channels_last, channels=channels, rank=rank
    )
    # Pixels of 8 bits reach the graph as they are.
    return replace(found, gain=1.0, offset=0.0) if image.dtype == np.uint8 else found


def _known_from_shape(inputs: tuple[TensorSpec, ...]) -> tuple[str, ...]:
    """Name the metadata that the shape of the image input makes superfluous."""
    return () if _input_size(inputs, {}) is None else ('imgsz',)


def _input_size(
    inputs: tuple[TensorSpec, ...], metadata: Mapping[str, str]
) -> tuple[int, int] | None:
    """Return (height, width) of the image input."""
    images = [complete_image_shape(image) for image in find_image_inputs(inputs)]
    if len(images) == 1 and len(images[0].shape) == 4:
        height, width = images[0].height_width(images[0].shape)
        if height is not None and width is not None:
            return height, width
    size = read_literal(metadata, 'imgsz')
    if type(size) is int and size > 0:
        return (size, size)
    if isinstance(size, list | tuple) and len(size) == 2:
        height, width = size
        if type(height) is type(width) is int and height > 0 and width > 0:
            return (height, width)
    return None


def _stride(metadata: Mapping[str, str]) -> int | None:
    """Return the stride that the exporter wrote."""
    stride = read_literal(metadata, 'stride')
    return stride if type(stride) is int and stride > 0 else None


def _precision(graph: Any, operators: frozenset[str]) -> str:
    """Return the precision of a graph's weights."""
    import onnx

    if 'DequantizeLinear' in operators:
        return 'int8'
    # Shapes and indices are integers in any graph: only the larger tensors are weights.
    weights = [t.data_type for t in graph.initializer if len(t.dims) > 1]
    half = weights.count(onnx.TensorProto.FLOAT16)
    return 'fp16' if half > len(weights) / 2 else 'fp32'
