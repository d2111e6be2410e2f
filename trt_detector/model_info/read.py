# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What an ONNX file says of itself, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..values.output_part import OutputPart
from ..values.tensor_spec import TensorSpec
from .graph import all_nodes, output_parts, tail_operators
from .metadata_files import read_metadata_files

__all__ = ['SIZE_INPUTS', 'ModelInfo', 'parse_names', 'read_model_bytes', 'read_model_info']

# Inputs [N, 2] beside the image: width and height of the original image (RT-DETR, D-FINE, DEIM);
# height and width of the network's input, and its scale in y and x to the original (Paddle).
SIZE_INPUTS = ('orig_target_sizes', 'im_shape', 'scale_factor')
# Rows of so many values exist in several orders, which only their parts tell.
_ROW_VALUES = 7


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """
    An ONNX file's interface and metadata.

    :param path: the file.
    :param sha256: over the file and its external data, hexadecimal.
    :param inputs: the graph's inputs without its weights.
    :param outputs: the graph's outputs.
    :param metadata: key and value texts that the exporter wrote, and those of the files beside
        the model for the keys that it did not write.
    :param class_names: names by class id, None where nobody gives any.
    :param input_size: (height, width) in pixels of the one image input, from its shape or from
        the metadata; None where neither tells.
    :param stride: the metadata's, None where it has none.
    :param opset: version of the default operator set.
    :param producer: who wrote the file.
    :param operators: operator types in use, subgraphs included.
    :param precision: 'int8' for a graph with Q/DQ nodes, 'fp16' for half weights, else 'fp32'.
    :param external_data: files beside the model that hold weights.
    :param tails: for an output's name the operator types between it and the last convolutions
        or matrix products.
    :param parts: per output name, the tensors that are concatenated to it, for outputs of rows
        of seven values.
    :param names_source: where the class names come from, for people.
    """

    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]
    class_names: tuple[str, ...] | None
    input_size: tuple[int, int] | None
    stride: int | None
    opset: int
    producer: str
    operators: frozenset[str]
    precision: str
    external_data: tuple[Path, ...]
    tails: Mapping[str, frozenset[str]] = field(default_factory=dict)
    parts: Mapping[str, tuple[OutputPart, ...]] = field(default_factory=dict)
    names_source: str = ''

    @property
    def image_input(self) -> TensorSpec:
        """
        Return the only input, as :func:`.prepare.prepare_model` gives it to a runtime.

        :raises ModelError: if the graph has none or several.
        """
        images = _images(self.inputs)
        if len(images) != 1:
            found = '; '.join(str(spec) for spec in self.inputs) or 'none'
            raise ModelError(f'{self.path} has the inputs {found}; expected one image')
        return _batched(images[0])

    @property
    def lacks_batch(self) -> bool:
        """Return whether the graph takes one image without a batch dimension."""
        return self.image_input not in self.inputs

    @property
    def size_inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs for the size of the images, which become constants."""
        images = _images(self.inputs)
        return tuple(spec for spec in self.inputs if spec not in images)

    @property
    def target_sizes_input(self) -> TensorSpec | None:
        """Return the input that asks for the size of the original images, None for none."""
        sizes = [spec for spec in self.inputs if spec not in _images(self.inputs)]
        return sizes[0] if sizes else None


def read_model_info(path: Path) -> ModelInfo:
    """
    Read an ONNX file.

    :raises ModelError: if it is missing, is not ONNX, is damaged, or lacks its external data.
    """
    data = _read_file(path)
    model = _parse(path, data)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = tuple(_tensor_spec(path, v) for v in graph.input if v.name not in weights)
    outputs = tuple(_tensor_spec(path, value) for value in graph.output)
    own = {entry.key: entry.value for entry in model.metadata_props}
    beside = read_metadata_files(path)
    metadata = {**beside.metadata, **own}
    external = _external_data(path, graph)
    operators = frozenset(node.op_type for node in all_nodes(graph))
    source = "metadata 'names'" if 'names' in own else beside.sources.get('names', '')
    return ModelInfo(
        path=path,
        sha256=_sha256(data, external),
        inputs=inputs,
        outputs=outputs,
        metadata=metadata,
        class_names=parse_names(metadata, f'{path}: {source}'),
        input_size=_input_size(inputs, metadata),
        stride=_stride(metadata),
        opset=max(
            (o.version for o in model.opset_import if o.domain in ('', 'ai.onnx')), default=0
        ),
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
        names_source=f'{source} of {path.name}' if source else '',
    )


def read_model_bytes(model: ModelInfo) -> bytes:
    """
    Read an ONNX file again and check that it is the one that was described.

    :raises ModelError: if it, or its external data, changed since.
    """
    data = _read_file(model.path)
    if _sha256(data, model.external_data) != model.sha256:
        raise ModelError(f'{model.path} changed on disk while it was being opened; open it again')
    return data


def _read_file(path: Path) -> bytes:
    """Return the file's bytes, or raise ModelError that says what stands at the path."""
    if not str(path) or str(path) == '.':
        raise ModelError('model_path is empty; set it to the ONNX file of a detector')
    if path.is_dir():
        raise ModelError(f'model_path {path} is a folder; expected an ONNX file')
    try:
        return path.read_bytes()
    except OSError as error:
        place = '' if path.is_absolute() else f' (the working directory is {Path.cwd()})'
        raise ModelError(f'cannot read the model {path}{place}: {error.strerror}') from error


