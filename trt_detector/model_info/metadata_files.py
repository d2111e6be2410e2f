# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What files beside a model say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from ..errors import ModelError

__all__ = ['Sidecars', 'read_metadata_files']

# Beside <stem>.onnx, in this order: the first file that has a key gives its value.
_OF_THE_MODEL = ('.yaml', '.yml', '.json', '.txt')
_OF_THE_FOLDER = ('metadata.yaml', 'config.json', 'names.txt', 'classes.txt', 'labels.txt')

# What other tools call the entries that exporters write into the ONNX metadata.
_KEYS = {
    'names': ('names', 'class_names', 'classes', 'labels', 'id2label'),
    'imgsz': ('imgsz', 'input_size', 'image_size'),
    'stride': ('stride',),
    'task': ('task',),
    'head': ('head',),
    'end2end': ('end2end',),
    'kpt_shape': ('kpt_shape',),
}


@dataclass(frozen=True, slots=True)
class Sidecars:
    """
    What the files say.

    :param metadata: in the form of the ONNX metadata: texts, lists as Python writes them.
    :param sources: name of the file that each entry comes from.
    """

    metadata: Mapping[str, str]
    sources: Mapping[str, str]


def read_metadata_files(model: Path) -> Sidecars:
    """
    Read the files beside a model or a plan.

    :raises ModelError: if one of them is damaged.
    """
    metadata: dict[str, str] = {}
    sources: dict[str, str] = {}
    for file in _files(model):
        for key, value in _entries(file).items():
            if key not in metadata:
                metadata[key], sources[key] = str(value), file.name
    return Sidecars(metadata, sources)


def _files(model: Path) -> Iterator[Path]:
    """Yield the files to look at, the weightiest first."""
    candidates = [model.with_suffix(suffix) for suffix in _OF_THE_MODEL]
    candidates += [model.parent / name for name in _OF_THE_FOLDER]
    return (file for file in candidates if file != model and file.is_file())


def _entries(file: Path) -> dict[str, Any]:
    """Return the entries of a file under the names of the ONNX metadata."""
    try:
        text = file.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f'cannot read {file}: {error}') from error
    if file.suffix == '.txt':
        names = [line.strip() for line in text.splitlines() if line.strip()]
        return {'names': names} if names else {}
    content = _parse(file, text)
    if isinstance(content, list):
        content = {'names': content}
    if not isinstance(content, dict):
        return {}
    found = {}
    for key, spellings in _KEYS.items():
        values = [
            content[spelling]
            for spelling in spellings
            if content.get(spelling) not in (None, [], {})
        ]
        kinds = {'names': (list, dict), 'head': (str,)}.get(key, (object,))
        if values and isinstance(values[0], kinds):
            found[key] = values[0]
    return found


def _parse(file: Path, text: str) -> Any:
    """Return what a YAML or JSON file holds."""
    if file.suffix == '.json':
        try:
            return json.loads(text)
        except ValueError as error:
            raise ModelError(f'{file} is not JSON: {error}; mend it or move it away') from error
    # PyYAML takes a while to import, and most models need none of these files.
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ModelError(f'{file} is not YAML: {error}; mend it or move it away') from error
