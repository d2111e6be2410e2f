# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""INT8 and FP16 of an ONNX network: calibration cache, Q/DQ nodes, conversion."""

from __future__ import annotations

from .calibration_cache import (
    cache_version_number,
    CalibrationCache,
    parse_calibration_cache,
    read_calibration_cache,
)

__all__ = [
    'CalibrationCache',
    'cache_version_number',
    'parse_calibration_cache',
    'read_calibration_cache',
]
