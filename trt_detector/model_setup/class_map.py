# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameter class_map: other names for classes, and several classes under one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from ..parameter_spec import show_value
from .classes import find_class_ids

__all__ = ['ClassMap', 'map_classes']

_PARAMETER = 'class_map'


@dataclass(frozen=True, slots=True)
class ClassMap:
    """
    Classes that are published instead of those of the model.

    :param names: names by class id; '' if the class is published under the id of another one.
    :param ids: id under which each class is published; None if it is always its own.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...] | None = None


def map_classes(items: Sequence[str], class_names: Sequence[str]) -> ClassMap:
    """
    Apply 'source:target' items, all at once, to the classes of a model.

    Sources are names or numbers of the model's classes. Classes that have one name afterwards are
    one class, with the id of the one that had this name before, or else of its first source.

    :param class_names: names by class id.
    :raises ConfigError: if an item has another format, names no class, or one that another item
        names.
    """
    names = tuple(class_names)
    targets: dict[int, str] = {}
    for item in items:
        source, colon, target = (part.strip() for part in item.rpartition(':'))
        if not (colon and source and target):
            raise ConfigError(
                f"{_PARAMETER} holds {show_value(item)}; expected 'source:target', e.g. "
                "'car:vehicle'"
            )
        if not names:
            raise ConfigError(
                f'{_PARAMETER} holds {show_value(item)}, but the model does not tell its classes: '
                'give them in class_names'
            )
        for class_id in find_class_ids(source, names, _PARAMETER):
            if class_id in targets:
                raise ConfigError(
                    f'{_PARAMETER} maps {names[class_id]!r} to {targets[class_id]!r} and to '
                    f'{target!r}; keep one of the two items'
                )
            targets[class_id] = target
    return _merge(targets, names) if targets else ClassMap(names)


def _merge(targets: dict[int, str], names: tuple[str, ...]) -> ClassMap:
    """Give each target an id: that of the class that keeps this name, or its first source's."""
    kept: dict[str, int] = {}
    for class_id, name in enumerate(names):
        if targets.get(class_id, name) == name:
            kept.setdefault(name, class_id)
    first: dict[str, int] = {}
    for class_id in sorted(targets):
        target = targets[class_id]
        first.setdefault(target, kept.get(target, class_id))
    ids = tuple(first[targets[n]] if n in targets else n for n in range(len(names)))
    merged = tuple(targets.get(n, name) if ids[n] == n else '' for n, name in enumerate(names))
    return ClassMap(merged, None if ids == tuple(range(len(names))) else ids)
