# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-in for foxglove_msgs.msg, as strict as the messages of ROS: fields, types, defaults."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

TIME = 'builtin_interfaces/Time'

# Fields of the real messages; test_annotations.py compares them where foxglove_msgs is installed.
FIELDS: dict[str, dict[str, str]] = {
    'Point2': {'x': 'double', 'y': 'double'},
    'Color': dict.fromkeys('rgba', 'double'),
    'CircleAnnotation': {
        'timestamp': TIME,
        'position': 'foxglove_msgs/Point2',
        'diameter': 'double',
        'thickness': 'double',
        'fill_color': 'foxglove_msgs/Color',
        'outline_color': 'foxglove_msgs/Color',
    },
    'PointsAnnotation': {
        'timestamp': TIME,
        'type': 'uint8',
        'points': 'sequence<foxglove_msgs/Point2>',
        'outline_color': 'foxglove_msgs/Color',
        'outline_colors': 'sequence<foxglove_msgs/Color>',
        'fill_color': 'foxglove_msgs/Color',
        'thickness': 'double',
    },
    'TextAnnotation': {
        'timestamp': TIME,
        'position': 'foxglove_msgs/Point2',
        'text': 'string',
        'font_size': 'double',
        'text_color': 'foxglove_msgs/Color',
        'background_color': 'foxglove_msgs/Color',
    },
    'ImageAnnotations': {
        'circles': 'sequence<foxglove_msgs/CircleAnnotation>',
        'points': 'sequence<foxglove_msgs/PointsAnnotation>',
        'texts': 'sequence<foxglove_msgs/TextAnnotation>',
    },
}
CONSTANTS = {'PointsAnnotation': {'POINTS': 1, 'LINE_LOOP': 2, 'LINE_STRIP': 3, 'LINE_LIST': 4}}


class _Message:
    """Message with the fields of its class; refuses others, and values of another type."""

    fields: ClassVar[dict[str, str]] = {}

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - self.fields.keys()
        assert not unknown, f'{type(self).__name__} has no {unknown}'
        for name, kind in self.fields.items():
            setattr(self, name, values.get(name, _default(kind)))

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self.fields, f'{type(self).__name__} has no {name}'
        _check(self.fields[name], value)
        object.__setattr__(self, name, value)


def _default(kind: str) -> Any:
    """Return the value of a new message."""
    simple = {'double': 0.0, 'uint8': 0, 'string': ''}
    if kind in simple:
        return simple[kind]
    if kind.startswith('sequence<'):
        return []
    return None if kind == TIME else MESSAGES[kind.rpartition('/')[2]]()


def _check(kind: str, value: Any) -> None:
    """Refuse a value of another type, as ROS does."""
    simple = {'double': float, 'uint8': int, 'string': str}
    if kind in simple:
        assert type(value) is simple[kind], f'{value!r} is no {kind}'
    elif kind.startswith('sequence<'):
        assert isinstance(value, list)
        for item in value:
            _check(kind[9:-1], item)
    elif kind != TIME:
        assert isinstance(value, MESSAGES[kind.rpartition('/')[2]])


MESSAGES = {
    name: type(name, (_Message,), {'fields': fields, **CONSTANTS.get(name, {})})
    for name, fields in FIELDS.items()
}
foxglove_double = SimpleNamespace(**MESSAGES)
