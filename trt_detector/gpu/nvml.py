# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""NVML, initialized once per process."""

from __future__ import annotations

import atexit
from collections.abc import Callable
import threading
from typing import Any

__all__ = ['Nvml', 'open_nvml']

_STARTED: list[Any] = []
_LOCK = threading.Lock()

# Bits of the clock event reasons; a newer driver may have more.
_IDLE = 0x1
_HW_SLOWDOWN = 0x8
_HARMFUL = {
    0x20: 'too hot (slowed down by the driver)',
    0x40: 'too hot (slowed down by the hardware)',
    0x80: 'power brake (asserted by the power supply)',
}
_REASONS = {
    _IDLE: 'idle',
    0x2: 'clocks set by an application',
    0x4: 'power limit',
    _HW_SLOWDOWN: 'slowed down by the hardware (too hot, or a power brake)',
    0x10: 'clocks of the other GPUs (sync boost)',
    **_HARMFUL,
    0x100: 'clocks set for a display',
}


class Nvml:
    """
    One GPU in NVML; callable from any thread.

    NVML does not support every value on every GPU, least of all on a Jetson: each method returns
    None for values that the GPU, the driver or the installed nvidia-ml-py does not support.

    :param module: pynvml, initialized.
    :param handle: handle of the GPU.
    """

    def __init__(self, module: Any, handle: Any) -> None:
        self._module = module
        self._handle = handle

    def get_name(self) -> str | None:
        """Return the product name."""
        name = self._ask('nvmlDeviceGetName')
        return name.decode(errors='replace') if isinstance(name, bytes) else name

    def read_capability(self) -> tuple[int, int] | None:
        """Return (major, minor)."""
        capability = self._ask('nvmlDeviceGetCudaComputeCapability')
        return None if capability is None else (int(capability[0]), int(capability[1]))

    def get_memory_bytes(self) -> tuple[int, int] | None:
        """Return (used, total); None if GPU and CPU share the memory."""
        memory = self._ask('nvmlDeviceGetMemoryInfo')
        return None if memory is None else (int(memory.used), int(memory.total))

    def get_temperature_c(self) -> float | None:
        """Return the temperature of the chip."""
        # The first is new in NVML 13; the second, deprecated there, is for older versions.
        for function in ('nvmlDeviceGetTemperatureV', 'nvmlDeviceGetTemperature'):
            value = self._ask(function, 'NVML_TEMPERATURE_GPU')
            if value is not None:
                return float(value)
        return None

    def get_load_percent(self) -> tuple[float, float] | None:
        """Return the utilization of (GPU, memory controller)."""
        rates = self._ask('nvmlDeviceGetUtilizationRates')
        return None if rates is None else (float(rates.gpu), float(rates.memory))

    def get_clocks_mhz(self) -> tuple[float | None, float | None, float | None]:
        """Return the SM clock, the maximum SM clock and the memory clock."""
        asked = (
            self._ask('nvmlDeviceGetClockInfo', 'NVML_CLOCK_SM'),
            self._ask('nvmlDeviceGetMaxClockInfo', 'NVML_CLOCK_SM'),
            self._ask('nvmlDeviceGetClockInfo', 'NVML_CLOCK_MEM'),
        )
        clock, highest, memory = (None if value is None else float(value) for value in asked)
        return clock, highest, memory

    def get_power_w(self) -> tuple[float | None, float | None]:
        """Return the power draw and the power limit."""
        power = self._ask('nvmlDeviceGetPowerUsage')
        limit = self._ask('nvmlDeviceGetEnforcedPowerLimit')
        return None if power is None else power / 1e3, None if limit is None else limit / 1e3

    def get_clock_limits(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Return all reasons that limit the clocks, and those that indicate a slowdown."""
        bits = None
        for function in (
            'nvmlDeviceGetCurrentClocksEventReasons',
            'nvmlDeviceGetCurrentClocksThrottleReasons',
        ):
            bits = self._ask(function)
            if bits is not None:
                break
        if bits is None:
            return None
        if bits & sum(_HARMFUL):
            bits &= ~_HW_SLOWDOWN  # the other bit names the cause
        single = [1 << n for n in range(int(bits).bit_length()) if bits >> n & 1]
        reasons = tuple(_REASONS.get(bit, f'reason {bit:#x}') for bit in single)
        harmful = tuple(_REASONS[bit] for bit in single if bit in _HARMFUL or bit == _HW_SLOWDOWN)
        return reasons, harmful

    def _ask(self, function: str, constant: str | None = None) -> Any:
        """
        Call a function of NVML for the GPU; None if it is not supported.

        :param function: name of the function.
        :param constant: name of the constant to pass as second argument.
        """
        try:
            call: Callable[..., Any] = getattr(self._module, function)
            arguments = [] if constant is None else [getattr(self._module, constant)]
            return call(self._handle, *arguments)
        except (AttributeError, self._module.NVMLError):
            return None


def open_nvml(device_id: int, pci_bus_id: str) -> Nvml | None:
    """
    Open a GPU in NVML; None if NVML is not installed or does not know the GPU.

    :param device_id: CUDA device number.
    :param pci_bus_id: PCI bus ID, '' if unknown. CUDA_VISIBLE_DEVICES changes CUDA's numbers but
        not NVML's, so that only the bus ID identifies the GPU.
    """
    try:
        import pynvml
    except ImportError:
        return None
    try:
        _start(pynvml)
        return Nvml(pynvml, _find_handle(pynvml, device_id, pci_bus_id))
    except pynvml.NVMLError:
        return None


def _find_handle(module: Any, device_id: int, pci_bus_id: str) -> Any:
    """
    Return NVML's handle of a GPU.

    :raises NVMLError: if NVML does not know the GPU.
    """
    if not pci_bus_id:
        return module.nvmlDeviceGetHandleByIndex(device_id)
    try:
        return module.nvmlDeviceGetHandleByPciBusId(pci_bus_id.encode())
    except module.NVMLError:
        # A GPU without a PCI bus may report a bus ID to CUDA all the same.
        if module.nvmlDeviceGetCount() != 1:
            raise
        return module.nvmlDeviceGetHandleByIndex(0)


def _start(module: Any) -> None:
    """Initialize NVML until the process ends; the next call retries after a failure."""
    with _LOCK:
        if module in _STARTED:
            return
        module.nvmlInit()
        _STARTED.append(module)
        atexit.register(_stop, module)


def _stop(module: Any) -> None:
    """Shut NVML down; an error at the end of the process does not matter."""
    try:
        module.nvmlShutdown()
    except module.NVMLError:
        return
