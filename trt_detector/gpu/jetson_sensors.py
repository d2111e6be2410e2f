# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sensors of a GPU that shares the system memory (Jetson), read from the Linux kernel."""

from __future__ import annotations

from pathlib import Path

__all__ = ['SharedMemoryGpu']

# Parts of the names of the GPU's folders, e.g. 57000000.gpu, 17000000.ga10b, gpu-gpc-0.
_GPU_NAMES = ('gpu', 'ga10b', 'gv11b', 'gp10b', 'gm20b')


class SharedMemoryGpu:
    """
    Sensors in sysfs and procfs; each method returns None for values that are not available.

    :param root: folder that holds sys and proc.
    """

    def __init__(self, root: Path) -> None:
        self._meminfo = root / 'proc' / 'meminfo'
        self._thermal_zones = sorted(
            zone
            for zone in (root / 'sys' / 'class' / 'thermal').glob('thermal_zone*')
            if 'gpu' in (_read(zone / 'type') or '').lower()
        )
        # Thor has gpu-gpc-0 for the multiprocessors before gpu-nvd-0 for the video engines.
        self._devfreq = sorted(
            folder
            for folder in (root / 'sys' / 'class' / 'devfreq').glob('*')
            if any(name in folder.name for name in _GPU_NAMES)
        )

    def get_temperature_c(self) -> float | None:
        """Return the temperature; it cannot be read while the GPU is suspended."""
        values = [_number(zone / 'temp') for zone in self._thermal_zones]
        known = [value for value in values if value is not None]
        return max(known) / 1e3 if known else None

    def get_load_percent(self) -> float | None:
        """Return the utilization of the GPU."""
        for folder in self._devfreq:
            for file in (folder / 'device' / 'load', folder / 'load'):
                tenths = _number(file)
                if tenths is not None:
                    return tenths / 10
        return None

    def get_clocks_mhz(self) -> tuple[float | None, float | None]:
        """Return the clock and the maximum clock."""
        if not self._devfreq:
            return None, None
        clock = _number(self._devfreq[0] / 'cur_freq')
        highest = _number(self._devfreq[0] / 'max_freq')
        return None if clock is None else clock / 1e6, None if highest is None else highest / 1e6

    def get_memory_bytes(self) -> tuple[int | None, int | None, int | None]:
        """Return the used and total system memory, and the memory that the GPU uses."""
        sizes = {}
        for line in (_read(self._meminfo) or '').splitlines():
            name, _, rest = line.partition(':')
            words = rest.split()
            if words and words[0].isdecimal():
                sizes[name] = int(words[0]) * 1024
        total, available = sizes.get('MemTotal'), sizes.get('MemAvailable')
        used = None if total is None or available is None else total - available
        return used, total, sizes.get('NvMapMemUsed')


def _read(file: Path) -> str | None:
    """Return the contents of a file, None if it does not exist or cannot be read now."""
    try:
        return file.read_text(encoding='ascii', errors='replace').strip()
    except OSError:
        return None


def _number(file: Path) -> float | None:
    """Return the number in a file, None if there is none."""
    try:
        return float(_read(file) or '')
    except ValueError:
        return None
