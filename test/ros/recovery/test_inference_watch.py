# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test when failing inferences are given up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip(
    'rclpy', reason='rclpy is missing: source ROS 2, or bringup/env.sh after bringup/prepare.sh'
)

from trt_detector.errors import EngineError
from trt_detector.ros.recovery import inference_watch
from trt_detector.ros.recovery.inference_watch import InferenceWatch


def fail(
    monkeypatch: pytest.MonkeyPatch, watch: InferenceWatch, count: int, seconds: float
) -> None:
    """Let inferences fail at equal distances, the first one at second 100."""
    for number in range(count):
        now_s = 100.0 + seconds * number / (count - 1)
        clock = SimpleNamespace(monotonic=lambda now_s=now_s: now_s)
        monkeypatch.setattr(inference_watch, 'time', clock)
        watch.note_failure(EngineError('out of memory'))


@pytest.mark.parametrize(
    ('count', 'seconds', 'given_up'),
    [(10, 1.9, False), (100, 1.9, False), (10, 2.1, True), (9, 60.0, False)],
)
def test_ten_failures_and_two_seconds_are_needed(
    count: int, seconds: float, given_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = InferenceWatch()
    fail(monkeypatch, watch, count, seconds)
    reason = f'the last {count} inferences failed: EngineError: out of memory'
    assert watch.describe_failure() == (reason if given_up else '')


def test_success_starts_the_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = InferenceWatch()
    fail(monkeypatch, watch, 9, 60.0)
    watch.note_success()
    fail(monkeypatch, watch, 9, 60.0)
    assert watch.describe_failure() == ''
