# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Double of pynvml with the functions that the package uses."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

__all__ = ['DISCRETE', 'make_nvml']

# Values of a discrete GPU under load.
DISCRETE: dict[str, Any] = {
    'nvmlDeviceGetName': 'NVIDIA Double',
    'nvmlDeviceGetCudaComputeCapability': (9, 0),
    'nvmlDeviceGetMemoryInfo': SimpleNamespace(total=24 << 30, used=3 << 30, free=21 << 30),
    'nvmlDeviceGetTemperatureV': 61,
    'nvmlDeviceGetTemperature': 61,
    'nvmlDeviceGetUtilizationRates': SimpleNamespace(gpu=87, memory=40),
    'nvmlDeviceGetClockInfo': {1: 1755, 2: 2619},
    'nvmlDeviceGetMaxClockInfo': {1: 1980, 2: 2619},
    'nvmlDeviceGetPowerUsage': 412_500,
    'nvmlDeviceGetEnforcedPowerLimit': 700_000,
    'nvmlDeviceGetCurrentClocksEventReasons': 0x4,
    'nvmlDeviceGetCurrentClocksThrottleReasons': 0x4,
}


def make_nvml(
    answers: dict[str, Any] | None = None,
    *,
    bus: str = '0000:01:00.0',
    gpus: int = 1,
    lacks: frozenset[str] = frozenset(),
) -> Any:
    """
    Create the module.

    :param answers: value by function; a function that is not in it is not supported by the GPU,
        a value that is an exception is raised, a dict is asked with the second argument.
    :param bus: of the only GPU that is found by its bus.
    :param gpus: how many there are.
    :param lacks: functions that this release of the library does not have at all.
    """
    answers = DISCRETE if answers is None else answers
    module: Any = ModuleType('pynvml')

    class NVMLError(Exception):
        """As pynvml's."""

    class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818 pynvml's name
        """As pynvml's."""

    class NVMLError_NotFound(NVMLError):  # noqa: N801, N818 pynvml's name
        """As pynvml's."""

    module.NVMLError = NVMLError
    module.NVMLError_NotSupported = NVMLError_NotSupported
    module.NVMLError_NotFound = NVMLError_NotFound
    module.NVML_TEMPERATURE_GPU, module.NVML_CLOCK_SM, module.NVML_CLOCK_MEM = 0, 1, 2
    module.starts = module.stops = module.asked = 0

    def start() -> None:
        module.starts += 1

    def stop() -> None:
        module.stops += 1

    def by_bus(wanted: bytes) -> str:
        if wanted != bus.encode():
            raise NVMLError_NotFound('Not Found')
        return 'handle'

    def by_index(number: int) -> str:
        if not 0 <= number < gpus:
            raise NVMLError_NotFound('Not Found')
        return 'handle'

    module.nvmlInit, module.nvmlShutdown = start, stop
    module.nvmlDeviceGetHandleByPciBusId = by_bus
    module.nvmlDeviceGetHandleByIndex = by_index
    module.nvmlDeviceGetCount = lambda: gpus
    for name in DISCRETE:
        if name not in lacks:
            setattr(module, name, _function(module, name, answers))
    return module


def _function(module: Any, name: str, answers: dict[str, Any]) -> Any:
    """Return one function of the module."""

    def ask(handle: str, *arguments: int) -> Any:
        assert handle == 'handle'
        assert module.starts == 1, 'NVML is started once'
        module.asked += 1
        if name not in answers:
            raise module.NVMLError_NotSupported('Not Supported')
        answer = answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer[arguments[0]] if isinstance(answer, dict) else answer

    return ask
