# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Declare and check ROS parameters by a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast, Generic, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..config import DetectorConfig
from ..errors import ConfigError
from ..parameter_spec import check_all, describe_fields, ParameterSpec, suggest

__all__ = ['DETECTOR_PARAMETERS', 'RosParameters']

ConfigT = TypeVar('ConfigT')

_PAIRS = 'class_score_thresholds'

# Declared by rclpy itself or by tools that work with any node.
_FOREIGN_PREFIXES = ('use_sim_time', 'qos_overrides.', 'start_type_description_service')


class RosParameters(Generic[ConfigT]):
    """
    ROS parameters of a node: declared, read and checked by a configuration.

    :param config_type: frozen dataclass of parameter fields, which checks its values.
    """

    def __init__(self, config_type: Callable[..., ConfigT]) -> None:
        self._config_type = config_type
        self.specs = {spec.name: spec for spec in describe_fields(config_type)}

    def declare(self, node: Node) -> None:
        """Declare every parameter."""
        for spec in self.specs.values():
            default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
            node.declare_parameter(spec.name, default, _describe(spec))

    def read(self, node: Node) -> ConfigT:
        """
        Read the parameters of a node.

        :raises ConfigError: with every value that is invalid.
        """
        parameters = node.get_parameters(list(self.specs))
        pairs = [parameter for parameter in parameters if parameter.name == _PAIRS]
        others = [parameter for parameter in parameters if parameter.name != _PAIRS]
        # Numbers there are an error before the values are checked together.
        check_all(
            (
                lambda: self._changes_from(pairs),
                lambda: self._config_type(**self._changes_from(others)),
            )
        )
        return self._config_type(**self._changes_from(parameters))

    def read_one(self, node: Node, name: str) -> Any:
        """
        Read one parameter of a node.

        :raises ConfigError: if its value is invalid.
        """
        changes = self._changes_from([node.get_parameter(name)])
        return getattr(self._config_type(**changes), name)

    def find_unknown_overrides(self, node: Node) -> list[str]:
        """Write a sentence about every given parameter that does not exist or has no value."""
        # No release of rclpy has a public way to see overrides that were never declared.
        given = getattr(node, '_parameter_overrides', {})
        unknown = [
            f'parameter {name!r} is unknown and has no effect{suggest(name, self.specs)}'
            for name in given
            if name not in self.specs and not name.startswith(_FOREIGN_PREFIXES)
        ]
        # ROS cannot tell the type of an empty list.
        empty = [
            f'{name} is an empty list, which ROS reads as not set: it is '
            f'{list(self.specs[name].default)}, the default'
            for name, parameter in given.items()
            if name in self.specs
            and parameter.value is None
            and self.specs[name].default
            and self.specs[name].type.startswith('list[')
        ]
        return unknown + empty

    def check_changes(self, parameters: Sequence[Parameter], present: ConfigT | None) -> ConfigT:
        """
        Check a change of parameters, and return the configuration with it.

        :param present: configuration of a configured node, in which only live parameters can
            change; None if every parameter can.
        :raises ConfigError: if a value is invalid, deleted or fixed.
        """
        changes = self._changes_from(parameters)
        for parameter in parameters:
            if parameter.name in changes and parameter.type_ == Parameter.Type.NOT_SET:
                raise ConfigError(f'{parameter.name} cannot be deleted')
        if present is None:
            return self._config_type(**changes)
        config: Any = replace(cast('Any', present), **changes)
        changed = [name for name in changes if getattr(config, name) != getattr(present, name)]
        fixed = sorted(name for name in changed if not self.specs[name].live)
        if fixed:
            live = ', '.join(spec.name for spec in self.specs.values() if spec.live)
            raise ConfigError(
                f'{", ".join(fixed)} cannot change while the node is configured: deactivate and '
                f'clean up first, then set and configure again; these can change now: {live}'
            )
        return cast('ConfigT', config)

    def _changes_from(self, parameters: Iterable[Parameter]) -> dict[str, Any]:
        """
        Convert the known parameters to names and values to be checked.

        A parameter without a value gets its default.

        :raises ConfigError: if class_score_thresholds holds numbers.
        """
        return {
            parameter.name: _plain(self.specs[parameter.name], parameter.value)
            for parameter in parameters
            if parameter.name in self.specs
        }


DETECTOR_PARAMETERS = RosParameters(DetectorConfig)
"""Parameters of the detector node."""


def _describe(spec: ParameterSpec) -> ParameterDescriptor:
    """Describe a parameter for `ros2 param describe`."""
    descriptor = ParameterDescriptor()
    unit = f' [{spec.unit}]' if spec.unit else ''
    descriptor.description = f'{spec.meaning}{unit}'
    # DetectorConfig checks the values: with static types or ranges rclpy would end the process on
    # `score_threshold: 1` in a parameter file, and it cannot infer the type of an empty list.
    descriptor.dynamic_typing = True
    if spec.choices:
        descriptor.additional_constraints = f'One of: {", ".join(spec.choices)}'
    elif spec.minimum is not None and spec.maximum is not None:
        descriptor.additional_constraints = f'{spec.minimum:.10g} to {spec.maximum:.10g}'
    elif spec.minimum is not None:
        descriptor.additional_constraints = f'{spec.minimum:.10g} or more'
    return descriptor


def _plain(spec: ParameterSpec, value: Any) -> Any:
    """Convert the value of a parameter for the configuration."""
    if value is None:
        return spec.default
    if not spec.type.startswith('list['):
        return value
    if spec.name == _PAIRS:
        _check_pairs(value)
    if spec.type == 'list[str]' and not isinstance(value, str) and hasattr(value, '__iter__'):
        # `classes: [0, 2]` in a file is a list of numbers.
        return [str(item) if type(item) is int else item for item in value]
    return value


def _check_pairs(value: Any) -> None:
    """
    Refuse numbers in class_score_thresholds with the usual reason.

    :raises ConfigError: if an item is a number.
    """
    items = value if hasattr(value, '__iter__') else [value]
    for item in items:
        if isinstance(item, int | float):
            raise ConfigError(
                f'class_score_thresholds holds the number {item}; expected texts of the form '
                "number:score; YAML reads 2:30 as a number to the base 60: write '2:0.3' in quotes"
            )
