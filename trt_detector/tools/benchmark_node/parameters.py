# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the measured nodes, from files and options."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ...config import DetectorConfig
from ...errors import ConfigError, ModelError
from ...process.package_files import find_package_file
from ...values.user_path import expand_user
from ..parameter_file import read_parameter_file

__all__ = ['collect_parameters', 'parse_pairs']

_DEMO_MODEL = 'demo/models/demo_raw.onnx'
# The cameras decide these.
_RESERVED = ('image_topics', 'image_transport', 'autostart')


def collect_parameters(
    files: Iterable[Path], model: str | None, pairs: Iterable[str], *, compressed: bool
) -> dict[str, Any]:
    """
    Collect the parameters of a node; later ones take precedence.

    :param files: parameter files, each for one node.
    :param model: ONNX file or plan; if nothing names one, the demo model.
    :param pairs: as name=value.
    :param compressed: the cameras send compressed images.
    :return: those that are set, checked.
    :raises ConfigError: with all errors.
    :raises ModelError: if the model does not exist, or a file cannot be read.
    """
    values: dict[str, Any] = {}
    for file in files:
        values |= read_parameter_file(file)
    values = {name: value for name, value in values.items() if name not in _RESERVED}
    if model is not None:
        values['model_path'] = model
    values |= parse_pairs(pairs)
    if not values.get('model_path'):
        demo = find_package_file(_DEMO_MODEL)
        if demo is None:
            raise ConfigError(f'{_DEMO_MODEL} is not installed; name a model with --model')
        values['model_path'] = str(demo)
    path = expand_user(values['model_path'])
    if not path.exists():
        raise ModelError(
            f'model_path is {values["model_path"]!r}, which does not exist; name an ONNX file'
        )
    values['model_path'] = str(path.resolve())
    values |= {'image_transport': 'compressed' if compressed else 'raw', 'autostart': True}
    return _check(values)


def parse_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """
    Parse parameters given as name=value, the value as YAML.

    :raises ConfigError: if one has another form, or is set by the cameras.
    """
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition('=')
        if not equals or not name:
            raise ConfigError(f'--param {pair!r} is not NAME=VALUE, e.g. score_threshold=0.5')
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f'--param {pair!r}: the value is not YAML: {error}') from error
    for name in _RESERVED:
        if name in values:
            raise ConfigError(f'--param {name}: the benchmark sets it; use --cameras, --transport')
    return values


def _check(values: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters in their canonical form; an empty list has no type in ROS."""
    config = DetectorConfig.from_mapping(values)
    checked = {name: getattr(config, name) for name in values}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in checked.items()
        if value != ()
    }
