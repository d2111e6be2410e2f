# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata files beside a model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .class_names import parse_names
from .text_files import parse_lines, read_json, read_text, read_yaml

__all__ = ['MetadataFiles', 'read_metadata_files']

# Names of the entries that exporters write into the ONNX metadata, and their other spellings.
_KEYS = {
    'names': ('names', 'class_names', 'classes', 'labels', 'id2label', 'label_list'),
    'imgsz': ('imgsz', 'input_size', 'image_size'),
    'stride': ('stride',),
    'task': ('task',),
    'head': ('head',),
    'end2end': ('end2end',),
    'kpt_shape': ('kpt_shape',),
    'anchors': ('anchors',),
    'args': ('args',),
    'model_type': ('model_type',),
}
_NAMES = frozenset({'names'})
# Beside <stem>.onnx, in this order: the first file that has a key gives its value.
_OF_THE_MODEL = ('.yaml', '.yml', '.json', '.txt')
# Files of the folder may belong to other programs: read only if one of these entries is missing.
_OF_THE_FOLDER = {
    'metadata.yaml': frozenset({'names', 'imgsz', 'stride', 'task'}),
    'config.json': _NAMES | {'imgsz'},
    'infer_cfg.yml': _NAMES,
    'names.txt': _NAMES,
    'classes.txt': _NAMES,
    'labels.txt': _NAMES,
}


@dataclass(frozen=True, slots=True)
class MetadataFiles:
    """
    Content of the metadata files.

    :param metadata: in the form of the ONNX metadata: texts, lists as Python literals.
    :param sources: file name per entry.
    :param warnings: sentences about files that could not be used.
    """

    metadata: Mapping[str, str]
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def read_metadata_files(model: Path, known: Collection[str] = ()) -> MetadataFiles:
    """
    Read the metadata files beside a model or a plan.

    A file is read only if it can give an entry that is missing. One that cannot be read is a
    warning: it never stops a model.

    :param known: entries that a parameter or the model itself gives.
    """
    metadata: dict[str, str] = {}
    sources: dict[str, str] = {}
    warnings: list[str] = []
    for file, keys in _files(model):
        if not keys - set(known) - metadata.keys():
            continue
        try:
            entries = _read_entries(file)
        except ModelError as error:
            warnings.append(f'{error} (it was ignored)')
            continue
        for key, value in entries.items():
            if key in known or key in metadata:
                continue
            if key == 'names' and parse_names({'names': value}) is None:
                warnings.append(
                    f'{file} has the class names {value[:60]}; expected a list of names, or names '
                    'numbered from 0 without gaps (they were ignored)'
                )
                continue
            metadata[key], sources[key] = value, file.name
    return MetadataFiles(metadata, sources, tuple(warnings))


def _files(model: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    """Yield the existing files, highest rank first, with the entries that each is read for."""
    every = frozenset(_KEYS) - {'model_type'}
    ranked = [
        (model.with_suffix(suffix), _NAMES if suffix == '.txt' else every)
        for suffix in _OF_THE_MODEL
    ]
    ranked += [(model.parent / name, keys) for name, keys in _OF_THE_FOLDER.items()]
    # Hugging Face keeps the ONNX files in a folder of their own, below the configuration.
    if model.parent.name == 'onnx':
        ranked.append((model.parent.parent / 'config.json', _OF_THE_FOLDER['config.json']))
    return ((file, keys) for file, keys in ranked if file != model and file.is_file())


def _read_entries(file: Path) -> dict[str, str]:
    """
    Read the entries of a file under the names of the ONNX metadata.

    :raises ModelError: if it cannot be read.
    """
    if file.suffix == '.txt':
        names = parse_lines(read_text(file))
        return {'names': str(names)} if names else {}
    if file.suffix == '.json':
        content = text = read_json(file)
    else:
        content, text = read_yaml(file)
    if isinstance(content, list):
        content, text = {'names': content}, {'names': text}
    if not isinstance(content, dict):
        return {}
    found = {}
    for key, spellings in _KEYS.items():
        values = [
            text.get(spelling, content[spelling]) if key == 'names' else content[spelling]
            for spelling in spellings
            if content.get(spelling) not in (None, [], {})
        ]
        if values and _has_expected_type(key, values[0]):
            found[key] = _write_literal(file, key, values[0])
    return found


def _has_expected_type(key: str, value: Any) -> bool:
    """Tell whether an entry can be what its key means: config.json is the file of many tools."""
    if key == 'names':
        return isinstance(value, list | dict)
    if key == 'anchors':
        # YOLOv5's own files have a number where anchors are to be fitted.
        return isinstance(value, list)
    if key in ('head', 'model_type', 'task'):
        return isinstance(value, str)
    return True


def _write_literal(file: Path, key: str, value: Any) -> str:
    """
    Write a value as a Python literal.

    :raises ModelError: if Python does not print it: an integer of more than 4300 digits.
    """
    try:
        return str(value)
    except ValueError as error:
        raise ModelError(f'{file} has {key} that cannot be printed: {error}; fix it') from error
