# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Likely cause of a stage that became slower."""

from __future__ import annotations

from dataclasses import dataclass

from ...values.device_state import DeviceState
from .cpu_load import CpuShares

__all__ = ['Conditions', 'explain_slowdown']

# A clock below this share of the earlier one explains a slower stage.
_CLOCK_SHARE = 0.9
_POWER_SHARE = 0.98
_BUSY_CPU = 0.85
_RISE_CPU = 0.1
_BUSY_GPU_PERCENT = 95.0
_RISE_PERCENT = 20.0
_DROP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Conditions:
    """
    Conditions under which stages were timed.

    :param device: state of the GPU; None if none is used or it was not read.
    :param cpu: load of the CPU; None if it is unknown.
    :param dropped_share: dropped images per received image, 0 to 1.
    """

    device: DeviceState | None = None
    cpu: CpuShares | None = None
    dropped_share: float = 0.0


def explain_slowdown(stage: str, now: Conditions, before: Conditions) -> str:
    """
    Name the likely cause of a slower stage.

    :param stage: name of the stage.
    :param now: present conditions.
    :param before: conditions at the time of the baseline.
    """
    causes = [_explain_device(now.device, before.device), _explain_cpu(now.cpu, before.cpu)]
    if stage not in ('preprocess', 'infer'):
        causes.reverse()  # these stages run on the CPU
    causes.append(_explain_drops(now.dropped_share))
    for cause in causes:
        if cause:
            return cause
    known = (
        ['CPU load'] if now.device is None else ['GPU clock', 'temperature', 'power', 'CPU load']
    )
    return f'no cause found in {", ".join(known)} and dropped images'


def _explain_device(now: DeviceState | None, before: DeviceState | None) -> str:
    """Explain a slower GPU; '' if it is not slower."""
    if now is None:
        return ''
    heat = '' if now.temperature_c is None else f' at {now.temperature_c:.0f} C'
    if now.slowdowns:
        return f'the GPU is slowed down{heat}: {", ".join(now.slowdowns)}'
    if _is_at_power_limit(now):
        draw = '' if now.power_limit_w is None else f' of {now.power_limit_w:.0f} W'
        return f'the GPU is at its power limit{draw}'
    if before is None:
        return ''
    clock, earlier = now.clock_mhz, before.clock_mhz
    if clock is not None and earlier is not None and clock < _CLOCK_SHARE * earlier:
        return f'the GPU clock is {clock:.0f} MHz instead of {earlier:.0f} MHz{heat}'
    load, earlier_load = now.gpu_percent, before.gpu_percent
    if (
        load is not None
        and earlier_load is not None
        and load >= _BUSY_GPU_PERCENT
        and load - earlier_load >= _RISE_PERCENT
    ):
        return f'the GPU load is {load:.0f} % instead of {earlier_load:.0f} %'
    return ''


def _is_at_power_limit(state: DeviceState) -> bool:
    """Tell whether the power draw limits the clocks."""
    if 'power limit' in (state.clock_limits or ()):
        return True
    power, limit = state.power_w, state.power_limit_w
    return power is not None and limit is not None and power >= _POWER_SHARE * limit > 0


def _explain_cpu(now: CpuShares | None, before: CpuShares | None) -> str:
    """Explain a CPU that is busier, or busier with other programs; '' if it is not."""
    if now is None or now.busy < _BUSY_CPU:
        return ''
    others = max(now.busy - now.own, 0.0)
    if before is None:
        return f'the CPU is {now.busy:.0%} busy, {others:.0%} by other programs'
    earlier = max(before.busy - before.own, 0.0)
    if max(now.busy - before.busy, others - earlier) < _RISE_CPU:
        return ''
    return (
        f'the CPU is {now.busy:.0%} busy instead of {before.busy:.0%}, {others:.0%} by other '
        f'programs instead of {earlier:.0%}'
    )


def _explain_drops(share: float) -> str:
    """Explain an overload; '' if few images are dropped."""
    if share < _DROP_SHARE:
        return ''
    return f'the cameras send more images than the detector can process, {share:.0%} are dropped'
