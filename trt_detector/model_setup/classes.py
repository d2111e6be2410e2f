# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of detections from the parameters: class filters and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
import re

from ..config import DetectorConfig
from ..decode import DecodeOptions
from ..errors import ConfigError

__all__ = ['decode_options', 'describe_first_name', 'find_class_ids']

# '#9' is class number 9, whatever the classes are called.
_NUMBER_SIGN = '#'
_NAMES_IN_MESSAGE = 20
# Names of class 0 of models that count their classes from 1.
_BACKGROUND = frozenset({'', 'background', 'bg', 'n/a', 'none', 'unused'})


def decode_options(config: DetectorConfig, class_names: Sequence[str]) -> DecodeOptions:
    """
    Return the selection of detections that the parameters ask for.

    :param class_names: names by class id, empty if unknown.
    :raises ConfigError: if classes or class_score_thresholds has an item that is no class, or is
        the number of one class and the name of another.
    """
    wanted = {
        class_id
        for text in config.classes
        for class_id in find_class_ids(text, class_names, 'classes')
    }
    return DecodeOptions(
        score_threshold=config.score_threshold,
        iou_threshold=config.iou_threshold,
        max_detections=config.max_detections,
        classes=frozenset(wanted) if wanted else None,
        class_agnostic=config.class_agnostic_nms,
        class_score_thresholds=tuple(
            threshold
            for text in config.class_score_thresholds
            for threshold in _class_thresholds(text, class_names)
        ),
    )


def describe_first_name(layout: str, class_names: Sequence[str]) -> tuple[str, ...]:
    """
    Describe class names that may be off by one: TorchVision counts classes from 1.

    :param layout: name of the head layout.
    :return: sentences for the user.
    """
    if layout != 'torchvision' or not class_names:
        return ()
    first = class_names[0]
    if first.strip(' _').lower() in _BACKGROUND:
        return ()
    text = (
        f'TorchVision counts its classes from 1, but the first class name is {first!r}: give '
        "class_names a first name 'background' unless this model counts from 0"
    )
    return (text,)


def _class_thresholds(text: str, class_names: Sequence[str]) -> list[tuple[int, float]]:
    """Return class ids and score of 'name:score'; the name may contain colons."""
    name, _, number = text.rpartition(':')
    try:
        score = float(number)
    except ValueError:
        score = -1.0
    if not name or not 0 <= score <= 1:
        raise ConfigError(
            f'class_score_thresholds holds {text!r}; expected name:score with a score of 0 to 1'
        )
    ids = find_class_ids(name, class_names, 'class_score_thresholds')
    return [(class_id, score) for class_id in ids]


def find_class_ids(text: str, class_names: Sequence[str], parameter: str) -> list[int]:
    """
    Return the ids of the classes with a name, or with a number as '#9' or '9'.

    :raises ConfigError: if there is no such class, or text is a name and another class's number.
    """
    marked = text.startswith(_NUMBER_SIGN) and text not in class_names
    digits = text[1:] if marked else text
    number = int(digits) if re.fullmatch('[0-9]{1,9}', digits) else None
    if (
        number is not None
        and class_names
        and (number >= len(class_names) or not class_names[number])
    ):
        number = None  # it has no such class, or publishes it as another one
    named = [] if marked else [n for n, name in enumerate(class_names) if name == text]
    if named and number is not None and named != [number]:
        raise ConfigError(
            f'{parameter} holds {text!r}, which is the name of class number {named[0]} and the '
            f'number of class {class_names[number]!r}; write #{named[0]} or #{number}'
        )
    if named:
        return named
    if number is not None:
        return [number]
    raise ConfigError(
        f'{parameter} holds {text!r}; expected names or numbers of: {_list_names(class_names)}'
        f'{_suggest_names(text, class_names)}'
    )


def _list_names(class_names: Sequence[str]) -> str:
    """List the first names."""
    if not class_names:
        return 'any number from 0'
    class_names = [name for name in class_names if name]
    count = len(class_names)
    shown = ', '.join(class_names[:_NAMES_IN_MESSAGE])
    return shown if count <= _NAMES_IN_MESSAGE else f'{shown}, ... ({count} names)'


def _suggest_names(text: str, class_names: Sequence[str]) -> str:
    """Suggest the names that differ in case and outer spaces only."""
    wanted = text.strip().casefold()
    alike = [name for name in class_names if name.strip().casefold() == wanted]
    return f'; the name is {alike[0]!r}' if alike else ''
