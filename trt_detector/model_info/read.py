# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of an ONNX file, read without running it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..values.literal import read_literal
from ..values.output_part import OutputPart
from ..values.regular_file import HashedBytes, open_regular, read_hashed
from ..values.tensor_spec import TensorSpec
from ..values.user_path import describe_start
from .box_form import find_box_form, has_objectness
from .class_names import parse_names
from .content import ModelContent
from .external_data import find_external_files
from .file_type import is_plan
from .graph import all_nodes, has_broken_text, output_parts, tail_operators
from .input_pixels import find_input_pixels, InputPixels
from .metadata_files import MetadataFiles, read_metadata_files
from .output_step import find_output_step

__all__ = [
    'SIZE_INPUTS',
    'ModelInfo',
    'merge_metadata',
    'read_model_bytes',
    'read_model_info',
]

# Inputs [N, 2] beside the image: width and height of the original image (RT-DETR, D-FINE, DEIM);
# height and width of the network's input, and its scale in y and x to the original (Paddle).
SIZE_INPUTS = ('orig_target_sizes', 'im_shape', 'scale_factor')
# [N, H, W]: 1 for each pixel that belongs to the image and not to padding (Transformers' DETR).
MASK_INPUT = 'pixel_mask'
# Rows of so many values exist in several orders, which only their parts tell.
_ROW_VALUES = 7
# [n, 4] of one image, [N, A, 4], and [N, A, 1, 4] of YOLOv4.
_BOX_RANKS = (2, 3, 4)
# Each output's way through the graph is searched.
_MOST_OUTPUTS = 256
# protobuf counts bytes in 32 bits with a sign.
_LARGEST_FILE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """
    Interface and metadata of an ONNX file.

    :param path: the file.
    :param sha256: over the file and its external data, hexadecimal.
    :param inputs: the graph's inputs without its weights.
    :param outputs: the graph's outputs.
    :param metadata: key and value texts of the exporter, completed by the metadata files beside
        the model.
    :param class_names: names by class id, None if nothing gives any.
    :param input_size: (height, width) in pixels of the one image input, from its shape or from
        the metadata; None if neither tells.
    :param stride: from the metadata, None if they have none.
    :param opset: version of the default operator set.
    :param producer: exporter of the file.
    :param operators: operator types in use, subgraphs included.
    :param precision: 'int8' for a graph with Q/DQ nodes, 'fp16' for half weights, else 'fp32'.
    :param external_data: files beside the model with its weights.
    :param tails: per output name, the operator types between it and the last convolutions or
        matrix products.
    :param parts: per output name, the tensors that are concatenated to it, for outputs of rows
        of seven values.
    :param box_forms: per output name 'centers' or 'corners', if the arithmetic of its boxes tells.
    :param objectness: names of the outputs that have objectness before the class scores.
    :param output_steps: per output name the distance between its values, for outputs that a
        quantized graph rounds with one scale.
    :param input_pixels: arithmetic of the graph on its pixels before its first layer.
    :param sources: per metadata entry the file that it comes from, for messages.
    :param warnings: sentences about metadata that could not be used.
    :param content: bytes of the file, released when the engine is open. None of a file with
        external data, which runtimes read themselves.
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
    box_forms: Mapping[str, str] = field(default_factory=dict)
    objectness: frozenset[str] = frozenset()
    output_steps: Mapping[str, float] = field(default_factory=dict)
    input_pixels: InputPixels = field(default_factory=InputPixels)
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    content: ModelContent = field(default_factory=ModelContent, repr=False, compare=False)

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
        return len(self.image_input.shape) == 4 and len(_images(self.inputs)[0].shape) == 3

    @property
    def lacks_channels(self) -> bool:
        """Return whether the graph leaves the number of channels open."""
        return not self.lacks_batch and self.image_input not in self.inputs

    @property
    def size_inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs for the size of the images, which become constants."""
        images = _images(self.inputs)
        return tuple(spec for spec in self.inputs if spec not in images and not _is_mask(spec))

    @property
    def mask_input(self) -> TensorSpec | None:
        """Input for the mask of the images' pixels, which is computed in the graph."""
        images = _images(self.inputs)
        masks = (spec for spec in self.inputs if _is_mask(spec) and spec not in images)
        return next(masks, None)


