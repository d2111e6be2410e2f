# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Properties of a GPU, read from the driver without any other library."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError
from . import driver as libcuda
from .nvml import open_nvml

__all__ = [
    'LAST_RESORT_BYTES',
    'DeviceInfo',
    'get_gpu_memory_bytes',
    'get_used_gpu_memory_bytes',
    'has_fast_fp16',
    'has_tf32',
    'is_jetson',
    'read_device',
]

# Assumed size of the GPU memory if it cannot be read, so that a build can continue.
LAST_RESORT_BYTES = 2 << 30

# CUdevice_attribute of cuda.h.
_SM_COUNT = 16
_INTEGRATED = 18
_CC_MAJOR = 75
_CC_MINOR = 76


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """
    Properties of a GPU as reported by the driver.

    :param device_id: CUDA device number.
    :param name: product name.
    :param compute_capability: (major, minor).
    :param sm_count: number of streaming multiprocessors.
    :param total_memory_bytes: size of the GPU memory; of the system memory if it is shared.
    :param integrated: whether the GPU shares the system memory (Jetson).
    :param cuda_driver: highest CUDA version that the driver supports, e.g. (13, 0).
    :param pci_bus_id: e.g. '0000:01:00.0'; '' if the GPU has none.
    """

    device_id: int
    name: str
    compute_capability: tuple[int, int]
    sm_count: int
    total_memory_bytes: int
    integrated: bool
    cuda_driver: tuple[int, int]
    pci_bus_id: str

    @property
    def has_fast_fp16(self) -> bool:
        """Return whether FP16 is faster than FP32 (not on GTX 10 and the oldest GPUs)."""
        return has_fast_fp16(self.compute_capability)


def has_fast_fp16(compute_capability: tuple[int, int]) -> bool:
    """Return whether FP16 is faster than FP32 on GPUs of a compute capability."""
    return compute_capability >= (5, 3) and compute_capability != (6, 1)


def has_tf32(compute_capability: tuple[int, int]) -> bool:
    """Return whether GPUs of a compute capability have TF32 Tensor Cores (Ampere and later)."""
    return compute_capability >= (8, 0)


def read_device(device_id: int = 0) -> DeviceInfo:
    """
    Read the properties of a GPU from the driver.

    :param device_id: CUDA device number.
    :raises BackendUnavailableError: if there is no driver, no GPU, or no GPU of that number.
    """
    driver = libcuda.load()
    count = ctypes.c_int()
    libcuda.call(driver, 'cuDeviceGetCount', ctypes.byref(count))
    if not 0 <= device_id < count.value:
        raise BackendUnavailableError(
            f'device_id is {device_id}, but the driver reports {count.value} GPU(s), numbered '
            'from 0; set device_id to one of them'
        )
    device = ctypes.c_int()
    libcuda.call(driver, 'cuDeviceGet', ctypes.byref(device), device_id)
    name = ctypes.create_string_buffer(256)
    libcuda.call(driver, 'cuDeviceGetName', name, 256, device)
    memory = ctypes.c_size_t()
    libcuda.call(driver, 'cuDeviceTotalMem_v2', ctypes.byref(memory), device)
    version = ctypes.c_int()
    libcuda.call(driver, 'cuDriverGetVersion', ctypes.byref(version))
    return DeviceInfo(
        device_id=device_id,
        name=name.value.decode(errors='replace'),
        compute_capability=(
            _attribute(driver, device, _CC_MAJOR),
            _attribute(driver, device, _CC_MINOR),
        ),
        sm_count=_attribute(driver, device, _SM_COUNT),
        total_memory_bytes=memory.value,
        integrated=bool(_attribute(driver, device, _INTEGRATED)),
        cuda_driver=(version.value // 1000, version.value % 1000 // 10),
        pci_bus_id=_pci_bus_id(driver, device),
    )


def get_gpu_memory_bytes(device_id: int = 0) -> int:
    """
    Return the size of a GPU's memory.

    It comes from NVML. NVML does not report it if the GPU shares the system memory (Jetson,
    GB10): then it comes from the CUDA driver, or /proc/meminfo. 2 GiB if none of them reports it.

    :param device_id: CUDA device number.
    """
    try:
        device: DeviceInfo | None = read_device(device_id)
    except BackendUnavailableError:
        device = None
    nvml = open_nvml(device_id, device.pci_bus_id if device else '')
    memory = nvml.get_memory_bytes() if nvml else None
    if memory is not None and memory[1]:
        return memory[1]
    if device is not None and device.total_memory_bytes:
        return device.total_memory_bytes
    if is_jetson():
        return _machine_memory() or LAST_RESORT_BYTES
    return LAST_RESORT_BYTES


def get_used_gpu_memory_bytes(device_id: int = 0) -> int | None:
    """
    Return the GPU memory used by all programs together, None if NVML does not report it.

    :param device_id: CUDA device number.
    """
    try:
        bus = read_device(device_id).pci_bus_id
    except BackendUnavailableError:
        return None
    nvml = open_nvml(device_id, bus)
    memory = nvml.get_memory_bytes() if nvml else None
    return memory[0] if memory else None


def is_jetson() -> bool:
    """Return whether this is a Jetson, whose GPU shares the system memory."""
    if Path('/etc/nv_tegra_release').exists():
        return True
    try:
        compatible = Path('/proc/device-tree/compatible').read_bytes()
    except OSError:
        return False
    return b'nvidia,tegra' in compatible


def _attribute(driver: Any, device: Any, number: int) -> int:
    """Return an attribute of a device."""
    value = ctypes.c_int()
    libcuda.call(driver, 'cuDeviceGetAttribute', ctypes.byref(value), number, device)
    return value.value


def _pci_bus_id(driver: Any, device: Any) -> str:
    """Return the PCI bus ID of a device, '' if it has none."""
    text = ctypes.create_string_buffer(32)
    try:
        libcuda.call(driver, 'cuDeviceGetPCIBusId', text, 32, device)
    except BackendUnavailableError:
        return ''
    return text.value.decode(errors='replace')


def _machine_memory() -> int:
    """Return the size of the system memory, 0 if it cannot be read."""
    try:
        lines = Path('/proc/meminfo').read_text(encoding='ascii').splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith('MemTotal:'):
            return int(line.split()[1]) * 1024
    return 0
