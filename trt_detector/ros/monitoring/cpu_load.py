# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Load of the CPU, read from /proc/stat."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path

__all__ = ['CpuLoad', 'CpuShares']

# Columns of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; guest time, which
# follows, is part of user time.
_COLUMNS = 8
_IDLE = (3, 4)


@dataclass(frozen=True, slots=True)
class CpuShares:
    """
    Shares of the time of all CPU cores, 0 to 1.

    :param busy: used by all programs together.
    :param own: used by this process.
    """

    busy: float
    own: float


class CpuLoad:
    """
    Load of the CPU between two readings.

    :param root: folder that holds proc.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self._file = root / 'proc' / 'stat'
        self._last = self._read_ticks()

    def read(self) -> CpuShares | None:
        """Compute the load since the last call; None if the system does not report it."""
        last, now = self._last, self._read_ticks()
        self._last = now
        if last is None or now is None or now[0] <= last[0]:
            return None
        total, idle, own = (new - old for new, old in zip(now, last, strict=True))
        return CpuShares(min(max(1 - idle / total, 0.0), 1.0), min(max(own / total, 0.0), 1.0))

    def _read_ticks(self) -> tuple[float, float, float] | None:
        """Read (all, idle, own) clock ticks since the start of the system."""
        try:
            words = self._file.read_text(encoding='ascii').split('\n', 1)[0].split()
            ticks = [int(word) for word in words[1 : 1 + _COLUMNS]]
        except (OSError, ValueError):
            return None
        if words[:1] != ['cpu'] or len(ticks) < _COLUMNS:
            return None
        times = os.times()
        own = (times.user + times.system) * os.sysconf('SC_CLK_TCK')
        return float(sum(ticks)), float(sum(ticks[n] for n in _IDLE)), own
