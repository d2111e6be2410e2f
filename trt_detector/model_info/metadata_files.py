# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata files beside a model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, printable
from .class_names import parse_names
from .text_files import read_json, read_lines, read_yaml

__all__ = ['MetadataFiles', 'merge_metadata', 'read_metadata_files']

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
_TEXTS = ('head', 'model_type', 'task')
# Of Ultralytics.
_OF_ULTRALYTICS = ('metadata.yaml',)
_TASKS = ('detect', 'segment', 'classify', 'pose', 'obb')
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
    warnings: tuple[str, ...]


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
    unused: list[tuple[str, str]] = []
    for file, keys in _files(model):
        if not keys - set(known) - metadata.keys():
            continue
        try:
            entries, notes = _read_entries(file, is_own=file.stem == model.stem)
        except ModelError as error:
            warnings.append(f'{error} (it was ignored)')
            continue
        unused += notes
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
    # What another file gives is not missed.
    warnings += [text for key, text in unused if key not in known and key not in metadata]
    return MetadataFiles(metadata, sources, tuple(warnings))


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


def _read_entries(file: Path, *, is_own: bool) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """
    Read the entries of a file under the names of the ONNX metadata.

    :param is_own: the file has the name of the model; others may belong to other programs.
    :return: the entries; and warnings, each with the entry that it is about.
    :raises ModelError: if it cannot be read.
    """
    if file.suffix == '.txt':
        names = read_lines(file)
        return ({'names': str(names)} if names else {}), []
    if file.suffix == '.json':
        content = text = read_json(file)
    else:
        content, text = read_yaml(file)
    if isinstance(content, list) or _is_numbered(content):
        content, text = {'names': content}, {'names': text}
    if not isinstance(content, dict):
        return {}, [('names', _describe_unused(file, content))] if is_own else []
    found: dict[str, str] = {}
    notes: list[tuple[str, str]] = []
    for key, spellings in _KEYS.items():
        values = [
            text.get(spelling, content[spelling]) if key == 'names' else content[spelling]
            for spelling in spellings
            if content.get(spelling) not in (None, [], {})
        ]
        if not values:
            continue
        fault = _find_fault(key, values[0])
        if not fault:
            found[key] = _write_literal(file, key, values[0])
        elif key != 'anchors' and (is_own or file.name in _OF_ULTRALYTICS):
            shown = _write_literal(file, key, values[0])[:60]
            notes.append((key, f'{file} has the {key} {shown!r}; expected {fault} (ignored)'))
    if not found and not notes and is_own:
        notes.append(('names', _describe_unused(file, content)))
    return found, notes


def _is_numbered(content: Any) -> bool:
    """Tell whether a file is a list of names under the numbers 0, 1, 2 ..."""
    if not isinstance(content, dict) or not content:
        return False
    numbers = range(len(content))
    return all((number in content or str(number) in content) for number in numbers) and all(
        isinstance(name, str) for name in content.values()
    )


def _find_fault(key: str, value: Any) -> str:
    """
    Check that an entry can be what its key means: config.json is the file of many tools.

    :return: what was expected, '' if it can be.
    """
    if key == 'task' and isinstance(value, str) and value not in _TASKS:
        return f'one of {", ".join(_TASKS)}'
    if key in _TEXTS:
        return '' if isinstance(value, str) else 'a text'
    if key == 'names':
        return '' if isinstance(value, list | dict) else 'a list or numbered names'
    # YOLOv5's own files have a number where anchors are to be fitted.
    return 'a list' if key == 'anchors' and not isinstance(value, list) else ''


def _describe_unused(file: Path, content: Any) -> str:
    """Describe a file that has the name of the model and nothing that is used."""
    if isinstance(content, dict) and isinstance(content.get('categories'), list):
        return (
            f'{file} was not used: it is a COCO annotation file, whose category numbers may have '
            'gaps, so their order in the model is not known; give class_names'
        )
    shown = type(content).__name__
    if isinstance(content, dict):
        keys = [printable(key[:20]) for key in content if isinstance(key, str)][:5]
        shown = f'the entries {", ".join(keys)}' if keys else 'no such entry'
    return f'{file} was not used: it has {shown}; expected some of {", ".join(_KEYS)}'


def _write_literal(file: Path, key: str, value: Any) -> str:
    """
    Write a value as a Python literal.

    :raises ModelError: if Python does not print it: an integer of more than 4300 digits.
    """
    try:
        return str(value)
    except ValueError as error:
        raise ModelError(f'{file} has {key} that cannot be printed: {error}; fix it') from error
