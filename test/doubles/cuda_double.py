# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Double of pycuda.driver: device memory is host memory, and misuse is an error."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from doubles.kernel_host import host_candidates, host_kernel

_POISON = 0xDD
_RUNNING = threading.RLock()


class Error(Exception):
    """Root of pycuda's errors."""


class LogicError(Error):
    """Error that pycuda raises for a misused context or pointer."""


class MemoryError_(Error):  # noqa: N801, N818 - stands for pycuda.driver.MemoryError
    """Error that pycuda raises if memory runs out."""


class CudaDouble:
    """
    State of a machine with some GPUs.

    Copies and kernels stay in their stream until it is synchronized, as they may on a GPU: reading
    a result too early gives the previous contents.

    :param devices: number of GPUs.
    :param limit_bytes: total device memory.
    """

    def __init__(self, *, devices: int = 1, limit_bytes: int = 1 << 34) -> None:
        self.devices = devices
        self.limit_bytes = limit_bytes
        self.registration_limit_bytes = limit_bytes
        self.stacks: dict[int, list[Any]] = {}
        self.device_blocks: dict[int, np.ndarray] = {}
        self.host_blocks: dict[int, np.ndarray] = {}
        self.mapped_blocks: dict[int, np.ndarray] = {}
        self.graveyard: list[np.ndarray] = []
        self.streams: dict[int, Stream] = {}
        self.contexts: dict[int, PrimaryContext] = {}
        self.bindings_handles: dict[int, Any] = {}
        self.graphs: dict[int, list[Any]] = {}
        self.executables: dict[int, list[Any]] = {}
        self.graph_node = 'kernel'
        self.kept_by_runtime = 0
        self.graph_launches = 0
        self.graph_runs: int | None = None
        self.fail_launch = 0
        self.faults: list[str] = []
        self.refuses_ptx = False
        self.provider_options: dict[str, str] = {}
        self.taken_bytes = 0
        self.allocations = 0
        self.copies = 0
        self.retained = 0
        self._handles = itertools.count(0x5000)

    # For the tests.

    def live(self) -> dict[str, int]:
        """Count the resources that are not freed: all zeros after a clean close."""
        return {
            'device allocations': len(self.device_blocks),
            'host allocations': len(self.host_blocks),
            'streams': len(self.streams),
            'handles of cuda.bindings': len(self.bindings_handles),
            'graphs': len(self.graphs) + len(self.executables),
            'memory that the runtime keeps until a synchronous run': self.kept_by_runtime,
            'pushed contexts': sum(len(stack) for stack in self.stacks.values()),
        }

    def assert_clean(self) -> None:
        """Fail if anything is still allocated or was misused."""
        assert not any(self.live().values()), self.live()
        assert self.faults == []
        assert self.taken_bytes == 0

    # For the doubles of pycuda and TensorRT.

    def stack(self) -> list[Any]:
        """Return this thread's stack of contexts."""
        return self.stacks.setdefault(threading.get_ident(), [])

    def require_context(self, what: str) -> None:
        """Raise an error if no context is current in this thread."""
        if not self.stack():
            raise LogicError(
                f'{what} failed: invalid device context - no currently active context?'
            )

    def take(self, nbytes: int) -> None:
        """Count device memory, or raise as a full GPU does."""
        if self.taken_bytes + nbytes > self.limit_bytes:
            raise MemoryError_('cuMemAlloc failed: out of memory')
        self.taken_bytes += nbytes
        self.allocations += 1

    def device_block(self, address: int) -> np.ndarray:
        """Return the live device or mapped memory that begins at an address."""
        block = self.device_blocks.get(address, self.mapped_blocks.get(address))
        if block is None:
            raise LogicError(f'an illegal memory access was encountered at {address:#x}')
        return block

    def read(self, address: int, nbytes: int, stream: Stream) -> bytes:
        """Read device memory inside a kernel."""
        block = self.device_block(address)
        if nbytes > block.nbytes:
            raise LogicError('an illegal memory access was encountered: read past the end')
        return block[:nbytes].tobytes()

    def write(self, address: int, data: bytes, stream: Stream) -> None:
        """Write device memory inside a kernel."""
        block = self.device_block(address)
        if len(data) > block.nbytes:
            raise LogicError('an illegal memory access was encountered: write past the end')
        block[: len(data)] = np.frombuffer(data, np.uint8)

    def enqueue(self, handle: int, work: Any) -> None:
        """Queue a kernel in the stream of a handle."""
        if handle not in self.streams:
            raise LogicError(f'invalid stream handle {handle:#x}')
        self.streams[handle].queue.append(work)

    def is_capturing(self, handle: int) -> bool:
        """Return whether a stream is being captured."""
        return self.streams[handle].capture_from is not None

    def drain(self, handle: int) -> None:
        """Synchronize the stream of a handle, as a runtime does internally."""
        record = self.streams[handle]
        if record.capture_from is not None:
            record.capture_broken = True
            raise LogicError('cudaStreamSynchronize failed: the stream is capturing')
        _run(record.queue, lambda: False)

    def register(self, address: int, size: int, *, mapped: bool) -> int:
        """Lock the pages of host memory as cuMemHostRegister does; return its status."""
        if not self.stack():
            return 201
        if size > self.registration_limit_bytes:
            return 2
        for base, block in self.host_blocks.items():
            if base < address + size and address < base + block.nbytes:
                return 712
        block = np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)
        self.host_blocks[address] = block
        if mapped:
            self.mapped_blocks[address] = block
        return 0

    def unregister(self, address: int) -> int:
        """Unlock host memory as cuMemHostUnregister does; return its status."""
        if not self.stack():
            return 201
        if self.host_blocks.pop(address, None) is None:
            return 713
        self.mapped_blocks.pop(address, None)
        return 0

    def is_pinned(self, array: np.ndarray) -> bool:
        """Return whether an array lies in live page-locked memory."""
        start = array.__array_interface__['data'][0]
        return any(
            base <= start and start + array.nbytes <= base + block.nbytes
            for base, block in self.host_blocks.items()
        )

    def module(self) -> ModuleType:
        """Create a module that replaces pycuda.driver."""
        module: Any = ModuleType('pycuda.driver')
        world = self
        module.Error, module.LogicError, module.MemoryError = Error, LogicError, MemoryError_
        module.init = lambda flags=0: None
        module.Device = lambda number: Device(world, number)
        module.Stream = lambda flags=0: Stream(world, flags)
        module.Context = type('Context', (), {'pop': staticmethod(lambda: pop(world))})
        module.mem_alloc = lambda nbytes: DeviceAllocation(world, nbytes)

        def pagelocked_empty(
            shape: Any, dtype: Any, order: str = 'C', mem_flags: int = 0
        ) -> np.ndarray:
            # As with pycuda, the base of the array is the allocation itself.
            return np.asarray(HostAllocation(world, shape, np.dtype(dtype), bool(mem_flags & 2)))

        def memcpy_htod_async(dest: Any, src: np.ndarray, stream: Stream | None = None) -> None:
            copy_in(world, int(dest), src, stream)

        def memcpy_dtoh_async(dest: np.ndarray, src: Any, stream: Stream | None = None) -> None:
            copy_out(world, dest, int(src), stream)

        def memset_d8_async(
            dest: Any, data: int, count: int, stream: Stream | None = None
        ) -> None:
            world.require_context('cuMemsetD8Async')
            address = int(dest)
            _queue(world, stream).append(
                lambda: world.write(address, bytes([data]) * count, stream)
            )

        module.Memcpy2D = lambda: Memcpy2D(world)
        module.Event = lambda flags=0: Event(world)
        module.event_flags = SimpleNamespace(BLOCKING_SYNC=1, DISABLE_TIMING=2)
        module.host_alloc_flags = SimpleNamespace(DEVICEMAP=2)
        module.module_from_buffer = lambda buffer: Module(world, buffer)
        module.pagelocked_empty = pagelocked_empty
        module.memcpy_htod_async = memcpy_htod_async
        module.memcpy_dtoh_async = memcpy_dtoh_async
        module.memset_d8_async = memset_d8_async
        return module


