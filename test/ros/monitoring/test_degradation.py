# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test baselines and slow stages with injected times."""

from __future__ import annotations

import pytest
from trt_detector.ros.monitoring import degradation
from trt_detector.ros.monitoring.degradation import DegradationWatch

NORMAL = {'preprocess': 4.0, 'infer': 10.0, 'decode': 0.2, 'publish': 0.2}


class Bench:
    """A watch under a clock that moves only by :meth:`run`, eight images per second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, window_s: float = 10.0) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(degradation.time, 'monotonic', lambda: self.now_s)
        self.watch = DegradationWatch(window_s, 1.5)
        self.slow: list[str] = []

    def run(self, seconds: int, images: int = 1, pixels: int = 100, **times_ms: float) -> None:
        for _ in range(seconds):
            for _ in range(8):
                self.now_s += 0.125
                self.watch.add({**NORMAL, **times_ms}, images, pixels)
            self.slow = [each.stage for each in self.watch.judge()]


def test_slow_stage_is_reported_after_the_window_and_cleared_after_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)
    bench.run(12)
    assert bench.watch.baselines_ms() == NORMAL
    bench.run(30)
    assert bench.slow == []
    bench.run(9, infer=16.0)
    assert bench.slow == []
    bench.run(1, infer=16.0)
    assert bench.slow == ['infer']
    (slow,) = bench.watch.judge()
    assert (slow.p95_ms, slow.baseline_ms) == (16.0, 10.0)
    bench.run(9)
    assert bench.slow == ['infer']
    bench.run(1)
    assert bench.slow == []


@pytest.mark.parametrize(
    'times_ms',
    [{'infer': 14.9}, {'decode': 0.9}, {'publish': 1.1}],
    ids=['below the factor', 'four times of little', 'less than one more millisecond'],
)
def test_small_changes_are_no_slowdown(
    times_ms: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(monkeypatch)
    bench.run(12)
    bench.run(40, **times_ms)
    assert bench.slow == []


def test_short_slowdowns_are_not_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.run(12)
    for _ in range(10):
        bench.run(8, infer=30.0)
        bench.run(1)
        assert bench.slow == []


def test_pause_of_the_images_is_no_part_of_a_slowdown(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.run(12)
    bench.run(1, infer=30.0)
    for _ in range(20):
        bench.now_s += 1.0
        assert bench.watch.judge() == []
    bench.run(9, infer=30.0)
    assert bench.slow == []
    bench.run(1, infer=30.0)
    assert bench.slow == ['infer']


def test_slow_images_of_a_slow_camera_are_one_slowdown(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.run(12)
    # One image in three seconds, and a judgment per second.
    for second in range(13):
        bench.now_s += 1.0
        if second % 3 == 0:
            bench.watch.add({**NORMAL, 'infer': 30.0}, 1, 100)
        slow = [each.stage for each in bench.watch.judge()]
    assert slow == ['infer']


def test_larger_images_and_batches_have_a_baseline_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)
    bench.run(12)
    bench.run(40, pixels=400, preprocess=16.0)
    bench.run(40, images=2, pixels=200, infer=20.0)
    assert bench.slow == []
    bench.run(10, images=2, pixels=200, infer=31.0)
    assert bench.slow == ['infer']


def test_first_images_are_no_part_of_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    for _ in range(5):
        bench.watch.add({**NORMAL, 'infer': 4000.0}, 1, 100)
    bench.run(12)
    assert bench.watch.baselines_ms()['infer'] == NORMAL['infer']


def test_kinds_of_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    for pixels in range(1000):
        bench.watch.add(NORMAL, 1, pixels)
    assert len(bench.watch._learning) == 64


def test_window_of_zero_keeps_and_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.run(12)
    bench.run(10, infer=30.0)
    assert bench.slow == ['infer']
    bench.watch.window_s = 0.0
    bench.run(1, infer=30.0)
    assert bench.slow == []
    off = Bench(monkeypatch, window_s=0.0)
    off.run(30)
    assert not off.watch.baselines_ms()
    assert not off.watch._learning
