# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From the histograms of a calibration run to the cache and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path

from ..errors import CalibrationCacheError
from .calibration_cache import cache_version_number, CalibrationCache
from .histogram import MagnitudeHistogram
from .thresholds import DEFAULT_PERCENTILE, METHODS, range_of

__all__ = [
    'CalibrationMethod',
    'gate_folder',
    'make_cache',
    'sidecar_path',
    'write_calibration',
]

_LEVELS = 127


@dataclass(frozen=True, slots=True)
class CalibrationMethod:
    """
    How ranges are chosen.

    :param name: 'entropy', 'minmax' or 'percentile'.
    :param percentile: share of the values that stay in range at least, 0 to 100.
    :raises CalibrationCacheError: if one of them cannot be used.
    """

    name: str = 'entropy'
    percentile: float = DEFAULT_PERCENTILE

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise CalibrationCacheError(
                f'method is {self.name!r}; expected one of {", ".join(METHODS)}'
            )
        least = 50 if self.name == 'percentile' else 0
        if not least <= self.percentile <= 100:
            raise CalibrationCacheError(
                f'percentile is {self.percentile}; expected {least} to 100 for {self.name}'
            )


def make_cache(
    histograms: Mapping[str, MagnitudeHistogram],
    method: CalibrationMethod,
    tensorrt_version: str,
) -> CalibrationCache:
    """
    Return the calibration cache of a run.

    The format knows no percentile: such a cache bears the name of the entropy calibrator.

    :param tensorrt_version: for the header, '10.3.0' say.
    :raises CalibrationCacheError: if nothing was counted, or the version is not one.
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


def sidecar_path(cache_path: Path) -> Path:
    """Return the file beside a cache that says how it was made."""
    return cache_path.with_name(cache_path.name + '.json')


def gate_folder(cache_path: Path) -> Path:
    """Return the folder beside a cache that keeps frames to check INT8 with."""
    return cache_path.with_name(cache_path.name + '.frames')


def write_calibration(path: Path, cache: CalibrationCache, facts: Mapping[str, object]) -> None:
    """
    Write a cache and its sidecar, each in one step.

    :param facts: for the sidecar, ready for JSON.
    :raises CalibrationCacheError: if they cannot be written.
    """
    text = json.dumps({**facts, 'cache_sha256': cache.sha256}, indent=1) + '\n'
    for target, data in ((path, cache.to_bytes()), (sidecar_path(path), text.encode())):
        partial = target.with_name(target.name + '.part')
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(target)
        except OSError as error:
            raise CalibrationCacheError(
                f'{target} cannot be written: {error.strerror or error}; name another --output'
            ) from error
