# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Options of build_engine."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
import re

from ...config import DetectorConfig
from ...errors import ConfigError
from ..argument_types import parse_path
from ..command_line import add_json_option
from ..options import add_parameter_options, given_parameters

__all__ = ['BuildJob', 'add_options', 'read_job']

_NAMES = (
    'backend',
    'device_id',
    'precision',
    'calib_cache_path',
    'quantize_exclude',
    'int8_gate_images',
    'int8_min_agreement',
    'int8_gate_action',
    'engine_cache_dir',
    'plan_key_path',
    'workspace_fraction',
    'batch_size',
    'min_shape',
    'opt_shape',
    'input_shape',
    'max_shape',
    'dla_core',
    'plugin_libraries',
)


@dataclass(frozen=True, slots=True)
class BuildJob:
    """
    Engine to build.

    :param config: the parameters; model_path is the ONNX file.
    :param output: file for a copy of the engine, None for the engine folder only.
    :param compute_capability: (major, minor) of another GPU to build for, None for this machine's.
    :param portable: build for the lean runtime of the same version of TensorRT.
    :param any_ampere: build for every GPU since Ampere.
    """

    config: DetectorConfig
    output: Path | None
    compute_capability: tuple[int, int] | None
    portable: bool
    any_ampere: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options; those of the engine come from the detector's parameters."""
    parser.add_argument(
        '--model', '--model-path', required=True, type=Path, help='ONNX file of the detector'
    )
    parser.add_argument(
        '--output',
        type=parse_path,
        metavar='FILE',
        help='write a copy of the engine to this file',
    )
    parser.add_argument(
        '--compute-capability',
        type=_capability,
        metavar='MAJOR.MINOR',
        help='build for this kind of GPU, which need not be in this machine (TensorRT for RTX '
        'only; needs --output)',
    )
    parser.add_argument(
        '--portable',
        action='store_true',
        help='build an engine that the lean runtime (backend tensorrt_lean) of the same version '
        'of TensorRT can run; needs --output',
    )
    parser.add_argument(
        '--any-ampere',
        action='store_true',
        help='with --portable: build an engine for every GPU since Ampere, not only for the kind '
        'of this machine; it can be slower',
    )
    add_json_option(parser)
    add_parameter_options(parser, _NAMES, without=['onnxruntime', 'tensorrt_lean'])


def _capability(text: str) -> tuple[int, int]:
    """Return (major, minor) of '8.6'."""
    match = re.fullmatch(r'(\d+)\.(\d)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not a compute capability like 8.6')
    return (int(match[1]), int(match[2]))


def read_job(arguments: argparse.Namespace) -> BuildJob:
    """
    Read the options, and refuse those that contradict each other.

    :raises ConfigError: with the options; the model and the machine are not looked at.
    """
    given = given_parameters(arguments, _NAMES)
    config = DetectorConfig.from_mapping({'model_path': str(arguments.model), **given})
    if arguments.any_ampere and not arguments.portable:
        raise ConfigError('--any-ampere needs --portable')
    if arguments.portable:
        _check_portable(arguments, config)
    if arguments.output is None and (arguments.portable or arguments.compute_capability):
        option = '--portable' if arguments.portable else '--compute-capability'
        raise ConfigError(
            f'{option} needs --output: the engine folder is only for the GPU and the TensorRT of '
            'this machine'
        )
    return BuildJob(
        config,
        arguments.output,
        arguments.compute_capability,
        arguments.portable,
        arguments.any_ampere,
    )


def _check_portable(arguments: argparse.Namespace, config: DetectorConfig) -> None:
    """
    Refuse options that do not go with --portable.

    :raises ConfigError: with the option and the remedy.
    """
    if arguments.compute_capability is not None:
        raise ConfigError(
            '--portable builds for the GPU of this machine; leave out --compute-capability, or '
            'use --any-ampere for other GPUs'
        )
    if config.backend not in ('auto', 'tensorrt'):
        raise ConfigError(
            f'backend is {config.backend}, but only tensorrt builds portable plans; set backend '
            'to tensorrt'
        )
    if config.plugin_libraries:
        raise ConfigError(
            f'plugin_libraries is {list(config.plugin_libraries)}, but a portable plan cannot use '
            'plugin libraries; export the model without their operators'
        )
    if config.dla_core >= 0:
        raise ConfigError(
            f'dla_core is {config.dla_core}, but a portable plan runs on the GPU only; set it to '
            '-1'
        )
