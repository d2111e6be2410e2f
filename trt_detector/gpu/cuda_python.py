# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
NVIDIA's CUDA Python (cuda.bindings) with the interface of pycuda.driver.

It has the part of that interface that this package uses, with the same names and meaning, so that
the rest of the package works with either library. As with pycuda, streams, events and modules are
destroyed with their last reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import ctypes
from functools import partial
import math
from types import SimpleNamespace
from typing import Any
import weakref

import numpy as np
import numpy.typing as npt

__all__ = ['CudaPython']


class _CudaError(Exception):
    """Error of the CUDA driver, named Error as pycuda's root of all errors."""


class CudaPython:
    """
    Replacement for pycuda.driver on top of cuda.bindings.driver.

    :param driver: the module cuda.bindings.driver.
    """

    Error = _CudaError

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        call = partial(_call, driver)
        self.init: Callable[[], None] = partial(call, 'cuInit', 0)
        self.Device = partial(_Device, call)
        self.Context = SimpleNamespace(pop=partial(call, 'cuCtxPopCurrent'))
        self.Stream = partial(_Stream, call)
        self.Event = partial(_Event, call)
        self.mem_alloc = partial(_DeviceAllocation, call)
        self.Memcpy2D = partial(_Memcpy2D, call, driver)
        flags = driver.CUevent_flags
        self.event_flags = SimpleNamespace(
            BLOCKING_SYNC=int(flags.CU_EVENT_BLOCKING_SYNC),
            DISABLE_TIMING=int(flags.CU_EVENT_DISABLE_TIMING),
        )
        self.host_alloc_flags = SimpleNamespace(DEVICEMAP=int(driver.CU_MEMHOSTALLOC_DEVICEMAP))

    def pagelocked_empty(
        self, shape: tuple[int, ...], dtype: Any, mem_flags: int = 0
    ) -> npt.NDArray[Any]:
        """Allocate a page-locked array, whose base owns the memory."""
        call = partial(_call, self._driver)
        return np.asarray(_HostAllocation(call, shape, np.dtype(dtype), mem_flags))

    def memcpy_htod_async(self, target: Any, source: npt.NDArray[Any], stream: Any) -> None:
        """Queue a copy of a page-locked array to a device address in a stream."""
        address = _host_address(source)
        _call(
            self._driver, 'cuMemcpyHtoDAsync', int(target), address, source.nbytes, stream.handle
        )

    def memcpy_dtoh_async(self, target: npt.NDArray[Any], source: Any, stream: Any) -> None:
        """Queue a copy from a device address to a page-locked array in a stream."""
        address = _host_address(target)
        _call(
            self._driver, 'cuMemcpyDtoHAsync', address, int(source), target.nbytes, stream.handle
        )

    def memset_d8_async(self, target: Any, value: int, count: int, stream: Any) -> None:
        """Queue a fill of count bytes at a device address in a stream."""
        _call(self._driver, 'cuMemsetD8Async', int(target), value, count, stream.handle)

    def module_from_buffer(self, code: bytes) -> _Module:
        """Load a module from PTX into the current context."""
        return _Module(partial(_call, self._driver), code)


def _call(driver: Any, function: str, *arguments: Any) -> Any:
    """
    Call a function of the driver; return its value, None if it has none.

    :raises _CudaError: with the driver's description if it fails.
    """
    status, *values = getattr(driver, function)(*arguments)
    if status:
        failed, text = driver.cuGetErrorString(status)
        description = 'unknown error' if failed else text.decode()
        raise _CudaError(f'{function} failed: {description} (CUDA error {int(status)})')
    return values[0] if values else None


