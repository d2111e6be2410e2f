# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A calibrator that has the answers already: it serves a calibration cache and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...quantize import CalibrationCache
from ..library import TensorRTLibrary

__all__ = ['CacheService', 'make_calibrator']


class CacheService:
    """
    A cache under the header that a TensorRT accepts, and what TensorRT did with it.

    A TensorRT that finds another version or algorithm in the header ignores the file without a
    word and asks for images. The scales themselves have no version, so the header is rewritten.

    :param library: the TensorRT that will read it.
    :param cache: the scales.
    """

    def __init__(self, library: TensorRTLibrary, cache: CalibrationCache) -> None:
        header = f'TRT-{library.cache_version}-EntropyCalibration2'
        self.data = replace(cache, header=header).to_bytes()
        self.note = ''
        if cache.header != header:
            self.note = f'{cache.header} rewritten to {header}: scales have no version'
        self.was_read = False
        self.asked_for_batch = False


def make_calibrator(library: TensorRTLibrary, service: CacheService) -> Any:
    """Return an IInt8EntropyCalibrator2 that serves a cache; the caller keeps it alive."""
    base: Any = library.trt.IInt8EntropyCalibrator2

    class _CacheCalibrator(base):
        def __init__(self) -> None:
            # A trampoline class: without its own constructor the first call crashes.
            base.__init__(self)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: Sequence[str]) -> None:  # noqa: ARG002 - TensorRT names it
            # Reached only if TensorRT refused the cache. None ends the calibration; the build
            # that follows would quantize with no scales at all, so it is thrown away.
            service.asked_for_batch = True

        def read_calibration_cache(self) -> bytes:
            service.was_read = True
            return service.data

        def write_calibration_cache(self, cache: Any) -> None:
            # What TensorRT writes back is what it read.
            pass

    return _CacheCalibrator()
