# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""External data of an ONNX file: weights in files beside it."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = ['find_external_files', 'resolve_external_data']


def find_external_files(path: Path, graph: Any) -> tuple[Path, ...]:
    """
    Find the files that hold weights of a graph.

    :param path: the ONNX file.
    :raises ModelError: if one is missing, or lies outside the folder of the model by its name.
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
    return tuple(files)


def resolve_external_data(data: bytes, folder: Path) -> tuple[bytes, Path]:
    """
    Replace symbolic links to external data by their targets, which runtimes refuse to follow.

    The cache of Hugging Face stores models that way.

    :param data: an ONNX file.
    :param folder: folder of the ONNX file.
    :return: the ONNX file, unchanged without such links, and the folder of its external data.
    """
    import onnx

    proto = onnx.load_model_from_string(data)
    entries = list(_locations(proto.graph))
    targets = {entry.value: (folder / entry.value).resolve() for entry in entries}
    if all(target == folder.resolve() / location for location, target in targets.items()):
        return data, folder
    common = Path(os.path.commonpath([target.parent for target in targets.values()]))
    for entry in entries:
        entry.value = str(targets[entry.value].relative_to(common))
    return bytes(proto.SerializeToString()), common


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
