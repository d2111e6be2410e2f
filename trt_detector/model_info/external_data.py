# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""External data of an ONNX file: weights in files beside it."""

from __future__ import annotations

from collections.abc import Iterator
import math
import os
from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = ['find_external_files', 'resolve_external_data']

# Shape inference of ONNX Runtime needs the values of shapes, axes, sizes and paddings, and does
# not read them from files. They are vectors or scalars.
_LARGEST_SHAPE_BYTES = 4096


def find_external_files(path: Path, graph: Any) -> tuple[Path, ...]:
    """
    Find the files that hold weights of a graph.

    :param path: the ONNX file.
    :raises ModelError: if one is missing, lies outside the folder of the model by its name, or is
        shorter than its weights.
    """
    files = []
    for location in sorted({entry.value for entry in _locations(graph)}, key=str):
        # protobuf gives a text that is not UTF-8 as bytes.
        if not isinstance(location, str) or '\0' in location:
            raise ModelError(
                f'{path} keeps weights in {location!r}, which is no file name; export the model '
                'again'
            )
        if Path(location).is_absolute() or '..' in Path(location).parts:
            raise ModelError(
                f'{path} keeps weights in {location!r}, outside its own folder, which is refused; '
                'export the model again'
            )
        file = path.parent / location
        if not file.is_file():
            raise ModelError(
                f'{path} keeps weights in {location}, which is not in {path.parent}; copy it '
                'there, or export the model into one file'
            )
        files.append(file)
    _check_sizes(path, graph)
    return tuple(files)


def resolve_external_data(data: bytes, folder: Path) -> tuple[bytes, Path]:
    """
    Prepare a model with external data for runtimes.

    Symbolic links to external data, which runtimes refuse to follow, are replaced by their
    targets: the cache of Hugging Face stores models that way. Small vectors move into the model,
    because shape inference of ONNX Runtime does not read shapes from files.

    :param data: an ONNX file.
    :param folder: folder of the ONNX file.
    :return: the ONNX file, unchanged without such links and vectors, and the folder of its
        external data.
    :raises ModelError: if a vector cannot be read.
    """
    import onnx

    proto = onnx.load_model_from_string(data)
    is_changed = False
    for tensor in _tensors(proto.graph):
        is_changed |= _inline_vector(tensor, folder)
    entries = list(_locations(proto.graph))
    targets = {entry.value: (folder / entry.value).resolve() for entry in entries}
    if all(target == folder.resolve() / location for location, target in targets.items()):
        return (bytes(proto.SerializeToString()) if is_changed else data), folder
    common = Path(os.path.commonpath([target.parent for target in targets.values()]))
    for entry in entries:
        entry.value = str(targets[entry.value].relative_to(common))
    return bytes(proto.SerializeToString()), common


def _inline_vector(tensor: Any, folder: Path) -> bool:
    """
    Move the values of a small external vector or scalar into the tensor; return whether it is one.

    :raises ModelError: if the file cannot be read.
    """
    import onnx

    if tensor.data_location != onnx.TensorProto.EXTERNAL or len(tensor.dims) > 1:
        return False
    location, offset, length = _extent(tensor)
    if length > _LARGEST_SHAPE_BYTES:
        return False
    try:
        with (folder / location).open('rb') as file:
            file.seek(offset)
            values = file.read(length)
    except OSError as error:
        raise ModelError(
            f'the external data {folder / location} cannot be read: {error.strerror or error}'
        ) from error
    if len(values) != length:
        raise ModelError(
            f'the external data {folder / location} ends within {tensor.name!r}; copy it again'
        )
    tensor.raw_data = values
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT
    return True


def _check_sizes(path: Path, graph: Any) -> None:
    """
    Check that each file holds all of its weights.

    :raises ModelError: with the file and both sizes.
    """
    for tensor in _tensors(graph):
        if not tensor.external_data:
            continue
        location, offset, length = _extent(tensor)
        end, size = offset + length, (path.parent / location).stat().st_size
        if end > size:
            raise ModelError(
                f'{path} keeps the weights {tensor.name!r} in {location} up to byte {end}, but '
                f'that file has {size} bytes; copy it again, or export the model again'
            )


def _extent(tensor: Any) -> tuple[str, int, int]:
    """
    Return the file of an external tensor, and its offset and length there in bytes.

    :raises ModelError: if they are no numbers, or the element type is unknown.
    """
    import onnx

    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset = int(entries.get('offset', 0))
        if 'length' in entries:
            length = int(entries['length'])
        else:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            length = math.prod(tensor.dims) * dtype.itemsize
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f'the weights {tensor.name!r} have the place {entries} in a file; expected numbers: '
            'export the model again'
        ) from error
    if offset < 0 or length < 0:
        raise ModelError(
            f'the weights {tensor.name!r} have the place {entries} in a file; expected 0 or more: '
            'export the model again'
        )
    return str(entries.get('location', '')), offset, length


def _locations(graph: Any) -> Iterator[Any]:
    """Yield the entries that name a file, in a graph and in the graphs inside it."""
    for tensor in _tensors(graph):
        yield from (entry for entry in tensor.external_data if entry.key == 'location')


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield the constant tensors of a graph and of the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
