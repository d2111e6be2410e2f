# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the precision of a build, and set its builder flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config import DetectorConfig
from ...errors import ConfigError
from ...model_info import ModelInfo
from ...quantize import CalibrationCache, read_calibration_cache
from ...values.user_path import expand_user
from ..library import TensorRTLibrary

__all__ = ['PrecisionChoice', 'choose_precision', 'set_precision_flags']


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """
    Precision to build.

    :param precision: 'fp32', 'fp16' or 'int8'.
    :param cache: scales for 'int8', None if the model has Q/DQ nodes.
    :param notes: sentences for the user.
    :param exclude: patterns of nodes that INT8 leaves in floating point.
    :param allows_tf32: whether FP32 layers may run in TF32; not those that FP16 and INT8 leave in
        FP32, which need its precision.
    """

    precision: str
    cache: CalibrationCache | None = None
    notes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allows_tf32: bool = False

    @property
    def cache_sha256(self) -> str:
        """Return the hash of the calibration cache, '' if there is none."""
        return '' if self.cache is None else self.cache.sha256


def choose_precision(
    config: DetectorConfig, model: ModelInfo, *, fast_fp16: bool
) -> PrecisionChoice:
    """
    Choose the precision from the parameters, the model and the device.

    :param config: the parameters.
    :param model: the ONNX file.
    :param fast_fp16: whether the device is faster at FP16 than at FP32.
    :raises ConfigError: if int8 is requested without a calibration cache.
    :raises CalibrationCacheError: if the cache file exists and cannot be read.
    """
    wanted = config.precision
    text = config.calib_cache_path
    path = expand_user(text) if text else None
    if model.precision == 'int8':
        return PrecisionChoice('int8', notes=_quantized_notes(wanted, path, model))
    if model.precision == 'fp16' and wanted != 'int8':
        note = f'precision is fp32, but {model.path.name} has FP16 weights: it runs in FP16'
        return PrecisionChoice('fp16', notes=(note,) if wanted == 'fp32' else ())
    notes: tuple[str, ...] = ()
    if wanted == 'auto':
        if path is not None and path.is_file():
            wanted = 'int8'
        else:
            wanted = 'fp16' if fast_fp16 else 'fp32'
            if path is not None:
                note = (
                    f'calib_cache_path {text!r} does not exist, so the engine is '
                    f'{wanted.upper()}, not INT8; create the file with "ros2 run trt_detector '
                    'calibrate", or leave the parameter empty'
                )
                notes = (note,)
    elif wanted == 'int8' and path is None:
        raise ConfigError(
            "precision is 'int8', but calib_cache_path is empty and the model has no Q/DQ nodes; "
            'create a calibration cache with "ros2 run trt_detector calibrate" and set it'
        )
    if wanted != 'int8' or path is None:
        return PrecisionChoice(
            wanted, notes=notes, allows_tf32=(config.precision, wanted) == ('auto', 'fp32')
        )
    cache = read_calibration_cache(path)
    return PrecisionChoice('int8', cache, notes, config.quantize_exclude)


def _quantized_notes(wanted: str, path: Path | None, model: ModelInfo) -> tuple[str, ...]:
    """Make the notes for a model that has Q/DQ nodes."""
    notes = []
    if wanted not in ('auto', 'int8'):
        notes.append(
            f'precision is {wanted}, but {model.path.name} is quantized (it has Q/DQ nodes): it '
            'runs in INT8'
        )
    if path is not None:
        notes.append(
            f'calib_cache_path is not used: {model.path.name} has Q/DQ nodes with its own scales'
        )
    return tuple(notes)


def set_precision_flags(library: TensorRTLibrary, builder_config: Any, precision: str) -> None:
    """
    Set the precision flags of TensorRT up to 10; INT8 includes FP16.

    :raises BackendUnavailableError: if this version does not have the flag.
    """
    if precision in ('fp16', 'int8'):
        builder_config.set_flag(library.enum('BuilderFlag', 'FP16'))
    if precision == 'int8':
        builder_config.set_flag(library.enum('BuilderFlag', 'INT8'))
