# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Double of the library libnvidia-ml.so.1, which the real pynvml calls."""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import importlib.util
import sys
from types import SimpleNamespace
from typing import Any

__all__ = ['DISCRETE', 'make_nvml']

# Values of a discrete GPU under load, by the function of pynvml.
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
# nvmlReturn_t of nvml.h.
_SUCCESS, _NOT_SUPPORTED, _NOT_FOUND = 0, 3, 6
_HANDLE = 0x1234


def _load_pynvml() -> Any:
    """Load another copy of pynvml, so that the imported one never calls the double."""
    found = importlib.util.find_spec('pynvml')
    assert found is not None
    assert found.origin is not None
    spec = importlib.util.spec_from_file_location('pynvml_of_double', found.origin)
    assert spec is not None
    assert spec.loader is not None
    # It looks for itself there.
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_PYNVML = _load_pynvml()


def make_nvml(
    answers: dict[str, Any] | None = None,
    *,
    bus: str = '0000:01:00.0',
    gpus: int = 1,
    lacks: frozenset[str] = frozenset(),
    driver_lacks: frozenset[str] = frozenset(),
) -> Any:
    """
    Create a pynvml that calls a double of the library; only the last one can be used.

    :param answers: value by function of pynvml; a function that is not in it is not supported by
        the GPU, a dict is asked with the second argument.
    :param bus: of the only GPU that is found by its bus.
    :param gpus: how many there are.
    :param lacks: functions that this release of pynvml does not have at all.
    :param driver_lacks: functions that the library of an older driver does not have.
    """
    library = _Library(DISCRETE if answers is None else answers, bus, gpus, driver_lacks)
    _PYNVML.nvmlLib = library
    _PYNVML._nvmlGetFunctionPointer_cache.clear()
    return _Pynvml(library, lacks)


class _Pynvml:
    """
    Module pynvml, without some of its functions.

    :param library: double of the library, for the tests.
    :param lacks: names of the functions.
    """

    def __init__(self, library: _Library, lacks: frozenset[str]) -> None:
        self.library = library
        self._lacks = lacks

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            raise AttributeError(name)
        return getattr(_PYNVML, name)


class _Library:
    """
    Double of libnvidia-ml.so.1: functions of nvml.h, called as ctypes calls them.

    :param answers: see :func:`make_nvml`.
    """

    def __init__(
        self, answers: dict[str, Any], bus: str, gpus: int, lacks: frozenset[str]
    ) -> None:
        self._answers, self._bus, self._gpus, self._lacks = answers, bus, gpus, lacks
        self.starts = self.stops = self.asked = 0

    def nvmlInitWithFlags(self, flags: int) -> int:  # noqa: N802
        self.starts += 1
        return _SUCCESS

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.stops += 1
        return _SUCCESS

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._gpus
        return _SUCCESS

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, device: Any) -> int:  # noqa: N802
        return self._give(device, 0 <= index.value < self._gpus)

    def nvmlDeviceGetHandleByPciBusId_v2(self, bus: Any, device: Any) -> int:  # noqa: N802
        return self._give(device, bus.value == self._bus.encode())

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name not in DISCRETE or name in self._lacks:
            raise AttributeError(name)

        def ask(device: Any, *arguments: Any) -> int:
            assert _address_of(device) == _HANDLE
            assert self.starts == 1, 'NVML is started once'
            self.asked += 1
            if name not in self._answers:
                return _NOT_SUPPORTED
            _fill(self._answers[name], arguments)
            return _SUCCESS

        # pynvml keeps the functions, as it may with those of ctypes.
        return ask

    def _give(self, device: Any, found: bool) -> int:
        """Give the handle of the GPU."""
        if not found:
            return _NOT_FOUND
        _set_address(device._obj)
        return _SUCCESS


def _set_address(handle: Any) -> None:
    """Set a handle, which is a pointer to an opaque structure."""
    ctypes.cast(ctypes.byref(handle), ctypes.POINTER(ctypes.c_void_p))[0] = _HANDLE


def _address_of(handle: Any) -> int | None:
    """Return the address that a handle has."""
    return ctypes.cast(handle, ctypes.c_void_p).value


def _fill(answer: Any, arguments: tuple[Any, ...]) -> None:
    """Write an answer to the arguments of a function: a number, some numbers, text or fields."""
    if isinstance(answer, str):
        arguments[0].value = answer.encode()
    elif isinstance(answer, tuple):
        for target, value in zip(arguments, answer, strict=True):
            target._obj.value = value
    elif isinstance(answer, SimpleNamespace):
        for name, value in vars(answer).items():
            setattr(arguments[0]._obj, name, value)
    elif isinstance(answer, dict):
        arguments[1]._obj.value = answer[arguments[0].value]
    elif hasattr(arguments[-1]._obj, 'temperature'):
        assert arguments[-1]._obj.version, 'the version of the structure is not set'
        arguments[-1]._obj.temperature = answer
    else:
        arguments[-1]._obj.value = answer