def _parse(path: Path, data: bytes) -> Any:
    """Return the ModelProto in the bytes, or raise ModelError."""
    # onnx takes 0.2 s to import, which --help should not pay for.
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError, which has moved between its versions
        raise ModelError(f'{path} is not an ONNX file, or is damaged: {error}') from error
    if not model.graph.node or not model.graph.output:
        raise ModelError(f'{path} ({len(data)} bytes) holds no ONNX graph with nodes and outputs')
    return model


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
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return TensorSpec(value.name, shape, dtype)


def _external_data(path: Path, graph: Any) -> tuple[Path, ...]:
    """Return the files that hold weights, or raise ModelError for one that is missing."""
    names = {
        entry.value
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == 'location'
    }
    files = tuple(path.parent / name for name in sorted(names))
    for file in files:
        if not file.is_file():
            raise ModelError(
                f'{path} keeps weights in {file.name}, which is not in {path.parent}; copy it '
                'there, or export the model into one file'
            )
    return files


def _sha256(data: bytes, external: Iterable[Path]) -> str:
    """Return the hash over a model and its external data."""
    digest = hashlib.sha256(data)
    for file in external:
        with file.open('rb') as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _literal(metadata: Mapping[str, str], key: str) -> Any:
    """Return a metadata entry that exporters write as a Python literal, None if it is none."""
    try:
        return ast.literal_eval(metadata[key])
    except (KeyError, ValueError, SyntaxError):
        return None


def parse_names(metadata: Mapping[str, str], source: str) -> tuple[str, ...] | None:
    """
    Return the class names that exporters write as a dict or list under 'names'.

    :param source: where they come from, for the error.
    :raises ModelError: if they are not names by class number.
    """
    if 'names' not in metadata:
        return None
    names = _literal(metadata, 'names')
    if isinstance(names, dict):
        try:
            by_id = {int(key): str(name) for key, name in names.items()}
        except (TypeError, ValueError):
            by_id = {}
        if by_id and sorted(by_id) == list(range(len(by_id))):
            return tuple(by_id[i] for i in range(len(by_id)))
    if isinstance(names, list | tuple) and names:
        return tuple(str(name) for name in names)
    raise ModelError(
        f'{source} is {metadata["names"][:80]!r}; expected names by class number from 0, or a '
        'list; set class_names and remove the entry'
    )


def _images(inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Return the inputs but those [N, 2] for the sizes of the images."""
    return (
        tuple(spec for spec in inputs if spec.name not in SIZE_INPUTS or spec.shape[1:] != (2,))
        or inputs
    )


def _batched(image: TensorSpec) -> TensorSpec:
    """Return an image input with its batch dimension: one for [C, H, W] and [H, W, C]."""
    shape = image.shape
    if len(shape) == 3 and (shape[0] in (1, 3) or shape[2] in (1, 3)):
        return replace(image, shape=(1, *shape))
    return image


def _input_size(
    inputs: tuple[TensorSpec, ...], metadata: Mapping[str, str]
) -> tuple[int, int] | None:
    """Return (height, width) of the image input."""
    images = [_batched(image) for image in _images(inputs)]
    if len(images) == 1 and len(images[0].shape) == 4:
        height, width = images[0].height_width(images[0].shape)
        if height is not None and width is not None:
            return height, width
    size = _literal(metadata, 'imgsz')
    if isinstance(size, int) and size > 0:
        return (size, size)
    if isinstance(size, list | tuple) and len(size) == 2:
        height, width = size
        if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
            return (height, width)
    return None


def _stride(metadata: Mapping[str, str]) -> int | None:
    """Return the stride that the exporter wrote."""
    stride = _literal(metadata, 'stride')
    return stride if isinstance(stride, int) and stride > 0 else None


def _precision(graph: Any, operators: frozenset[str]) -> str:
    """Return the precision of a graph's weights."""
    import onnx

    if 'DequantizeLinear' in operators:
        return 'int8'
    # Shapes and indices are integers in any graph: only the larger tensors are weights.
    weights = [t.data_type for t in graph.initializer if len(t.dims) > 1]
    half = weights.count(onnx.TensorProto.FLOAT16)
    return 'fp16' if half > len(weights) / 2 else 'fp32'