class Memcpy2D:
    """A copy of rows from page-locked memory to the device."""

    def __init__(self, world: CudaDouble) -> None:
        self._world = world
        self.src_x_in_bytes = self.dst_x_in_bytes = 0
        self.src_pitch = self.dst_pitch = self.width_in_bytes = self.height = 0

    def set_src_host(self, array: np.ndarray) -> None:
        """Copy from an array."""
        _check_array(self._world, array)
        self._source = array

    def set_dst_device(self, address: int) -> None:
        """Copy to an address."""
        self._target = address

    def __call__(self, stream: Stream) -> None:
        """Queue the copy; it reads the host when it runs."""
        world, width = self._world, self.width_in_bytes
        world.require_context('cuMemcpy2DAsync')
        assert self.src_x_in_bytes + width <= self.src_pitch
        assert self.dst_x_in_bytes + width <= self.dst_pitch
        world.copies += 1
        rows = [
            (self.src_x_in_bytes + i * self.src_pitch, self.dst_x_in_bytes + i * self.dst_pitch)
            for i in range(self.height)
        ]
        source, target = self._source, world.device_block(self._target)

        def work() -> None:
            if not world.is_pinned(source):
                raise LogicError('cuMemcpy2DAsync: the host memory was freed before the copy')
            for first, second in rows:
                target[second : second + width] = source[first : first + width]

        stream.queue.append(work)


