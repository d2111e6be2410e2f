# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the detector as command-line options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..config import parameter_specs
from ..regions.parameters import RegionParameters
from ..tracking.parameters import TrackerParameters

__all__ = [
    'ENGINE_PARAMETERS',
    'INPUT_PARAMETERS',
    'REGION_PARAMETERS',
    'SELECTION_PARAMETERS',
    'TRACKER_PARAMETERS',
    'add_parameter_options',
    'given_parameters',
]

ENGINE_PARAMETERS = (
    'backend',
    'precision',
    'calib_cache_path',
    'engine_cache_dir',
    'device_id',
    'onnxruntime_provider',
    'inference_threads',
    'inference_spinning',
    'batch_size',
    'tiling',
    'tile_overlap',
)
"""Parameters of the engine of tools that detect, and of the batches that it gets."""

SELECTION_PARAMETERS = (
    'score_threshold',
    'iou_threshold',
    'max_detections',
    'classes',
    'class_score_thresholds',
    'class_names',
    'class_map',
)
"""Parameters of what tools that detect report."""


INPUT_PARAMETERS = (
    'input_shape',
    'head',
    'outputs',
    'anchors',
    'boxes',
    'scores',
    'preprocess_preset',
    'resize_mode',
    'letterbox_anchor',
    'pad_value',
    'input_scale',
    'input_mean',
    'input_std',
    'color_order',
)
"""Parameters of preprocessing and of the head."""

REGION_PARAMETERS = tuple(name for name in RegionParameters.__annotations__ if name != 'class_map')
"""Parameters of where objects are reported, and of which size."""

TRACKER_PARAMETERS = tuple(TrackerParameters.__annotations__)
"""Parameters of tracks."""

_TYPES: dict[str, Any] = {'int': int, 'float': float, 'str': str}


def add_parameter_options(
    parser: argparse.ArgumentParser, names: Sequence[str], *, without: Sequence[str] = ()
) -> None:
    """
    Add an option per parameter, e.g. '--score-threshold' for score_threshold.

    A switch gets two, e.g. '--cuda-graph' and '--no-cuda-graph'.

    :param names: of the parameters.
    :param without: choices that this program does not support.
    """
    for spec in parameter_specs():
        if spec.name not in names:
            continue
        name = '--' + spec.name.replace('_', '-')
        if spec.type == 'bool':
            parser.add_argument(
                name, action=argparse.BooleanOptionalAction, default=None, help=spec.meaning
            )
            continue
        is_list = spec.type.startswith('list[')
        unit = f' {spec.unit}' if spec.unit else ''
        default = 'none' if spec.default in ('', ()) else f'{spec.default}{unit}'
        parser.add_argument(
            name,
            type=_TYPES[spec.type[5:-1] if is_list else spec.type],
            nargs='*' if is_list else None,
            choices=[choice for choice in spec.choices if choice not in without] or None,
            default=None,
            help=f'{spec.meaning} Default: {default}.'.replace('%', '%%'),
        )


def given_parameters(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Return names and unchecked values of the parameters that were given."""
    given = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}
