# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Read parameter files of ROS without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..model_info.text_files import read_yaml

__all__ = ['read_parameter_file']

_PARAMETERS = 'ros__parameters'
_OF_ROS = ('use_sim_time', 'qos_overrides', 'start_type_description_service')


def read_parameter_file(file: Path) -> dict[str, Any]:
    """
    Read a parameter file of ROS for one node.

    :return: the parameters by name, unchecked, without those that every node has.
    :raises ConfigError: if it has parameters for several nodes, or none.
    """
    sections = dict(_list_sections(read_yaml(file)[0]))
    names = [name for name in sections if name.strip('/*')]
    if len(names) > 1 or not sections:
        found = ', '.join(names) or 'no node'
        raise ConfigError(f'{file} has parameters for {found}; expected one node, or /**')
    values: dict[str, Any] = {}
    for name in sorted(sections, key=lambda name: bool(name.strip('/*'))):
        values |= sections[name]
    return {
        name: value
        for name, value in values.items()
        if name not in _OF_ROS
    }  # fmt: skip


def _list_sections(tree: Any, prefix: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and parameters of every node; namespaces may be nested keys."""
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        name = f'{prefix}/{str(key).strip("/")}'
        if isinstance(value, dict) and isinstance(value.get(_PARAMETERS), dict):
            yield name, value[_PARAMETERS]
        if key != _PARAMETERS:
            yield from _list_sections(value, name)
