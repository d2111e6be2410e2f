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
    Apply 'source:target' items to the classes of a model.

    Sources are names or numbers of the model's classes. A target that is the name of another class
    is that class; a new one has the id of its first source.

    :param class_names: names by class id.
    :raises ConfigError: if an item has another format, names no class, or contradicts another.
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
            if targets.setdefault(class_id, target) != target:
                raise ConfigError(
                    f'{_PARAMETER} maps {names[class_id]!r} to {targets[class_id]!r} and to '
                    f'{target!r}; give it one target'
                )
    _refuse_chains(targets, names)
    return _merge(targets, names) if targets else ClassMap(names)


def _refuse_chains(targets: dict[int, str], names: tuple[str, ...]) -> None:
    """Refuse a target that is mapped on to another one."""
    for class_id, target in targets.items():
        for other, further in targets.items():
            if names[other] == target != further:
                raise ConfigError(
                    f'{_PARAMETER} maps {names[class_id]!r} to {target!r}, and that to '
                    f'{further!r}; map {names[class_id]!r} to {further!r}'
                )


def _merge(targets: dict[int, str], names: tuple[str, ...]) -> ClassMap:
    """Give each target an id."""
    first: dict[str, int] = {}
    for class_id in sorted(targets):
        target = targets[class_id]
        present = names.index(target) if target in names else class_id
        first.setdefault(target, present)
    ids = tuple(first[targets[n]] if n in targets else n for n in range(len(names)))
    merged = tuple(targets.get(n, name) if ids[n] == n else '' for n, name in enumerate(names))
    return ClassMap(merged, None if ids == tuple(range(len(names))) else ids)
