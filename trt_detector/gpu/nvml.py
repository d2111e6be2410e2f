# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""NVML: started once a process, and asked for one thing at a time."""

from __future__ import annotations

import atexit
from collections.abc import Callable
import threading
from typing import Any

__all__ = ['Nvml', 'open_nvml']

_STARTED: list[Any] = []
_LOCK = threading.Lock()

# Bits of the clocks' event reasons; a newer driver may have more.
_IDLE = 0x1
_HW_SLOWDOWN = 0x8
_HARMFUL = {
    0x20: 'too hot (slowed down by the driver)',
    0x40: 'too hot (slowed down by the hardware)',
    0x80: 'power brake (the power supply asks for less)',
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
    One GPU as NVML sees it; any thread may ask.

    NVML knows not everything of every GPU, a Jetson's above all: each method returns None for
    what the GPU, the driver or the installed nvidia-ml-py does not support.

    :param module: pynvml, started.
    :param handle: of the GPU.
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
        """Return (used, total); None where GPU and CPU share the memory."""
        memory = self._ask('nvmlDeviceGetMemoryInfo')
        return None if memory is None else (int(memory.used), int(memory.total))

    def get_temperature_c(self) -> float | None:
        """Return the temperature of the chip."""
        # The first is of NVML 13; the second, deprecated there, is all that older ones have.
        for function in ('nvmlDeviceGetTemperatureV', 'nvmlDeviceGetTemperature'):
            value = self._ask(function, 'NVML_TEMPERATURE_GPU')
            if value is not None:
                return float(value)
        return None

    def get_load_percent(self) -> tuple[float, float] | None:
        """Return the shares of time in which (something ran, memory was used)."""
        rates = self._ask('nvmlDeviceGetUtilizationRates')
        return None if rates is None else (float(rates.gpu), float(rates.memory))

    def get_clocks_mhz(self) -> tuple[float | None, float | None, float | None]:
        """Return the clock of the multiprocessors, its highest, and that of the memory."""
        asked = (
            self._ask('nvmlDeviceGetClockInfo', 'NVML_CLOCK_SM'),
            self._ask('nvmlDeviceGetMaxClockInfo', 'NVML_CLOCK_SM'),
            self._ask('nvmlDeviceGetClockInfo', 'NVML_CLOCK_MEM'),
        )
        clock, highest, memory = (None if value is None else float(value) for value in asked)
        return clock, highest, memory

    def get_power_w(self) -> tuple[float | None, float | None]:
        """Return what it takes, and what it may take."""
        power = self._ask('nvmlDeviceGetPowerUsage')
        limit = self._ask('nvmlDeviceGetEnforcedPowerLimit')
        return None if power is None else power / 1e3, None if limit is None else limit / 1e3

    def get_clock_limits(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Return why the clocks are not higher, and those of the reasons that do harm."""
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
            bits &= ~_HW_SLOWDOWN  # what stands beside it says which
        single = [1 << n for n in range(int(bits).bit_length()) if bits >> n & 1]
        reasons = tuple(_REASONS.get(bit, f'reason {bit:#x}') for bit in single)
        harmful = tuple(_REASONS[bit] for bit in single if bit in _HARMFUL or bit == _HW_SLOWDOWN)
        return reasons, harmful

    def _ask(self, function: str, constant: str | None = None) -> Any:
        """
        Return what a function of NVML gives for the GPU, None where it is not supported.

        :param constant: name of its second argument.
        """
        try:
            call: Callable[..., Any] = getattr(self._module, function)
            arguments = [] if constant is None else [getattr(self._module, constant)]
            return call(self._handle, *arguments)
        except (AttributeError, self._module.NVMLError):
            return None


def open_nvml(device_id: int, pci_bus_id: str) -> Nvml | None:
    """
    Return NVML's view of a GPU, None where NVML is absent or does not know the GPU.

    :param device_id: its number.
    :param pci_bus_id: where it sits, '' where that is not known. CUDA_VISIBLE_DEVICES changes
        CUDA's numbers and not NVML's: the bus tells them apart.
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
    """Return NVML's handle of a GPU; raise its error where it has none."""
    if not pci_bus_id:
        return module.nvmlDeviceGetHandleByIndex(device_id)
    try:
        return module.nvmlDeviceGetHandleByPciBusId(pci_bus_id.encode())
    except module.NVMLError:
        # A GPU that sits on no bus may be given a number of one all the same.
        if module.nvmlDeviceGetCount() != 1:
            raise
        return module.nvmlDeviceGetHandleByIndex(0)


def _start(module: Any) -> None:
    """Start NVML for the life of the process; a failure is tried again at the next call."""
    with _LOCK:
        if module in _STARTED:
            return
        module.nvmlInit()
        _STARTED.append(module)
        atexit.register(_stop, module)


def _stop(module: Any) -> None:
    """Shut NVML down; at the end of the process nobody minds if it cannot."""
    try:
        module.nvmlShutdown()
    except module.NVMLError:
        return
