# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters made from, and checked by, :mod:`trt_detector.config`."""

from __future__ import annotations

from collections.abc import Iterable
import difflib
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..config import DetectorConfig, parameter_specs, ParameterSpec
from ..errors import ConfigError

__all__ = [
    'changes_from',
    'declare_parameters',
    'find_unknown_overrides',
    'read_config',
    'refuse_fixed',
]

_SPECS = {spec.name: spec for spec in parameter_specs()}

# Declared by rclpy itself or by tools that work on any node.
_FOREIGN_PREFIXES = ('use_sim_time', 'qos_overrides.', 'start_type_description_service')


def declare_parameters(node: Node) -> None:
    """Declare every parameter of the detector on a node."""
    for spec in _SPECS.values():
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        node.declare_parameter(spec.name, default, _describe(spec))


def read_config(node: Node) -> DetectorConfig:
    """
    Return the node's parameters.

    :raises ConfigError: if one of them cannot be used.
    """
    parameters = node.get_parameters(list(_SPECS))
    return DetectorConfig.from_mapping(changes_from(parameters))


def changes_from(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """
    Return names and values of those parameters that are the detector's, ready to be checked.

    A parameter that has no value gets its default.
    """
    return {
        parameter.name: _plain(_SPECS[parameter.name], parameter.value)
        for parameter in parameters
        if parameter.name in _SPECS
    }


def find_unknown_overrides(node: Node) -> list[str]:
    """Return a sentence for every value that was given for a parameter that does not exist."""
    # rclpy has no public way to see overrides that were never declared, in any release so far.
    given = getattr(node, '_parameter_overrides', {})
    sentences = []
    for name in given:
        if name in _SPECS or name.startswith(_FOREIGN_PREFIXES):
            continue
        near = difflib.get_close_matches(name, _SPECS, n=1)
        hint = f'; did you mean {near[0]!r}?' if near else ''
        sentences.append(f'parameter {name!r} is given but not known and has no effect{hint}')
    return sentences


def refuse_fixed(changes: Iterable[str]) -> None:
    """
    Refuse to change what a configured node cannot change.

    :raises ConfigError: naming the parameters and what to do.
    """
    fixed = [name for name in changes if not _SPECS[name].live]
    if fixed:
        live = ', '.join(spec.name for spec in _SPECS.values() if spec.live)
        raise ConfigError(
            f'{", ".join(fixed)} cannot change while the node is configured: deactivate and '
            f'clean up first, then set it and configure again; these can change now: {live}'
        )


def _describe(spec: ParameterSpec) -> ParameterDescriptor:
    """Return what `ros2 param describe` shows."""
    descriptor = ParameterDescriptor()
    unit = f' [{spec.unit}]' if spec.unit else ''
    descriptor.description = f'{spec.meaning}{unit}'
    # The checks are the configuration's own: with static types or ranges rclpy would end the
    # process on `score_threshold: 1` in a parameter file, and it cannot type an empty list.
    descriptor.dynamic_typing = True
    if spec.choices:
        descriptor.additional_constraints = f'One of: {", ".join(spec.choices)}'
    elif spec.minimum is not None and spec.maximum is not None:
        descriptor.additional_constraints = f'{spec.minimum:g} to {spec.maximum:g}'
    elif spec.minimum is not None:
        descriptor.additional_constraints = f'{spec.minimum:g} or more'
    return descriptor


def _plain(spec: ParameterSpec, value: Any) -> Any:
    """Return a parameter's value as the configuration takes it."""
    if value is None:
        return spec.default
    if not spec.type.startswith('list['):
        return value
    if spec.type == 'list[str]' and not isinstance(value, str) and hasattr(value, '__iter__'):
        # `classes: [0, 2]` in a file is a list of numbers.
        return [str(item) if type(item) is int else item for item in value]
    return value
