# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Targets: values of parameters, and parameter files."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

from trt_detector.config import DetectorConfig, parameter_specs, ParameterSpec
from trt_detector.model_setup import decode_options

from ..byte_reader import ByteReader
from ..invariants import attempt, check_text
from ..scratch import scratch_files

try:
    from rclpy.parameter import Parameter
    from trt_detector.ros.parameters import DETECTOR_PARAMETERS

    check_changes = DETECTOR_PARAMETERS.check_changes
except ImportError:
    # A machine without ROS 2.
    Parameter = check_changes = None

SPECS = parameter_specs()
TEXTS = (
    '', ' ', 'auto', 'name', 'int8', '384x640', '0x0', '99999x99999', 'lamp', 'lamp:0.5', '#1',
    ':', '2:nan', '1e999', '/a', '~/b', 'on', '\u0662', '9' * 5000, '\0', '../..', 'image_raw',
)  # fmt: skip
CLASS_NAMES = (('lamp', 'box', '1'), ())
_TYPES = {'bool': bool, 'int': int, 'float': float, 'str': str}


def _scalar(reader: ByteReader) -> Any:
    """Read a value of any type."""
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: reader.integer(1, signed=True),
        lambda: reader.integer(8, signed=True),
        reader.number,
        lambda: reader.integer() / 64,
        reader.flag,
        lambda: reader.choice(TEXTS),
        lambda: reader.text('surrogateescape'),
        lambda: None,
        lambda: reader.take(reader.integer() % 5),
        lambda: 1 << reader.integer(2),
        lambda: {reader.text(): 1},
    )
    return reader.choice(kinds)()


def _value(reader: ByteReader, spec: ParameterSpec) -> Any:
    """Read a value: often one that fits, else a value or list of any type."""
    kind = reader.integer() % 4
    if kind == 0 and spec.choices:
        return reader.choice(spec.choices)
    if kind == 1 or (kind == 0 and spec.type.startswith('list')):
        return [_scalar(reader) for _ in range(reader.integer() % 6)]
    if kind == 2:
        return reader.choice((spec.default, spec.minimum, spec.maximum))
    return _scalar(reader)


def _check_value(spec: ParameterSpec, value: Any) -> None:
    """Check type, range and choice of one accepted value."""
    if spec.type.startswith('list['):
        assert isinstance(value, tuple)
        items, kind = value, spec.type[5:-1]
    else:
        items, kind = (value,), spec.type
    for item in items:
        assert type(item) is _TYPES[kind]
        if kind in ('int', 'float'):
            assert math.isfinite(item)
            assert spec.minimum is None or item >= spec.minimum
            assert spec.maximum is None or item <= spec.maximum
        if kind == 'int':
            assert -(2**63) <= item < 2**63, 'no ROS parameter holds it'
        if spec.choices:
            assert item in spec.choices


def check_parameters(data: bytes) -> None:
    """Set a few parameters to any values."""
    reader = ByteReader(data)
    values: dict[Any, Any] = {}
    for _ in range(1 + reader.integer() % 4):
        spec = reader.choice(SPECS)
        name: Any = spec.name if reader.integer() < 250 else _scalar(reader)
        if name.__hash__ is not None:
            values[name] = _value(reader, spec)
    config = attempt(DetectorConfig.from_mapping, values)
    _change(reader, values)
    if config is None:
        return
    for spec in SPECS:
        _check_value(spec, getattr(config, spec.name))
    same = DetectorConfig.from_mapping({s.name: getattr(config, s.name) for s in SPECS})
    assert same == config
    size = config.input_size
    assert size is None or (
        min(size) > 0 and 'x'.join(map(str, size)) == config.input_shape.lower()
    )
    names = reader.choice(CLASS_NAMES)
    options = attempt(decode_options, config, names)
    if options is not None:
        assert 0 <= options.minimum_score <= 1
        assert all(number >= 0 for number in options.classes or ())
        assert not names or all(number < len(names) for number in options.classes or ())


def _change(reader: ByteReader, values: dict[Any, Any]) -> None:
    """Change parameters of a node to the values that a ROS parameter can hold."""
    if Parameter is None:
        return
    changes = []
    for name, value in values.items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(item, int) and item.bit_length() > 63 for item in numbers):
            continue
        try:
            changes.append(Parameter(str(name), value=value))
        except (TypeError, ValueError, AttributeError):
            # rclpy refuses it before the node sees it.
            continue
    present = DetectorConfig() if reader.flag() else None
    config = attempt(check_changes, changes, present)
    if config is not None and present is not None:
        fixed = [spec.name for spec in SPECS if not spec.live]
        assert all(getattr(config, name) == getattr(present, name) for name in fixed)


def check_parameter_file(data: bytes) -> None:
    """Look for mistakes in a parameter file of any content."""
    try:
        from trt_detector.ros.parameter_files import find_unmatched_files, find_unreadable_lists
    except ImportError as error:
        raise RuntimeError('this target needs ROS 2: scripts/fuzz.sh prepares it') from error
    with scratch_files({'detector.yaml': data}) as folder:
        arguments = ['--ros-args', '--params-file', str(folder / 'detector.yaml')]
        sentences = find_unmatched_files(arguments, '/cameras/detector')
        sentences += find_unreadable_lists(arguments)
    for sentence in sentences:
        check_text(sentence)