def _host_address(array: npt.NDArray[Any]) -> int:
    """
    Return the address of an array.

    :raises ValueError: if it is not C-contiguous.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f'an array of strides {array.strides} is not contiguous')
    return int(array.__array_interface__['data'][0])


def _destroy_with(owner: Any, call: Any, function: str, handle: Any) -> None:
    """Destroy a handle with the last reference to its owner."""

    def destroy() -> None:
        # An error here is that of earlier work, which was already reported.
        getattr(call.args[0], function)(handle)

    weakref.finalize(owner, destroy).atexit = False


class _Device:
    """A GPU."""

    def __init__(self, call: Any, number: int) -> None:
        self._call = call
        self._device = call('cuDeviceGet', number)

    def name(self) -> str:
        """Return the product name."""
        return str(self._call('cuDeviceGetName', 256, self._device).split(b'\0')[0].decode())

    def retain_primary_context(self) -> SimpleNamespace:
        """Retain the primary context; its push() makes it current in the calling thread."""
        context = self._call('cuDevicePrimaryCtxRetain', self._device)
        return SimpleNamespace(push=partial(self._call, 'cuCtxPushCurrent', context))


class _Stream:
    """A stream of the current context."""

    def __init__(self, call: Any, flags: int = 0) -> None:
        self._call = call
        stream = call('cuStreamCreate', flags)
        self.handle = int(stream)
        _destroy_with(self, call, 'cuStreamDestroy', stream)

    def synchronize(self) -> None:
        """Wait for all work in the stream."""
        self._call('cuStreamSynchronize', self.handle)

    def wait_for_event(self, event: _Event) -> None:
        """Let later work in the stream wait for an event."""
        self._call('cuStreamWaitEvent', self.handle, event.handle, 0)


class _Event:
    """An event of the current context."""

    def __init__(self, call: Any, flags: int = 0) -> None:
        self._call = call
        event = call('cuEventCreate', flags)
        self.handle = int(event)
        _destroy_with(self, call, 'cuEventDestroy', event)

    def record(self, stream: _Stream) -> None:
        """Record the event at the end of a stream."""
        self._call('cuEventRecord', self.handle, stream.handle)

    def synchronize(self) -> None:
        """Wait until the device has reached the event."""
        self._call('cuEventSynchronize', self.handle)

    def time_till(self, event: _Event) -> float:
        """Return the milliseconds from this event to another one."""
        return float(self._call('cuEventElapsedTime', self.handle, event.handle))


class _DeviceAllocation:
    """Device memory; int() is its address."""

    def __init__(self, call: Any, nbytes: int) -> None:
        self._call = call
        self._address: int | None = int(call('cuMemAlloc', nbytes))

    def __int__(self) -> int:
        if self._address is None:
            raise _CudaError('device memory was used after free()')
        return self._address

    def free(self) -> None:
        """Free the memory."""
        address, self._address = int(self), None
        self._call('cuMemFree', address)


class _HostAllocation:
    """Page-locked host memory, the base of an array."""

    def __init__(
        self, call: Any, shape: tuple[int, ...], dtype: np.dtype[Any], flags: int
    ) -> None:
        self._call = call
        nbytes = max(1, math.prod(shape) * dtype.itemsize)
        self._address: int | None = int(call('cuMemHostAlloc', nbytes, flags))
        self.__array_interface__ = {
            'shape': tuple(shape), 'typestr': dtype.str, 'data': (self._address, False),
            'version': 3,
        }  # fmt: skip

    def get_device_pointer(self) -> int:
        """Return the device address of mapped memory."""
        return int(self._call('cuMemHostGetDevicePointer', self._address, 0))

    def free(self) -> None:
        """Free the memory, which invalidates the array."""
        address, self._address = self._address, None
        if address is None:
            raise _CudaError('page-locked memory was freed twice')
        self._call('cuMemFreeHost', address)


class _Memcpy2D:
    """A pitched copy from page-locked memory to the device."""

    def __init__(self, call: Any, driver: Any) -> None:
        self._call = call
        self._types = driver.CUmemorytype
        self._copy = driver.CUDA_MEMCPY2D()
        self.src_x_in_bytes = self.src_pitch = 0
        self.dst_x_in_bytes = self.dst_pitch = 0
        self.width_in_bytes = self.height = 0

    def set_src_host(self, array: npt.NDArray[Any]) -> None:
        """Set the source."""
        self._copy.srcMemoryType = self._types.CU_MEMORYTYPE_HOST
        self._copy.srcHost = _host_address(array)

    def set_dst_device(self, address: int) -> None:
        """Set the destination."""
        self._copy.dstMemoryType = self._types.CU_MEMORYTYPE_DEVICE
        self._copy.dstDevice = address

    def __call__(self, stream: _Stream) -> None:
        """Queue the copy in a stream."""
        copy = self._copy
        copy.srcXInBytes, copy.srcPitch = self.src_x_in_bytes, self.src_pitch
        copy.dstXInBytes, copy.dstPitch = self.dst_x_in_bytes, self.dst_pitch
        copy.WidthInBytes, copy.Height = self.width_in_bytes, self.height
        self._call('cuMemcpy2DAsync', copy, stream.handle)


class _Module:
    """A module in the current context."""

    def __init__(self, call: Any, code: bytes) -> None:
        self._call = call
        text = ctypes.create_string_buffer(code)
        self._module = call('cuModuleLoadData', ctypes.addressof(text))
        _destroy_with(self, call, 'cuModuleUnload', self._module)

    def get_function(self, name: str) -> _Function:
        """Return a kernel of the module."""
        return _Function(
            self, self._call, self._call('cuModuleGetFunction', self._module, name.encode())
        )


class _Function:
    """A kernel, which keeps its module loaded."""

    def __init__(self, module: _Module, call: Any, function: Any) -> None:
        self._module = module
        self._call = call
        self._function = function
        self._values: list[Any] = []
        self._pointers: Any = None

    def prepare(self, formats: Sequence[str]) -> None:
        """Set the types of the parameters, as formats of the module struct, e.g. '128s'."""
        self._values = [
            ctypes.create_string_buffer(int(text.removesuffix('s'))) for text in formats
        ]
        addresses = [ctypes.addressof(value) for value in self._values]
        self._pointers = (ctypes.c_void_p * len(addresses))(*addresses)

    def prepared_async_call(
        self, grid: tuple[int, ...], block: tuple[int, ...], stream: _Stream | None, *values: bytes
    ) -> None:
        """Queue the kernel in a stream, None for the default stream; the values are copied."""
        for target, value in zip(self._values, values, strict=True):
            ctypes.memmove(target, value, len(target))
        self._call(
            'cuLaunchKernel', self._function, *grid, *block, 0, stream.handle if stream else 0,
            ctypes.addressof(self._pointers), 0,
        )  # fmt: skip
