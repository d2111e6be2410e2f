# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""State of a GPU (temperature, load, memory), read once or periodically."""

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
    All sources of the state of one GPU, opened once.

    :param device_id: CUDA device number.
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
        """Return the state now, from NVML before the kernel before the driver."""
        values: dict[str, Any] = {}
        for source in (self._read_driver, self._read_kernel, self._read_nvml):
            values |= {name: value for name, value in source().items() if value is not None}
        return DeviceState(read_s=time.monotonic(), **values)

    def _read_driver(self) -> dict[str, Any]:
        """Return the constant properties from the driver."""
        device = self._device
        if device is None:
            return {}
        return {
            'name': device.name,
            'compute_capability': device.compute_capability,
            'memory_total_bytes': device.total_memory_bytes or None,
            'shared_memory': device.integrated,
        }

    def _read_kernel(self) -> dict[str, Any]:
        """Return the sensors of sysfs and procfs, for a GPU that shares the system memory."""
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

    def _read_nvml(self) -> dict[str, Any]:
        """Return the values that NVML supports."""
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
    Read the state of a GPU; takes some milliseconds.

    :param device_id: CUDA device number.
    :param root: folder that holds sys and proc.
    """
    return _Sensors(device_id, root).read()


class DeviceMonitor:
    """
    Thread that reads the state of a GPU once per second, since a driver can be slow to answer.

    :param device_id: CUDA device number.
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
        # A daemon thread: a driver call that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name='device monitor', daemon=True)
        self._thread.start()

    def latest(self) -> DeviceState:
        """Return the last state at once; callable from any thread."""
        return self._state

    def close(self) -> None:
        """End the thread; calling it again does nothing."""
        self._ended.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        """Thread main loop."""
        try:
            sensors = _Sensors(self._device_id, self._root)
            while True:
                self._state = sensors.read()
                if self._ended.wait(self._period_s):
                    return
        except Exception:  # noqa: BLE001 logged; the detector works without it
            _LOG.exception('the monitor of GPU %d stopped', self._device_id)