def pop(world: CudaDouble) -> None:
    """Pop this thread's context."""
    if not world.stack():
        raise LogicError('context::pop failed: invalid device context - cannot pop an empty stack')
    world.stack().pop()


def copy_in(world: CudaDouble, address: int, src: np.ndarray, stream: Stream | None) -> None:
    """Queue a copy to the device; it reads the host when it runs."""
    world.require_context('cuMemcpyHtoDAsync')
    world.copies += 1
    _check_array(world, src)
    queue = _queue(world, stream)

    def work() -> None:
        if not world.is_pinned(src):
            raise LogicError('cuMemcpyHtoDAsync: the host memory was freed before the copy')
        world.write(address, src.tobytes(), stream)

    queue.append(work)


def copy_out(world: CudaDouble, dest: np.ndarray, address: int, stream: Stream | None) -> None:
    """Queue a copy to the host."""
    world.require_context('cuMemcpyDtoHAsync')
    world.copies += 1
    _check_array(world, dest)
    queue = _queue(world, stream)

    def work() -> None:
        if not world.is_pinned(dest):
            raise LogicError('cuMemcpyDtoHAsync: the host memory was freed before the copy')
        data = world.read(address, dest.nbytes, stream)
        dest.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)

    queue.append(work)


def _check_array(world: CudaDouble, array: np.ndarray) -> None:
    """Check an array as pycuda and an asynchronous copy do."""
    if not array.flags.c_contiguous:
        raise ValueError('ndarray is not contiguous')
    if not world.is_pinned(array):
        raise LogicError('an asynchronous copy of memory that is not page-locked blocks')


def _queue(world: CudaDouble, stream: Stream | None) -> list[Any]:
    """Return the queue of a stream; the default stream is an error, as it synchronizes."""
    if stream is None:
        raise LogicError('a copy in the default stream synchronizes with every other one')
    return stream.queue


class Device:
    """A GPU."""

    def __init__(self, world: CudaDouble, number: int) -> None:
        if not 0 <= number < world.devices:
            raise LogicError('cuDeviceGet failed: invalid device ordinal')
        self._world, self._number = world, number

    def name(self) -> str:
        """Return the product name."""
        return f'Double {self._number}'

    def retain_primary_context(self) -> PrimaryContext:
        """Return a new object for the same context, as pycuda does."""
        self._world.retained += 1
        return PrimaryContext(self._world, self._number)


class PrimaryContext:
    """The primary context of a GPU."""

    def __init__(self, world: CudaDouble, number: int) -> None:
        self._world, self.number = world, number

    def push(self) -> None:
        """Make it current in this thread."""
        self._world.stack().append(self)


