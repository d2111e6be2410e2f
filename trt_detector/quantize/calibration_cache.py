# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's INT8 calibration cache: one scale a tensor, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ['CalibrationCache', 'parse_calibration_cache', 'read_calibration_cache']


@dataclass(frozen=True, slots=True)
class CalibrationCache:
    """
    The scales of a network's tensors.

    :param header: first line of the file, 'TRT-101401-EntropyCalibration2', say.
    :param scales: tensor name to scale (largest magnitude / 127), in the order of the file.
    """

    header: str
    scales: Mapping[str, float]

    @property
    def algorithm(self) -> str:
        """Return the name of the calibrator, 'EntropyCalibration2', say."""
        raise NotImplementedError

    @property
    def version_text(self) -> str:
        """Return the version in the header as people write it: '10.14.1'."""
        raise NotImplementedError

    @property
    def version_number(self) -> int:
        """Return the version in the header as TensorRT writes it: 101401."""
        raise NotImplementedError

    @property
    def sha256(self) -> str:
        """Return the hash of the scales' file."""
        raise NotImplementedError

    def with_version(self, version_number: int) -> CalibrationCache:
        """Return the same scales under the header of another TensorRT (scales have no version)."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the file that TensorRT reads."""
        raise NotImplementedError

    def matching(self, names: Iterable[str]) -> CalibrationCache:
        """Return only the entries of these tensors."""
        raise NotImplementedError


def read_calibration_cache(path: Path) -> CalibrationCache:
    """
    Read a calibration cache file.

    :raises CalibrationCacheError: if it cannot be read or is not one.
    """
    raise NotImplementedError


def parse_calibration_cache(data: bytes) -> CalibrationCache:
    """
    Read the text of a calibration cache.

    :raises CalibrationCacheError: with the number of the line and the reason.
    """
    raise NotImplementedError
