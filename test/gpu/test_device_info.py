# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Properties of the GPU, with and without NVML, on PCs and on Jetsons."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType
from typing import Any

from doubles.machine import GPU, machine
import pytest
from trt_detector.errors import BackendUnavailableError
from trt_detector.gpu import device_info
from trt_detector.gpu import driver as libcuda
from trt_detector.trt.engine import TensorRTEngine

JETSON = {'name': 'Orin', 'cc': (8, 7), 'sm_count': 16, 'memory': 62 << 30, 'integrated': 1}


def nvml(total: int | None, asked: list[Any]) -> ModuleType:
    """Create a double of pynvml; total None raises as for a GPU that shares the memory."""
    module: Any = ModuleType('pynvml')
    module.NVMLError = type('NVMLError', (Exception,), {})
    module.nvmlInit = module.nvmlShutdown = lambda: None

    def by_bus(bus: bytes) -> str:
        asked.append(bus)
        return 'handle'

    def memory(handle: str) -> Any:
        if total is None:
            raise module.NVMLError('Not Supported')
        return type('Memory', (), {'total': total, 'used': total // 2})

    module.nvmlDeviceGetHandleByPciBusId = by_bus
    module.nvmlDeviceGetHandleByIndex = by_bus
    module.nvmlDeviceGetMemoryInfo = memory
    return module


def test_device_is_read_from_the_driver() -> None:
    with machine(None, gpus=[GPU, {**JETSON, 'bus': None}]):
        device = device_info.read_device(1)
    assert device == device_info.DeviceInfo(
        1, 'Orin', (8, 7), 16, 62 << 30, integrated=True, cuda_driver=(13, 0), pci_bus_id=''
    )


@pytest.mark.parametrize('number', [-1, 1])
def test_missing_device_is_an_error(number: int) -> None:
    with machine(None), pytest.raises(BackendUnavailableError, match=r'device_id is .* 1 GPU'):
        device_info.read_device(number)


def test_missing_driver_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f'{name}: cannot open shared object file')

    libcuda.load.cache_clear()
    monkeypatch.setattr(ctypes, 'CDLL', missing)
    with pytest.raises(BackendUnavailableError, match=r'libcuda\.so\.1.*--gpus all'):
        device_info.read_device()
    libcuda.load.cache_clear()


@pytest.mark.parametrize(('status', 'said'), [(100, 'CUDA_VISIBLE_DEVICES'), (12345, 'CUresult')])
def test_driver_error_is_explained(
    status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def cuInit(self, flags: int) -> int:  # noqa: N802
            return status

    libcuda.load.cache_clear()
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: Failing())
    with pytest.raises(BackendUnavailableError, match=f'CUDA error {status}.*{said}'):
        device_info.read_device()
    libcuda.load.cache_clear()


@pytest.mark.parametrize(
    ('capability', 'fast'),
    [((5, 2), False), ((5, 3), True), ((6, 1), False), ((6, 2), True), ((7, 5), True),
     ((8, 7), True), ((11, 0), True)],
)  # fmt: skip
def test_fast_fp16(capability: tuple[int, int], fast: bool) -> None:
    assert device_info.has_fast_fp16(capability) is fast


def test_memory_is_read_from_nvml_by_pci_bus_id() -> None:
    asked: list[Any] = []
    with machine(None):
        sys.modules['pynvml'] = nvml(23 << 30, asked)
        assert TensorRTEngine.get_gpu_memory_bytes() == 23 << 30
    assert asked == [b'0000:01:00.0']


def test_memory_is_read_from_the_driver_if_nvml_has_none() -> None:
    with machine(None, gpus=[JETSON]):
        sys.modules['pynvml'] = nvml(None, [])
        assert TensorRTEngine.get_gpu_memory_bytes() == 62 << 30
    with machine(None, gpus=[JETSON]):  # nor is pynvml installed
        assert TensorRTEngine.get_gpu_memory_bytes() == 62 << 30


def test_memory_of_a_jetson_without_driver_is_the_system_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_info, 'is_jetson', lambda: True)
    with machine(None, gpus=[]):
        known = device_info.get_gpu_memory_bytes()
    assert known % 1024 == 0
    assert known != device_info.LAST_RESORT_BYTES


def test_memory_is_2_gib_if_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_info, 'is_jetson', lambda: False)
    with machine(None, gpus=[]):
        assert TensorRTEngine.get_gpu_memory_bytes() == 2 << 30


def test_engine_filename_contains_the_gpu() -> None:
    with machine(None):
        assert TensorRTEngine.get_engine_filename('yolo') == 'yolo.cc_8.6_sm_82.engine'
        name = TensorRTEngine.get_engine_filename('yolo', int8=True)
    assert name == 'yolo.cc_8.6_sm_82.int8.engine'