class Stream:
    """A queue of work that runs at synchronize()."""

    def __init__(self, world: CudaDouble, flags: int = 0) -> None:
        world.require_context('cuStreamCreate')
        self._world = world
        self.queue: list[Any] = []
        self.handle = next(world._handles)
        # The world must not keep it alive: streams are looked up by handle.
        world.streams[self.handle] = _StreamRecord(self.queue, flags)

    def synchronize(self) -> None:
        """Run the queued work in order."""
        self._world.require_context('cuStreamSynchronize')
        self._world.drain(self.handle)

    def wait_for_event(self, event: Event) -> None:
        """Let later work wait for an event."""
        self._world.require_context('cuStreamWaitEvent')
        self.queue.append(event.waiter())

    def __del__(self) -> None:
        record = self._world.streams.pop(getattr(self, 'handle', 0), None)
        if record is not None and not self._world.stack():
            self._world.faults.append('a stream was dropped with no context current: it leaks')
            self._world.streams[self.handle] = record


def _run(queue: list[Any], enough: Any) -> None:
    """Run a queue in order until enough(); after an error the rest is discarded."""
    # A stream that waits for an event runs the stream of another thread up to that event.
    with _RUNNING:
        try:
            while queue and not enough():
                queue.pop(0)()
        except BaseException:
            queue.clear()
            raise


class Event:
    """Event in a stream, reached when all work before it has run."""

    def __init__(self, world: CudaDouble) -> None:
        world.require_context('cuEventCreate')
        self._world = world
        self._passed: list[bool] = [True]
        self._when_s: list[float] = []
        self._queue: list[Any] = []

    def record(self, stream: Stream) -> Event:
        """Record the event at the end of a stream."""
        self._world.require_context('cuEventRecord')
        passed = self._passed = [False]
        when_s = self._when_s = []
        self._queue = stream.queue

        def pass_mark() -> None:
            passed[0] = True
            when_s.append(time.perf_counter())

        stream.queue.append(pass_mark)
        return self

    def waiter(self) -> Any:
        """Return work that runs the stream up to the current position of the event."""
        passed, queue = self._passed, self._queue
        return lambda: _run(queue, lambda: passed[0])

    def synchronize(self) -> None:
        """Run the stream up to the event only."""
        self._world.require_context('cuEventSynchronize')
        self.waiter()()

    def time_till(self, event: Event) -> float:
        """Return the milliseconds between two events that were reached."""
        self._world.require_context('cuEventElapsedTime')
        if not self._when_s or not event._when_s:
            raise LogicError('cuEventElapsedTime failed: device not ready')
        return (event._when_s[0] - self._when_s[0]) * 1e3


class Module:
    """Module whose kernels are compiled for the host from the sources of this package."""

    def __init__(self, world: CudaDouble, ptx: bytes) -> None:
        world.require_context('cuModuleLoadData')
        if world.refuses_ptx:
            raise LogicError('cuModuleLoadDataEx failed: the provided PTX was compiled with an '
                             'unsupported toolchain.')  # fmt: skip
        self._world, self._ptx = world, ptx

    def get_function(self, name: str) -> Function:
        """Return a kernel."""
        assert f'.entry {name}'.encode() in self._ptx
        return (
            Letterbox(self._world) if name == 'letterbox' else CandidateKernel(self._world, name)
        )


class Function:
    """A kernel."""

    def __init__(self, world: CudaDouble) -> None:
        self._world = world
        self._sizes: list[int] = []

    def prepare(self, formats: list[str]) -> None:
        """Note the sizes of the parameters."""
        self._sizes = [int(text.removesuffix('s')) for text in formats]


class CandidateKernel(Function):
    """A kernel of candidates.cu."""

    def __init__(self, world: CudaDouble, name: str) -> None:
        super().__init__(world)
        self._kernel = host_candidates(name)

    def prepared_async_call(self, grid: Any, block: Any, stream: Stream, plane: bytes) -> None:
        """Queue the kernel."""
        self._world.require_context('cuLaunchKernel')
        assert [len(plane)] == self._sizes
        stream.queue.append(lambda: self._kernel(plane, grid, block))


class Letterbox(Function):
    """The kernel of letterbox.cu."""

    def __init__(self, world: CudaDouble) -> None:
        super().__init__(world)
        self._kernel = host_kernel()

    def prepared_async_call(
        self, grid: Any, block: Any, stream: Stream, jobs: bytes, spec: bytes
    ) -> None:
        """Queue the kernel; its parameters are copied at once, as a launch does."""
        self._world.require_context('cuLaunchKernel')
        assert [len(jobs), len(spec)] == self._sizes
        assert block == (32, 8, 1)
        stream.queue.append(lambda: self._kernel(jobs, spec, grid))


