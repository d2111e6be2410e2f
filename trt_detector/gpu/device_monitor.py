# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How the GPU is: read once, or again and again beside the work."""

from __future__ import annotations

from contextlib import suppress
import logging
from pathlib import Path
import threading
import time
from typing import Any

from ..errors import BackendUnavailableError
from ..values.device_state import DeviceState
from .device_info import DeviceInfo, is_jetson, read_device
from .jetson_sensors import SharedMemoryGpu
from .nvml import open_nvml

__all__ = ['DeviceMonitor', 'read_device_state']

_LOG = logging.getLogger(__name__)
_PERIOD_S = 1.0


class _Sensors:
    """
    All sources of one GPU, found once.

    :param device_id: its number, as CUDA counts them.
    :param root: folder that holds sys and proc.
    """

    def __init__(self, device_id: int, root: Path) -> None:
        self._device: DeviceInfo | None = None
        with suppress(BackendUnavailableError):
            self._device = read_device(device_id)
        self._nvml = open_nvml(device_id, self._device.pci_bus_id if self._device else '')
        shared = self._device.integrated if self._device else is_jetson()
        self._files = SharedMemoryGpu(root) if shared else None

    def read(self) -> DeviceState:
        """Return how the GPU is now: what NVML says comes before the kernel and the driver."""
        values: dict[str, Any] = {}
        for source in (self._ask_driver, self._ask_kernel, self._ask_nvml):
            values |= {name: value for name, value in source().items() if value is not None}
        return DeviceState(read_s=time.monotonic(), **values)

    def _ask_driver(self) -> dict[str, Any]:
        """Return what never changes."""
        device = self._device
        if device is None:
            return {}
        return {
            'name': device.name,
            'compute_capability': device.compute_capability,
            'memory_total_bytes': device.total_memory_bytes or None,
            'shared_memory': device.integrated,
        }

    def _ask_kernel(self) -> dict[str, Any]:
        """Return what the files of a GPU tell that shares the machine's memory."""
        files = self._files
        if files is None:
            return {}
        used, total, used_by_gpu = files.get_memory_bytes()
        clock, highest = files.get_clocks_mhz()
        return {
            'memory_used_bytes': used,
            'memory_total_bytes': total,
            'gpu_memory_used_bytes': used_by_gpu,
            'shared_memory': True,
            'temperature_c': files.get_temperature_c(),
            'gpu_percent': files.get_load_percent(),
            'clock_mhz': clock,
            'max_clock_mhz': highest,
        }

    def _ask_nvml(self) -> dict[str, Any]:
        """Return what NVML supports."""
        nvml = self._nvml
        if nvml is None:
            return {}
        used, total = nvml.get_memory_bytes() or (None, None)
        load, memory_load = nvml.get_load_percent() or (None, None)
        clock, highest, memory_clock = nvml.get_clocks_mhz()
        power, limit = nvml.get_power_w()
        reasons, harmful = nvml.get_clock_limits() or (None, None)
        return {
            'name': nvml.get_name(),
            'compute_capability': nvml.read_capability(),
            'memory_used_bytes': used,
            'memory_total_bytes': total,
            'temperature_c': nvml.get_temperature_c(),
            'gpu_percent': load,
            'memory_percent': memory_load,
            'clock_mhz': clock,
            'max_clock_mhz': highest,
            'memory_clock_mhz': memory_clock,
            'power_w': power,
            'power_limit_w': limit,
            'clock_limits': reasons,
            'slowdowns': harmful,
        }


def read_device_state(device_id: int = 0, *, root: Path = Path('/')) -> DeviceState:
    """
    Return how a GPU is now; takes some milliseconds.

    :param device_id: its number, as CUDA counts them.
    :param root: folder that holds sys and proc.
    """
    return _Sensors(device_id, root).read()


class DeviceMonitor:
    """
    Reads a GPU once a second in a thread of its own: a driver can take its time to answer.

    :param device_id: its number, as CUDA counts them.
    :param root: folder that holds sys and proc.
    :param period_s: seconds between two readings.
    """

    def __init__(
        self, device_id: int, *, root: Path = Path('/'), period_s: float = _PERIOD_S
    ) -> None:
        self._device_id = device_id
        self._root = root
        self._period_s = period_s
        self._state = DeviceState()
        self._ended = threading.Event()
        # A daemon: a driver call that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name='device watch', daemon=True)
        self._thread.start()

    def latest(self) -> DeviceState:
        """Return what was read last, at once; any thread may ask."""
        return self._state

    def close(self) -> None:
        """End the thread; calling it again does nothing."""
        self._ended.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        """Be the thread."""
        try:
            sensors = _Sensors(self._device_id, self._root)
            while True:
                self._state = sensors.read()
                if self._ended.wait(self._period_s):
                    return
        except Exception:  # noqa: BLE001 logged; the detector works on without
            _LOG.exception('the state of GPU %d is not read any more', self._device_id)
