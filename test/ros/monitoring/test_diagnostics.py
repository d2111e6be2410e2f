# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test what the whole node says of slow stages, and the size of its diagnostics."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any

import pytest
from rclpy.impl.rcutils_logger import RcutilsLogger
from support.ros_graph import (
    detector_node,
    StubDetector,
    StubFactory,
    values_of,
    wait_until,
)
from trt_detector.ros.monitoring import stage_diagnostics
from trt_detector.ros.monitoring.cpu_load import CpuShares
from trt_detector.values.batch_result import BatchResult, StageTimes
from trt_detector.values.device_state import DeviceState
from trt_detector.values.engine_info import CudaGraphUse, EngineInfo

STATE = DeviceState(
    read_s=0.0,
    name='Double',
    compute_capability=(8, 7),
    memory_used_bytes=1 << 30,
    memory_total_bytes=8 << 30,
    shared_memory=True,
    gpu_memory_used_bytes=1 << 29,
    temperature_c=50.0,
    gpu_percent=40.0,
    memory_percent=10.0,
    clock_mhz=1800.0,
    max_clock_mhz=1900.0,
    memory_clock_mhz=3000.0,
    power_w=10.0,
    power_limit_w=60.0,
    clock_limits=(),
)


class Device:
    """A GPU whose clock a test sets."""

    def __init__(self) -> None:
        self.clock_mhz = 1800.0

    def latest(self) -> DeviceState:
        values = {name: getattr(STATE, name) for name in STATE.__dataclass_fields__}
        return DeviceState(**{**values, 'read_s': time.monotonic(), 'clock_mhz': self.clock_mhz})

    def close(self) -> None:
        return None


def test_slow_stage_is_a_warning_with_its_cause_until_it_ends(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    infer_ms, device = 20.0, Device()
    original = StubDetector.detect

    def detect(self: StubDetector, batch: Any) -> BatchResult:
        found = original(self, batch).detections
        return BatchResult(found, StageTimes(1.0, infer_ms, 1.0))

    monkeypatch.setattr(StubDetector, 'detect', detect)
    monkeypatch.setattr(stage_diagnostics.CpuLoad, 'read', lambda _self: CpuShares(0.5, 0.1))
    with detector_node(watch=lambda _info: device, degradation_window=0.5) as running:
        assert running.configure()
        assert running.activate()
        with running.images(period_s=0.01):
            status = running.status('stages', lambda s: s.message == 'as fast as at the start')
            assert status.level == b'\x00'
            assert values_of(status)['infer ms baseline'] == '20.00'
            infer_ms, device.clock_mhz = 44.0, 600.0
            status = running.status('stages', lambda s: s.level == b'\x01')
            assert status.message == (
                'infer takes 44.0 ms (p95) instead of 20.0 ms at the start; likely cause: '
                'the GPU clock is 600 MHz instead of 1800 MHz at 50 C'
            )
            infer_ms, device.clock_mhz = 20.0, 1800.0
            running.status('stages', lambda s: s.level == b'\x00')
            assert running.set_parameter('degradation_window', 0.0).successful
            running.status('stages', lambda s: 'degradation_window is 0' in s.message)
    assert 'infer takes 44.0 ms' in capfd.readouterr().err


def test_comparison_that_is_turned_off_does_not_report_the_end_of_a_slowdown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    infer_ms, infos = 20.0, list[str]()
    monkeypatch.setattr(RcutilsLogger, 'info', lambda _self, text, **_: infos.append(text))
    original = StubDetector.detect

    def detect(self: StubDetector, batch: Any) -> BatchResult:
        found = original(self, batch).detections
        return BatchResult(found, StageTimes(1.0, infer_ms, 1.0))

    monkeypatch.setattr(StubDetector, 'detect', detect)
    with detector_node(degradation_window=0.5) as running:
        assert running.configure()
        assert running.activate()
        with running.images(period_s=0.01):
            running.status('stages', lambda s: s.message == 'as fast as at the start')
            infer_ms = 44.0
            running.status('stages', lambda s: s.level == b'\x01')
            assert running.set_parameter('degradation_window', 0.0).successful
            running.status('stages', lambda s: 'degradation_window is 0' in s.message)
    assert not any('at the start again' in text for text in infos)


def test_diagnostics_of_the_largest_configuration_stay_small() -> None:
    factory = StubFactory()
    topics = ['/left/image_raw', '/right/image_raw']
    parameters: dict[str, Any] = {'image_topics': topics, 'degradation_window': 0.2}
    with detector_node(factory, watch=lambda _info: Device(), **parameters) as running:
        assert running.configure()
        factory.made[0].info = EngineInfo(
            'tensorrt',
            'int8',
            'Double',
            '11.0',
            warnings=tuple(f'warning number {n}' for n in range(20)),
            entries=(
                ('quantized', '3 layers'),
                ('not quantized', '1 layers'),
                ('batch choice', '2'),
            ),
            plan_path=Path('/a.plan'),
            engine_bytes=5,
            layer_precision='3 int8, 1 fp16',
            cuda_graph=CudaGraphUse(True),
        )
        assert running.activate()
        with running.images(*topics, period_s=0.01):
            running.status('stages', lambda s: 'infer ms baseline' in values_of(s))
            seen = len(running.diagnostics)
            wait_until(lambda: len(running.diagnostics) > seen, 'diagnostics')
    statuses = {status.name: status for status in running.diagnostics[seen].status}
    assert sorted(statuses) == [
        'detector: camera /left/image_raw',
        'detector: camera /right/image_raw',
        'detector: detector',
        'detector: device',
        'detector: stages',
    ]
    for name, status in statuses.items():
        assert len(status.values) <= 30, f'{name} has {len(status.values)} keys'
        assert '\n' not in status.message
    assert values_of(statuses['detector: detector'])['further warnings'] == '15, see the log'
