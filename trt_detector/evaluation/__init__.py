# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Measure detectors on data sets: mean average precision, latency, size, and differences."""

from __future__ import annotations

__all__: list[str] = []
