# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the statistics of a session."""

from __future__ import annotations

from trt_detector.ros.statistics import SessionStatistics


def test_percentiles_of_a_stage() -> None:
    statistics = SessionStatistics(1)
    for value in range(101):
        statistics.add_times({'infer': float(value)})
    assert statistics.percentiles_ms() == {'infer': (50.0, 95.0, 99.0)}
