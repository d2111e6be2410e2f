# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Double of cuda.bindings.driver on the state of the double of CUDA."""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from enum import IntEnum
import functools
import re
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from doubles import cuda_double
from doubles.cuda_double import CudaDouble

__all__ = ['make_bindings']


class CUresult(IntEnum):
    """Status of a call, the first value of every result."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2


class _Handle:
    """Handle or address, which int() converts and nothing else, as in cuda.bindings."""

    def __init__(self, value: int) -> None:
        self._value = int(value)

    def __int__(self) -> int:
        return self._value


class _Driver:
    """
    Functions of cuda.bindings.driver, named as there.

    :param world: state of the GPU; its bindings_handles are the objects that are not destroyed.
    """

    def __init__(self, world: CudaDouble) -> None:
        self._world = world
        self._errors: list[str] = []
        self._handles = world.bindings_handles

    def cuInit(self, flags: int) -> None:  # noqa: N802
        assert flags == 0

    def cuGetErrorString(self, status: CUresult) -> bytes:  # noqa: N802
        assert isinstance(status, CUresult)
        return self._errors[-1].encode()

    def cuDeviceGet(self, number: int) -> _Handle:  # noqa: N802
        cuda_double.Device(self._world, number)
        return _Handle(number)

    def cuDeviceGetName(self, length: int, device: Any) -> bytes:  # noqa: N802
        return cuda_double.Device(self._world, int(device)).name().encode().ljust(length, b'\0')

    def cuDevicePrimaryCtxRetain(self, device: Any) -> Any:  # noqa: N802
        return cuda_double.Device(self._world, int(device)).retain_primary_context()

    def cuCtxPushCurrent(self, context: Any) -> None:  # noqa: N802
        context.push()

    def cuCtxPopCurrent(self) -> _Handle:  # noqa: N802
        cuda_double.pop(self._world)
        return _Handle(1)

    def cuStreamCreate(self, flags: int) -> _Handle:  # noqa: N802
        stream = cuda_double.Stream(self._world, flags)
        self._handles[stream.handle] = stream
        return _Handle(stream.handle)

    def cuStreamDestroy(self, stream: Any) -> None:  # noqa: N802
        del self._handles[int(stream)]

    def cuStreamSynchronize(self, stream: Any) -> None:  # noqa: N802
        self._handles[int(stream)].synchronize()

    def cuStreamWaitEvent(self, stream: Any, event: Any, flags: int) -> None:  # noqa: N802
        self._handles[int(stream)].wait_for_event(self._handles[int(event)])

    def cuEventCreate(self, flags: int) -> _Handle:  # noqa: N802
        return self._keep(cuda_double.Event(self._world))

    def cuEventDestroy(self, event: Any) -> None:  # noqa: N802
        del self._handles[int(event)]

    def cuEventRecord(self, event: Any, stream: Any) -> None:  # noqa: N802
        self._handles[int(event)].record(self._handles[int(stream)])

    def cuEventSynchronize(self, event: Any) -> None:  # noqa: N802
        self._handles[int(event)].synchronize()

    def cuEventElapsedTime(self, start: Any, end: Any) -> float:  # noqa: N802
        begin: cuda_double.Event = self._handles[int(start)]
        return begin.time_till(self._handles[int(end)])

    def cuMemAlloc(self, nbytes: int) -> _Handle:  # noqa: N802
        memory = cuda_double.DeviceAllocation(self._world, nbytes)
        self._handles[int(memory)] = memory
        return _Handle(int(memory))

    def cuMemFree(self, address: Any) -> None:  # noqa: N802
        self._handles.pop(int(address)).free()

    def cuMemHostAlloc(self, nbytes: int, flags: int) -> int:  # noqa: N802
        memory = cuda_double.HostAllocation(
            self._world, (nbytes,), np.dtype(np.uint8), bool(flags & 2)
        )
        address = int(memory.__array_interface__['data'][0])
        self._handles[address] = memory
        return address

    def cuMemFreeHost(self, address: int) -> None:  # noqa: N802
        self._handles.pop(address).free()

    def cuMemHostGetDevicePointer(self, address: int, flags: int) -> _Handle:  # noqa: N802
        memory: cuda_double.HostAllocation = self._handles[address]
        return _Handle(memory.get_device_pointer())

    def cuMemcpyHtoDAsync(self, target: Any, source: int, count: int, stream: Any) -> None:  # noqa: N802
        cuda_double.copy_in(
            self._world, int(target), _array(source, count), self._handles[int(stream)]
        )

    def cuMemcpyDtoHAsync(self, target: int, source: Any, count: int, stream: Any) -> None:  # noqa: N802
        cuda_double.copy_out(
            self._world, _array(target, count), int(source), self._handles[int(stream)]
        )

    def cuMemcpy2DAsync(self, copy: Any, stream: Any) -> None:  # noqa: N802
        assert (copy.srcMemoryType, copy.dstMemoryType) == (1, 2)
        work = cuda_double.Memcpy2D(self._world)
        work.src_x_in_bytes, work.src_pitch = copy.srcXInBytes, copy.srcPitch
        work.dst_x_in_bytes, work.dst_pitch = copy.dstXInBytes, copy.dstPitch
        work.width_in_bytes, work.height = copy.WidthInBytes, copy.Height
        size = copy.srcPitch * (copy.Height - 1) + copy.srcXInBytes + copy.WidthInBytes
        work.set_src_host(_array(copy.srcHost, size))
        work.set_dst_device(int(copy.dstDevice))
        work(self._handles[int(stream)])

    def cuMemsetD8Async(self, target: Any, value: int, count: int, stream: Any) -> None:  # noqa: N802
        self._world.require_context('cuMemsetD8Async')
        address, data = int(target), bytes([value]) * count
        queue = self._handles[int(stream)].queue
        queue.append(lambda: self._world.write(address, data, self._handles[int(stream)]))

    def cuModuleLoadData(self, address: int) -> _Handle:  # noqa: N802
        code = ctypes.string_at(address)
        module = cuda_double.Module(self._world, code)
        return self._keep((module, code.decode()))

    def cuModuleUnload(self, module: Any) -> None:  # noqa: N802
        del self._handles[int(module)]

    def cuModuleGetFunction(self, module: Any, name: bytes) -> Any:  # noqa: N802
        loaded, code = self._handles[int(module)]
        function = loaded.get_function(name.decode())
        sizes = re.findall(rf'\.b8 {name.decode()}_param_\d+\[(\d+)\]', code)
        function.prepare([f'{size}s' for size in sizes])
        return SimpleNamespace(function=function, sizes=[int(size) for size in sizes])

    def cuLaunchKernel(  # noqa: N802
        self, kernel: Any, grid_x: int, grid_y: int, grid_z: int, block_x: int, block_y: int,
        block_z: int, shared_bytes: int, stream: Any, parameters: int, extra: int,
    ) -> None:  # fmt: skip
        assert (shared_bytes, extra) == (0, 0)
        pointers = (ctypes.c_void_p * len(kernel.sizes)).from_address(parameters)
        values = [
            ctypes.string_at(pointer or 0, size)
            for pointer, size in zip(pointers, kernel.sizes, strict=True)
        ]
        kernel.function.prepared_async_call(
            (grid_x, grid_y, grid_z), (block_x, block_y, block_z), self._handles[int(stream)],
            *values,
        )  # fmt: skip

    def _keep(self, thing: Any) -> _Handle:
        """Store an object under a new handle."""
        number = next(self._world._handles)
        self._handles[number] = thing
        return _Handle(number)


def make_bindings(world: CudaDouble) -> ModuleType:
    """Create a module that replaces cuda.bindings.driver."""
    module: Any = ModuleType('cuda.bindings.driver')
    driver = _Driver(world)
    for name in dir(driver):
        if name.startswith('cu'):
            setattr(module, name, _with_status(driver, getattr(driver, name)))
    module.CUresult = CUresult
    module.CUevent_flags = SimpleNamespace(CU_EVENT_BLOCKING_SYNC=1, CU_EVENT_DISABLE_TIMING=2)
    module.CU_MEMHOSTALLOC_DEVICEMAP = 2
    module.CUmemorytype = SimpleNamespace(CU_MEMORYTYPE_HOST=1, CU_MEMORYTYPE_DEVICE=2)
    module.CUDA_MEMCPY2D = SimpleNamespace
    return module


def _with_status(driver: _Driver, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that returns its status and its value, as cuda.bindings does."""

    @functools.wraps(function)
    def call(*arguments: Any) -> tuple[Any, ...]:
        try:
            value = function(*arguments)
        except cuda_double.Error as error:
            driver._errors.append(str(error).partition(' failed: ')[2] or str(error))
            full = isinstance(error, cuda_double.MemoryError_)
            status = (
                CUresult.CUDA_ERROR_OUT_OF_MEMORY if full else CUresult.CUDA_ERROR_INVALID_VALUE
            )
            return (status, None)
        return (CUresult.CUDA_SUCCESS,) if value is None else (CUresult.CUDA_SUCCESS, value)

    return call


def _array(address: int, count: int) -> np.ndarray:
    """Return the host memory at an address as an array."""
    return np.frombuffer((ctypes.c_uint8 * count).from_address(address), np.uint8)
