# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the likely cause of a slow stage."""

from __future__ import annotations

import pytest
from trt_detector.ros.monitoring.cpu_load import CpuShares
from trt_detector.ros.monitoring.slowdown_cause import Conditions, explain_slowdown
from trt_detector.values.device_state import DeviceState

COOL = DeviceState(
    read_s=1.0, clock_mhz=1800.0, gpu_percent=40.0, power_w=20.0, power_limit_w=60.0
)
IDLE = CpuShares(0.3, 0.1)
BUSY = CpuShares(0.97, 0.2)


@pytest.mark.parametrize(
    ('device', 'expected'),
    [
        (
            DeviceState(read_s=2.0, temperature_c=92.0, slowdowns=('too hot',), clock_mhz=600.0),
            'the GPU is slowed down at 92 C: too hot',
        ),
        (
            DeviceState(read_s=2.0, clock_limits=('power limit',), power_limit_w=60.0),
            'the GPU is at its power limit of 60 W',
        ),
        (
            DeviceState(read_s=2.0, power_w=59.5, power_limit_w=60.0),
            'the GPU is at its power limit of 60 W',
        ),
        (
            DeviceState(read_s=2.0, clock_mhz=900.0, temperature_c=60.0),
            'the GPU clock is 900 MHz instead of 1800 MHz at 60 C',
        ),
        (
            DeviceState(read_s=2.0, clock_mhz=1800.0, gpu_percent=99.0),
            'the GPU load is 99 % instead of 40 %',
        ),
        (COOL, 'no cause found in GPU clock, temperature, power, CPU load and dropped images'),
    ],
)
def test_state_of_the_gpu_is_a_cause(device: DeviceState, expected: str) -> None:
    text = explain_slowdown('infer', Conditions(device, IDLE), Conditions(COOL, IDLE))
    assert text == expected


def test_cpu_load_comes_before_the_gpu_for_stages_on_the_cpu() -> None:
    hot = DeviceState(read_s=2.0, slowdowns=('too hot',))
    now, before = Conditions(hot, BUSY), Conditions(COOL, IDLE)
    expected = 'the CPU is 97% busy instead of 30%, 77% by other programs instead of 20%'
    assert explain_slowdown('decode', now, before) == expected
    assert 'too hot' in explain_slowdown('infer', now, before)
    assert explain_slowdown('infer', Conditions(None, BUSY), Conditions(None, IDLE)) == expected


def test_cpu_that_was_as_busy_before_is_no_cause() -> None:
    """A share of other programs that rose is one, even if the CPU was busy before."""
    text = explain_slowdown('decode', Conditions(cpu=BUSY), Conditions(cpu=BUSY))
    assert text == 'no cause found in CPU load and dropped images'
    alone = CpuShares(0.97, 0.95)
    text = explain_slowdown('decode', Conditions(cpu=BUSY), Conditions(cpu=alone))
    assert text == ('the CPU is 97% busy instead of 97%, 77% by other programs instead of 2%')


def test_drops_are_the_last_cause() -> None:
    text = explain_slowdown('infer', Conditions(None, IDLE, 0.5), Conditions())
    assert text.endswith('50% are dropped')
    assert 'CPU' in explain_slowdown('infer', Conditions(None, BUSY, 0.5), Conditions())
    nothing = explain_slowdown('infer', Conditions(), Conditions())
    assert nothing == 'no cause found in CPU load and dropped images'
