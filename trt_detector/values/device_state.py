# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How a GPU is at one moment: memory, heat, load, clocks and power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ['DeviceState', 'DeviceWatch']

_MEBI = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """
    What was read of a GPU; None for what it does not tell.

    :param read_s: time.monotonic() when it was read, None if it never was.
    :param name: product name.
    :param compute_capability: (major, minor).
    :param memory_used_bytes: by all programs together; of the whole machine where it is shared.
    :param memory_total_bytes: of the GPU; of the whole machine where it is shared.
    :param shared_memory: whether the GPU uses the machine's memory.
    :param gpu_memory_used_bytes: the GPU's part of memory that is shared.
    :param temperature_c: in degrees Celsius.
    :param gpu_percent: share of time in which something ran.
    :param memory_percent: share of time in which memory was read or written.
    :param clock_mhz: of the multiprocessors.
    :param max_clock_mhz: highest clock of the multiprocessors.
    :param memory_clock_mhz: of the memory.
    :param power_w: what it takes.
    :param power_limit_w: what it may take.
    :param clock_limits: why the clocks are not higher, in words.
    :param slowdowns: those of them that a user has to do something about.
    """

    read_s: float | None = None
    name: str | None = None
    compute_capability: tuple[int, int] | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    shared_memory: bool | None = None
    gpu_memory_used_bytes: int | None = None
    temperature_c: float | None = None
    gpu_percent: float | None = None
    memory_percent: float | None = None
    clock_mhz: float | None = None
    max_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    clock_limits: tuple[str, ...] | None = None
    slowdowns: tuple[str, ...] = ()

    def describe(self) -> dict[str, str]:
        """Return what is known as texts by name, each with its unit."""
        formats: dict[str, tuple[Any, Callable[[Any], str]]] = {
            'name': (self.name, str),
            'compute capability': (self.compute_capability, lambda cc: f'{cc[0]}.{cc[1]}'),
            'memory used MiB': (self.memory_used_bytes, _mebi),
            'memory total MiB': (self.memory_total_bytes, _mebi),
            'memory shared with the CPU': (self.shared_memory, lambda it: 'yes' if it else 'no'),
            'memory used by the GPU MiB': (self.gpu_memory_used_bytes, _mebi),
            'temperature C': (self.temperature_c, '{:.0f}'.format),
            'GPU load %': (self.gpu_percent, '{:.0f}'.format),
            'memory load %': (self.memory_percent, '{:.0f}'.format),
            'clock MHz': (self.clock_mhz, '{:.0f}'.format),
            'highest clock MHz': (self.max_clock_mhz, '{:.0f}'.format),
            'memory clock MHz': (self.memory_clock_mhz, '{:.0f}'.format),
            'power W': (self.power_w, '{:.1f}'.format),
            'power limit W': (self.power_limit_w, '{:.1f}'.format),
            'clocks limited by': (self.clock_limits, lambda it: ', '.join(it) or 'nothing'),
        }
        return {key: show(value) for key, (value, show) in formats.items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        """Return what is known by field, ready for JSON."""
        if self.read_s is None:
            return {}
        values = asdict(self)
        del values['read_s']
        return {key: value for key, value in values.items() if value is not None}


class DeviceWatch(Protocol):
    """Reads a device again and again, in a thread of its own."""

    def latest(self) -> DeviceState:
        """Return what was read last, at once; any thread may ask."""

    def close(self) -> None:
        """End; calling it again does nothing."""


def _mebi(size: int) -> str:
    """Return bytes in MiB."""
    return f'{size / _MEBI:.0f}'