def read_model_info(path: Path, known: Collection[str] = ()) -> ModelInfo:
    """
    Read an ONNX file and the metadata files beside it.

    :param known: metadata that parameters give, e.g. 'names'; the files are not asked for it.
    :raises ModelError: if it is missing, is not ONNX, is damaged, or lacks its external data.
    """
    file = _read_file(path)
    model = _parse(path, file.data)
    graph = model.graph
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
    own = {entry.key: entry.value for entry in model.metadata_props}
    merged = merge_metadata(path, own, {*known, *_known_from_shape(inputs)}, path.name)
    external = find_external_files(path, graph)
    operators = frozenset(node.op_type for node in all_nodes(graph))
    return ModelInfo(
        path=path,
        sha256=_sha256(file, external),
        inputs=inputs,
        outputs=outputs,
        metadata=merged.metadata,
        class_names=parse_names(merged.metadata),
        input_size=_input_size(inputs, merged.metadata),
        stride=_stride(merged.metadata),
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


def merge_metadata(
    path: Path, own: Mapping[str, str], known: Collection[str], label: str
) -> MetadataFiles:
    """
    Merge the metadata inside a model with those of the files beside it, which rank lower.

    :param own: metadata inside the file.
    :param known: metadata that is not needed from the files.
    :param label: name of the file, for the sources.
    """
    metadata, warnings = dict(own), []
    if 'names' in own and parse_names(own) is None:
        del metadata['names']
        warnings.append(
            f"metadata 'names' of {label} is {own['names'][:60]!r}; expected a list of names, "
            'or names numbered from 0 without gaps (it was ignored)'
        )
    beside = read_metadata_files(path, {*known, *metadata})
    sources = dict.fromkeys(metadata, f'metadata of {label}')
    return MetadataFiles(
        {**beside.metadata, **metadata},
        {**{key: f'{file} beside {label}' for key, file in beside.sources.items()}, **sources},
        (*warnings, *beside.warnings),
    )


def read_model_bytes(model: ModelInfo) -> bytes:
    """
    Return the bytes that were described, or read the file again and compare it.

    :raises ModelError: if it, or its external data, changed since.
    """
    if model.content.data is not None:
        return model.content.data
    file = _read_file(model.path)
    if _sha256(file, model.external_data) != model.sha256:
        raise ModelError(f'{model.path} changed on disk while it was being opened; open it again')
    return file.data


def _read_file(path: Path) -> HashedBytes:
    """
    Read and hash an ONNX file.

    :raises ModelError: if it cannot be read, is too large, or its first bytes are those of
        another format.
    """
    if is_plan(path):
        raise ModelError(f'{path} is a TensorRT plan; expected an ONNX file')
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST_FILE:
                raise ModelError(
                    f'{path} has {size / 2**30:.1f} GiB; the maximum of an ONNX file is 2 GiB '
                    '(protobuf): export the model with its weights as external data'
                )
            return read_hashed(file)
    except OSError as error:
        place = describe_start(path)
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
        raise ModelError(
            f'{path} ({len(data)} bytes) holds no ONNX graph with nodes and outputs; export the '
            'model again'
        )
    if has_broken_text(model):
        raise ModelError(
            f'{path} holds a name or metadata that is not UTF-8 text; it is damaged: export the '
            'model again'
        )
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


def _sha256(model: HashedBytes, external: Sequence[Path]) -> str:
    """Return the hash over a model and its external data."""
    if not external:
        return model.sha256
    digest = hashlib.sha256(model.data)
    for file in external:
        with file.open('rb') as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _images(inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Drop the inputs [N, 2] for the sizes of the images, and the mask [N, H, W] of DETR."""
    images = tuple(
        spec
        for spec in inputs
        if not (spec.name in SIZE_INPUTS and spec.shape[1:] == (2,)) and not _is_mask(spec)
    )
    return images or inputs


def _is_mask(spec: TensorSpec) -> bool:
    return spec.name == MASK_INPUT and len(spec.shape) == 3


def _batched(image: TensorSpec) -> TensorSpec:
    """
    Complete the shape of an image input.

    [C, H, W] and [H, W, C] get a batch of one, and an open number of channels becomes 3.
    """
    shape = image.shape
    if len(shape) == 4 and shape[1] not in (1, 3) and shape[3] not in (1, 3):
        if shape[1] is None:
            return replace(image, shape=(shape[0], 3, *shape[2:]))
        if shape[3] is None:
            return replace(image, shape=(*shape[:3], 3))
    if len(shape) == 3 and (shape[0] in (1, 3) or shape[2] in (1, 3)):
        return replace(image, shape=(1, *shape))
    return image


def _read_input_pixels(graph: Any, inputs: tuple[TensorSpec, ...]) -> InputPixels:
    """Read the arithmetic on the one image input; none if there are others."""
    images = [_batched(image) for image in _images(inputs)]
    if len(images) != 1 or len(images[0].shape) != 4:
        return InputPixels()
    [image] = images
    found = find_input_pixels(graph, image.name, channels_last=image.channels_last)
    # Pixels of 8 bits reach the graph as they are.
    if image.dtype == np.uint8:
        return InputPixels(reversed_channels=found.reversed_channels)
    return found


def _known_from_shape(inputs: tuple[TensorSpec, ...]) -> tuple[str, ...]:
    """Name the metadata that the shape of the image input makes superfluous."""
    return () if _input_size(inputs, {}) is None else ('imgsz',)


def _input_size(
    inputs: tuple[TensorSpec, ...], metadata: Mapping[str, str]
) -> tuple[int, int] | None:
    """Return (height, width) of the image input."""
    images = [_batched(image) for image in _images(inputs)]
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
