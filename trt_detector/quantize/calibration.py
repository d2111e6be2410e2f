# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration cache and calibration report of a run, from its histograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path

from ..errors import CalibrationCacheError
from ..trusted_files import write_atomic
from .calibration_cache import cache_version_number, CalibrationCache
from .histogram import MagnitudeHistogram
from .thresholds import DEFAULT_PERCENTILE, METHODS, range_of

__all__ = [
    'CalibrationMethod',
    'gate_folder',
    'make_cache',
    'report_path',
    'write_calibration',
]

_LEVELS = 127
# Calibration files are copied between users and machines.
_READABLE = 0o644


@dataclass(frozen=True, slots=True)
class CalibrationMethod:
    """
    Method that chooses the range of a tensor.

    :param name: 'entropy', 'minmax' or 'percentile'.
    :param percentile: minimum share of the values that stay in range, 0 to 100.
    :raises CalibrationCacheError: if the method is unknown or the percentile is out of range.
    """

    name: str
    percentile: float = DEFAULT_PERCENTILE

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise CalibrationCacheError(
                f'method is {self.name!r}; expected one of {", ".join(METHODS)}'
            )
        minimum = 50 if self.name == 'percentile' else 0
        if not minimum <= self.percentile <= 100:
            raise CalibrationCacheError(
                f'percentile is {self.percentile}; expected {minimum} to 100 for {self.name}'
            )


def make_cache(
    histograms: Mapping[str, MagnitudeHistogram],
    method: CalibrationMethod,
    tensorrt_version: str,
) -> CalibrationCache:
    """
    Choose the range of each tensor and return the calibration cache.

    The format has no name for the percentile method; its caches name the entropy calibrator.

    :param tensorrt_version: version in the header, e.g. '10.3.0'.
    :raises CalibrationCacheError: if nothing was counted, or the version is malformed.
    """
    counted = {name: h for name, h in histograms.items() if h.counts.any()}
    if not counted:
        raise CalibrationCacheError('no picture was calibrated; name an input with pictures')
    algorithm = 'MinMaxCalibration' if method.name == 'minmax' else 'EntropyCalibration2'
    number = cache_version_number(tensorrt_version)
    scales = {
        name: range_of(histogram, method.name, method.percentile) / _LEVELS
        for name, histogram in counted.items()
    }
    return CalibrationCache(f'TRT-{number}-{algorithm}', scales)


def report_path(cache_path: Path) -> Path:
    """Return the path of the calibration report beside a cache."""
    return cache_path.with_name(cache_path.name + '.json')


def gate_folder(cache_path: Path) -> Path:
    """Return the folder beside a cache that keeps the frames of the INT8 check."""
    return cache_path.with_name(cache_path.name + '.frames')


def write_calibration(path: Path, cache: CalibrationCache, report: Mapping[str, object]) -> None:
    """
    Write a cache and its calibration report, each in one step.

    :param report: entries of the calibration report, ready for JSON.
    :raises CalibrationCacheError: if they cannot be written.
    """
    text = json.dumps({**report, 'cache_sha256': cache.sha256}, indent=1) + '\n'
    for target, data in ((path, cache.to_bytes()), (report_path(path), text.encode())):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(target, data, mode=_READABLE)
        except OSError as error:
            raise CalibrationCacheError(
                f'{target} cannot be written: {error.strerror or error}; name another --output'
            ) from error