class _StreamRecord:
    """State of a stream that exists."""

    def __init__(self, queue: list[Any], flags: int) -> None:
        self.queue = queue
        self.flags = flags
        self.capture_from: int | None = None
        self.capture_broken = False


class DeviceAllocation:
    """Device memory."""

    def __init__(self, world: CudaDouble, nbytes: int) -> None:
        world.require_context('cuMemAlloc')
        world.take(nbytes)
        block = np.full(nbytes, _POISON, np.uint8)
        self._world, self._nbytes = world, nbytes
        self._address: int | None = block.__array_interface__['data'][0]
        world.device_blocks[self._address] = block

    def __int__(self) -> int:
        if self._address is None:
            raise LogicError('device memory was used after free()')
        return self._address

    def free(self) -> None:
        """Free the memory; later uses read poison."""
        self._world.require_context('cuMemFree')
        if self._address is None:
            raise LogicError('device memory was freed twice')
        block = self._world.device_blocks.pop(self._address)
        block[:] = _POISON
        # Its address is not reused, so that a stale pointer is always detected.
        self._world.graveyard.append(block)
        self._world.taken_bytes -= self._nbytes
        self._address = None


class HostAllocation:
    """Page-locked host memory; the base of the array that pagelocked_empty returns."""

    def __init__(
        self, world: CudaDouble, shape: Any, dtype: np.dtype, mapped: bool = False
    ) -> None:
        world.require_context('cuMemHostAlloc')
        self._mapped = mapped
        nbytes = int(np.prod(shape)) * dtype.itemsize
        self._world = world
        self._block: np.ndarray | None = np.full(nbytes, _POISON, np.uint8)
        self._address = self._block.__array_interface__['data'][0]
        world.host_blocks[self._address] = self._block
        if mapped:
            world.mapped_blocks[self._address] = self._block
        self.__array_interface__ = {
            'shape': tuple(np.atleast_1d(shape)),
            'typestr': dtype.str,
            'data': (self._address, False),
            'version': 3,
        }

    def get_device_pointer(self) -> int:
        """Return the address for kernels."""
        if not self._mapped:
            raise LogicError('cuMemHostGetDevicePointer failed: the memory is not mapped')
        return int(self._address)

    def free(self) -> None:
        """Free the memory; its views read poison."""
        self._world.require_context('cuMemFreeHost')
        if self._block is None:
            raise LogicError('page-locked memory was freed twice')
        block, self._block = self._block, None
        del self._world.host_blocks[self._address]
        self._world.mapped_blocks.pop(self._address, None)
        block[:] = _POISON
        self._world.graveyard.append(block)


class DriverDouble:
    """Double of libcuda.so.1 as device_info calls it with ctypes."""

    def __init__(self, devices: list[dict[str, Any]], cuda_version: int = 13000) -> None:
        self._devices = devices
        self._cuda_version = cuda_version

    @staticmethod
    def _set(reference: Any, value: int) -> int:
        reference._obj.value = value
        return 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return 0 if self._devices else 100

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        return self._set(count, len(self._devices))

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        return self._set(device, number)

    def cuDeviceGetName(self, text: Any, size: int, device: Any) -> int:  # noqa: N802
        text.value = self._devices[device.value]['name'].encode()[: size - 1]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:  # noqa: N802
        return self._set(memory, self._devices[device.value]['memory'])

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        return self._set(version, self._cuda_version)

    def cuDeviceGetAttribute(self, value: Any, number: int, device: Any) -> int:  # noqa: N802
        entry = self._devices[device.value]
        known = {16: entry['sm_count'], 18: entry.get('integrated', 0),
                 75: entry['cc'][0], 76: entry['cc'][1]}  # fmt: skip
        return self._set(value, known[number])

    def cuDeviceGetPCIBusId(self, text: Any, size: int, device: Any) -> int:  # noqa: N802
        bus = self._devices[device.value].get('bus')
        if bus is None:
            return 1
        text.value = bus.encode()[: size - 1]
        return 0
