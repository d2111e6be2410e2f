# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrator that provides an existing calibration cache to TensorRT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...quantize import CalibrationCache
from ..library import TensorRTLibrary

__all__ = ['CacheService', 'make_calibrator']


class CacheService:
    """
    Calibration cache with a header that TensorRT accepts, and the record of its use.

    TensorRT silently ignores a cache whose header has another version or algorithm, and asks for
    images instead. Scales do not depend on the version, so the header is rewritten.

    :param library: the library that reads it.
    :param cache: the scales.
    """

    def __init__(self, library: TensorRTLibrary, cache: CalibrationCache) -> None:
        header = f'TRT-{library.cache_version}-EntropyCalibration2'
        self.data = replace(cache, header=header).to_bytes()
        self.note = ''
        if cache.header != header:
            self.note = (
                f'{cache.header} rewritten to {header}: scales do not depend on the version'
            )
        self.was_read = False
        self.asked_for_batch = False


def make_calibrator(library: TensorRTLibrary, service: CacheService) -> Any:
    """Create an IInt8EntropyCalibrator2 for a cache; the caller keeps it alive."""
    base: Any = library.trt.IInt8EntropyCalibrator2

    class _CacheCalibrator(base):
        def __init__(self) -> None:
            # pybind11 trampoline: without this call the first callback crashes.
            base.__init__(self)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: Sequence[str]) -> None:  # noqa: ARG002 - name given by TensorRT
            # Called only if TensorRT rejected the cache. None ends the calibration; the plan
            # would be quantized without scales, so it is discarded.
            service.asked_for_batch = True

        def read_calibration_cache(self) -> bytes:
            service.was_read = True
            return service.data

        def write_calibration_cache(self, cache: Any) -> None:
            # TensorRT writes back the cache that it read.
            pass

    return _CacheCalibrator()
