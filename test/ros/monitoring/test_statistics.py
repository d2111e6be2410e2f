# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the statistics of a session."""

from __future__ import annotations

import pytest
from trt_detector.ros.monitoring import statistics as statistics_module
from trt_detector.ros.monitoring.statistics import SessionStatistics


def test_percentiles_of_a_stage() -> None:
    statistics = SessionStatistics(1)
    for value in range(101):
        statistics.add_times({'infer': float(value)})
    assert statistics.percentiles_ms() == {'infer': (50.0, 95.0, 99.0)}


def test_recent_age_is_that_of_an_image_and_forgets_old_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 100.0
    monkeypatch.setattr(statistics_module.time, 'monotonic', lambda: now_s)
    statistics = SessionStatistics(2)
    assert statistics.recent_age_ms(0, 10.0) is None
    for age_ms in (-4e9, 6e9):
        statistics.add_age(0, age_ms)
    assert statistics.recent_age_ms(0, 10.0) in (-4e9, 6e9)
    assert statistics.recent_age_ms(1, 10.0) is None
    now_s = 111.0
    assert statistics.recent_age_ms(0, 10.0) is None
    statistics.add_age(0, 3.0)
    assert statistics.recent_age_ms(0, 10.0) == 3.0
