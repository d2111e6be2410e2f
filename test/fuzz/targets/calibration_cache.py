# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Target: INT8 calibration caches."""

from __future__ import annotations

import math
import struct

from trt_detector.quantize import parse_calibration_cache

from ..invariants import attempt


def check_calibration_cache(data: bytes) -> None:
    """Read the text of a calibration cache, and write it again."""
    cache = attempt(parse_calibration_cache, data)
    if cache is None:
        return
    lines = [line for line in data.split(b'\n') if line.strip()]
    assert len(cache.scales) == len(lines) - 1
    for line, (name, scale) in zip(lines[1:], cache.scales.items(), strict=True):
        digits = line.rpartition(b':')[2].strip().decode()
        assert struct.pack('>f', scale) == bytes.fromhex(digits.zfill(8))
        assert math.isfinite(scale)
        assert scale >= 0
        assert name.encode() in line
    written = cache.to_bytes()
    assert parse_calibration_cache(written) == cache
    assert cache.matching(list(cache.scales)[:1]).scales.keys() == set(list(cache.scales)[:1])
