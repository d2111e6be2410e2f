# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of a parameter, and the checks that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
import difflib
import math
import re
import reprlib
from typing import Any

from .errors import ConfigError

__all__ = [
    'ParameterSpec',
    'check_all',
    'check_value',
    'describe_fields',
    'parameter',
    'show_value',
    'suggest',
    'type_name',
]

# Beside the sign, as ROS parameters have them.
_LARGEST_BITS = 63
_TYPE_WORDS = {'bool': 'true or false', 'int': 'integer', 'float': 'number', 'str': 'string'}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """
    Description of one parameter.

    :param name: the parameter's name.
    :param type: bool, int, float, str, or list[...] of int, float or str.
    :param default: value if the user gives none.
    :param meaning: one sentence for the user.
    :param unit: of the value, '' if it has none.
    :param minimum: smallest value allowed, None for no bound.
    :param maximum: largest value allowed, None for no bound.
    :param choices: the values allowed, empty for any.
    :param live: whether it may change while the node is active.
    """

    name: str
    type: str
    default: Any
    meaning: str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    live: bool

    @property
    def type_words(self) -> str:
        """Type in words, e.g. 'list of strings'."""
        if self.type.startswith('list['):
            return f'list of {_TYPE_WORDS[self.type[5:-1]]}s'
        return _TYPE_WORDS[self.type]

    @property
    def expected_type(self) -> str:
        """Type in words for an error, e.g. 'a list of strings'."""
        words = self.type_words
        return words if self.type == 'bool' else f'{"an" if words[0] == "i" else "a"} {words}'


def parameter(
    default: Any,
    meaning: str,
    *,
    unit: str = '',
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Return a dataclass field with the description that :class:`ParameterSpec` holds."""
    description = {
        'meaning': meaning,
        'unit': unit,
        'minimum': minimum,
        'maximum': maximum,
        'choices': choices,
        'live': live,
    }
    return field(default=default, metadata=description)


def describe_fields(config_type: Any) -> tuple[ParameterSpec, ...]:
    """
    Describe the parameters of a dataclass of :func:`parameter` fields, in their order.

    Groups of parameters that it inherits come after its own.
    """
    ordered = sorted(fields(config_type), key=lambda f: f.name not in config_type.__annotations__)
    return tuple(
        ParameterSpec(name=f.name, type=type_name(f.type), default=f.default, **f.metadata)
        for f in ordered
    )


def check_all(checks: Iterable[Callable[[], object]]) -> None:
    """
    Run all checks, so that a user sees every error at once.

    :raises ConfigError: with the sentences of all that fail.
    """
    sentences: list[str] = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            sentences += error.sentences
    if sentences:
        raise ConfigError(*sentences)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...?' with the closest known name, '' if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean {close[0]!r}?' if close else ''


def type_name(annotation: Any) -> str:
    """Return the parameter type that a field's annotation stands for."""
    text = str(annotation)
    return f'list[{text[6:-6]}]' if text.startswith('tuple[') else text


def check_value(spec: ParameterSpec, value: Any) -> Any:
    """
    Return the value in its canonical form.

    :raises ConfigError: if its type, range or choice is wrong.
    """
    if spec.type.startswith('list['):
        if spec.type == 'list[float]' and type(value) in (int, float):
            value = (value,)
        if isinstance(value, str | bytes | dict) or not hasattr(value, '__iter__'):
            raise ConfigError(
                f'{spec.name} is {show_value(value)}; expected {spec.expected_type}'
                f'{_show_as_list(spec, value)}'
            )
        return tuple(_checked_scalar(spec, spec.type[5:-1], item) for item in value)
    return _checked_scalar(spec, spec.type, value)


def _show_as_list(spec: ParameterSpec, value: Any) -> str:
    """Show how to write a single text as a list; '' for another value or a long one."""
    if spec.type != 'list[str]' or not isinstance(value, str) or len(value) > _SHORT.maxstring:
        return ''
    # The commas between the coordinates of a region separate no items.
    parts = [value] if re.search(r'\d,[\d.]', value) else value.strip('[] ').split(',')
    items = [item.strip('[] \'"') for item in parts]
    text = ', '.join(repr(item) for item in items if item)
    return f', e.g. {spec.name}: [{text}]' if text else ''


def _checked_scalar(spec: ParameterSpec, type_name: str, value: Any) -> Any:
    """Return one number, boolean or string in its canonical form, or raise ConfigError."""
    python_type: Any = {'bool': bool, 'int': int, 'float': float, 'str': str}[type_name]
    if type(value) is int and value.bit_length() > _LARGEST_BITS:
        raise ConfigError(
            f'{spec.name} is a number of {value.bit_length()} bits; expected at most '
            f'{_LARGEST_BITS} bits'
        )
    if type_name == 'float' and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, bool) and ('on' if value else 'off') in spec.choices:
        value = 'on' if value else 'off'  # YAML reads these words as booleans
    if not isinstance(value, python_type) or (type_name == 'int' and isinstance(value, bool)):
        verb = 'holds' if spec.type.startswith('list[') else 'is'
        raise ConfigError(f'{spec.name} {verb} {show_value(value)}; expected {spec.expected_type}')
    if type_name == 'str':
        _check_text(spec, value)
    elif type_name in ('int', 'float'):
        _check_range(spec, value)
    return value


def show_value(value: Any) -> str:
    """Format a value of any type and size for a message."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        # Python does not print integers of more than 4300 digits.
        return 'a value that cannot be printed'


def _check_text(spec: ParameterSpec, value: str) -> None:
    """Refuse a string that is not among the choices, or is empty inside a list."""
    if spec.choices and value not in spec.choices:
        raise ConfigError(f'{spec.name} is {value!r}; expected one of {", ".join(spec.choices)}')
    if spec.type.startswith('list[') and not value.strip():
        raise ConfigError(f'{spec.name} holds an empty string; remove it or fill it in')


def _check_range(spec: ParameterSpec, value: float) -> None:
    """Refuse a number that is not finite or out of range."""
    low = -math.inf if spec.minimum is None else spec.minimum
    high = math.inf if spec.maximum is None else spec.maximum
    if not math.isfinite(value) or not low <= value <= high:
        bounds = f'{low:.10g} to {high:.10g}' if math.isfinite(high) else f'{low:.10g} or more'
        raise ConfigError(f'{spec.name} is {value!r}; expected {bounds} {spec.unit}'.rstrip())
