# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""State of a GPU at one moment: memory, temperature, load, clocks and power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ['DeviceState', 'DeviceWatch']

_MEBI = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """
    Readings of a GPU; None for a value that it does not provide.

    :param read_s: time.monotonic() when it was read, None if it never was.
    :param name: product name.
    :param compute_capability: (major, minor).
    :param memory_used_bytes: by all programs together; of the whole machine if memory is shared.
    :param memory_total_bytes: of the GPU; of the whole machine if memory is shared.
    :param shared_memory: the GPU uses the machine's memory.
    :param gpu_memory_used_bytes: the GPU's part of shared memory.
    :param temperature_c: in degrees Celsius.
    :param gpu_percent: percentage of time in which a kernel ran.
    :param memory_percent: percentage of time in which memory was read or written.
    :param clock_mhz: of the multiprocessors.
    :param max_clock_mhz: maximum clock of the multiprocessors.
    :param memory_clock_mhz: of the memory.
    :param power_w: power draw.
    :param power_limit_w: maximum power draw.
    :param clock_limits: reasons why the clocks are not higher, in words.
    :param slowdowns: those of the reasons that the user has to act on.
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
        """Describe the known values: texts by name, each with its unit."""
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
        """Make a JSON object of the known values."""
        if self.read_s is None:
            return {}
        values = asdict(self)
        del values['read_s']
        return {key: value for key, value in values.items() if value is not None}


class DeviceWatch(Protocol):
    """Reader of a device's state, once per period, in a thread of its own."""

    def latest(self) -> DeviceState:
        """Get the latest state without waiting; callable from any thread."""

    def close(self) -> None:
        """Stop the thread; calling it again does nothing."""


def _mebi(size: int) -> str:
    """Format bytes in MiB."""
    return f'{size / _MEBI:.0f}'
