# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that each camera has its own rate, counts and ages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.ros_graph import rclpy
from trt_detector.ros.monitoring import camera_diagnostics
from trt_detector.ros.monitoring import statistics as statistics_module
from trt_detector.ros.monitoring.camera_diagnostics import CameraDiagnostics
from trt_detector.ros.monitoring.statistics import SessionStatistics


def make_cameras(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> tuple[list[CameraDiagnostics], SessionStatistics, SimpleNamespace]:
    """Make the diagnostics of cameras that no node is subscribed to, and their clock."""
    clock = SimpleNamespace(now_s=100.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr(camera_diagnostics, 'time', clock)
    subscription = SimpleNamespace(
        loss=SimpleNamespace(lost=0, method='nothing'),
        reliability=rclpy.qos.ReliabilityPolicy.RELIABLE,
        reason='a test',
        users=1,
    )
    statistics = SessionStatistics(number)
    session: Any = SimpleNamespace(
        opened_s=100.0, started_s=None, statistics=statistics,
        subscriptions=(subscription,) * number,
    )  # fmt: skip
    cameras = [CameraDiagnostics(cast(Any, None), session, each) for each in range(number)]
    return cameras, statistics, clock


def test_rate_and_drops_are_those_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras, statistics, clock = make_cameras(monkeypatch, 2)
    for _ in range(30):
        statistics.count_received(0, 0)
    for _ in range(10):
        statistics.count_received(1, 1)
    clock.now_s = 102.0
    first, second = (camera.make_status().values for camera in cameras)
    assert (first['images per second'], first['received'], first['dropped']) == ('15.0', '30', '0')
    assert (second['images per second'], second['received'], second['dropped']) == (
        '5.0', '10', '10',
    )  # fmt: skip
    # The next rate covers the time since then.
    statistics.count_received(0, 0)
    clock.now_s = 102.5
    assert cameras[0].make_status().values['images per second'] == '2.0'


def test_ages_are_those_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras, statistics, _ = make_cameras(monkeypatch, 3)
    for age_ms in range(101):
        statistics.add_age(0, float(age_ms))
        statistics.add_age(1, 1000.0)
    first, second, third = (camera.make_status().values for camera in cameras)
    assert (first['age ms p50'], first['age ms p99']) == ('50.00', '99.00')
    assert (second['age ms p50'], second['age ms p99']) == ('1000.00', '1000.00')
    assert 'age ms p50' not in third


@pytest.mark.parametrize(
    ('dropped', 'expected'),
    [
        (0, '15.0 images per second'),
        (15, '15.0 images per second, 50% dropped: the detector is slower than the camera'),
    ],
)
def test_text_of_a_camera_without_fault_is_its_rate(
    monkeypatch: pytest.MonkeyPatch, dropped: int, expected: str
) -> None:
    cameras, statistics, clock = make_cameras(monkeypatch, 1)
    session: Any = cameras[0]._session
    session.started_s = session.subscriptions[0].opened_s = 100.0
    session.subscriptions[0].entity = object()
    session.config = SimpleNamespace(enabled=True, lazy=False, image_timeout=5.0)
    monkeypatch.setattr(statistics_module, 'time', clock)
    for number in range(30):
        statistics.count_received(0, int(number < dropped))
    clock.now_s = 102.0
    status = cameras[0].make_status()
    assert (status.level, status.text) == ('ok', expected)
