# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A whole machine of doubles: driver, CUDA bindings and one TensorRT, found by imports."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import gc
import sys
from types import ModuleType
from typing import Any
from unittest import mock

from support import device_memory
from trt_detector.gpu import context as gpu_cuda
from trt_detector.gpu import device_info
from trt_detector.gpu import driver as libcuda
from trt_detector.trt import plugins

from doubles.api_records import load_record
from doubles.cuda_bindings_double import make_bindings
from doubles.cuda_double import CudaDouble, DriverDouble
from doubles.graph_double import GraphDriverDouble
from doubles.trt_double import make_tensorrt, World

GPU = {
    'name': 'Double 0', 'cc': (8, 6), 'sm_count': 82, 'memory': 24 << 30, 'bus': '0000:01:00.0'
}  # fmt: skip


_NO_TENSORRT = dict.fromkeys(('tensorrt', 'tensorrt_rtx', 'tensorrt_lean'))


class LibcudaDouble(DriverDouble, GraphDriverDouble):
    """A double of the driver's library: the GPUs that it tells of, and its CUDA graphs."""

    def __init__(
        self, cuda: CudaDouble, gpus: list[dict[str, Any]], cuda_version: int = 13000
    ) -> None:
        DriverDouble.__init__(self, gpus, cuda_version)
        GraphDriverDouble.__init__(self, cuda)
        self._cuda = cuda

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:  # noqa: N802
        free._obj.value = self._cuda.limit_bytes - self._cuda.taken_bytes
        total._obj.value = self._cuda.limit_bytes
        return 0

    def cuMemHostRegister_v2(self, address: Any, size: Any, flags: int) -> int:  # noqa: N802
        return self._cuda.register(address.value, size.value, mapped=bool(flags & 2))

    def cuMemHostUnregister(self, address: Any) -> int:  # noqa: N802
        return self._cuda.unregister(address.value)

    def cuMemHostGetDevicePointer_v2(self, device: Any, address: Any, flags: int) -> int:  # noqa: N802
        assert flags == 0
        if address.value not in self._cuda.mapped_blocks:
            return 1
        device._obj.value = address.value
        return 0


@contextlib.contextmanager
def machine(
    personality: str | None,
    *,
    gpus: list[dict[str, Any]] | None = None,
    limit_bytes: int = 1 << 34,
    cuda_bindings: str = 'pycuda',
    cuda_version: int = 13000,
    **behavior: Any,
) -> Iterator[World]:
    """
    Make this process believe that it has a GPU and a TensorRT.

    :param personality: one of records.PERSONALITIES, None for a machine without TensorRT.
    :param gpus: its GPUs, [] for none; each a dict like GPU.
    :param cuda_bindings: the bindings that are installed, 'pycuda', 'cuda_python' or ''.
    :param cuda_version: of the driver, as cuDriverGetVersion gives it.
    :param behavior: fields of World.
    """
    gpus = [GPU] if gpus is None else gpus
    cuda = CudaDouble(devices=len(gpus), limit_bytes=limit_bytes)
    modules: dict[str, Any] = {**_NO_TENSORRT, 'pynvml': None}
    modules |= _bindings(cuda, cuda_bindings)
    record = load_record(personality or 'tensorrt-10.3')
    capability = gpus[0]['cc'] if gpus else (8, 6)
    world = World(record, cuda, **{'compute_capability': capability, **behavior})
    if personality is not None:
        modules[record.module] = make_tensorrt(world)
    with (
        _modules(modules),
        mock.patch.object(libcuda, 'load', return_value=LibcudaDouble(cuda, gpus, cuda_version)),
        mock.patch.dict(gpu_cuda._PRIMARY, clear=True),
        mock.patch.object(plugins, '_LOADED', set()),
    ):
        yield world
        gc.collect()
        assert world.crashes == []
        assert world.logger_faults == []


@contextlib.contextmanager
def _modules(modules: dict[str, Any]) -> Iterator[None]:
    """
    Put modules in the place of those of these names, None for a name that cannot be imported.

    Modules of other names that are imported meanwhile stay: mock.patch.dict would remove them,
    and a second import would make a second module with classes and state of its own.
    """
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def _bindings(cuda: CudaDouble, installed: str) -> dict[str, Any]:
    """Return the modules of the CUDA bindings, None for those that are not installed."""
    names = ['pycuda', 'pycuda.driver', 'cuda', 'cuda.bindings', 'cuda.bindings.driver']
    modules: dict[str, Any] = dict.fromkeys(names)
    if installed == 'pycuda':
        modules |= {name: ModuleType(name) for name in names[:1]}
        modules['pycuda'].VERSION_TEXT = '2026.1'
        modules['pycuda'].driver = modules['pycuda.driver'] = cuda.module()
    elif installed == 'cuda_python':
        modules |= {name: ModuleType(name) for name in names[2:4]}
        modules['cuda'].bindings = modules['cuda.bindings']
        modules['cuda.bindings'].__version__ = '13.0.0'
        modules['cuda.bindings'].driver = modules['cuda.bindings.driver'] = make_bindings(cuda)
    return modules


class RealCuda:
    """State for the double of TensorRT that executes on the memory of a real GPU."""

    def require_context(self, what: str) -> None:
        """Refuse what needs a current context in this thread."""
        if device_memory.get_context() is None:
            raise AssertionError(f'{what}: no CUDA context is current in this thread')

    def read(self, address: int, nbytes: int, stream: Any) -> bytes:
        """Read device memory inside a kernel."""
        return device_memory.read(address, nbytes)

    def write(self, address: int, data: bytes, stream: Any) -> None:
        """Write device memory inside a kernel."""
        device_memory.write(address, data)

    def is_capturing(self, handle: int) -> bool:
        """Return False: no test of a double on a real GPU captures TensorRT for RTX."""
        return False

    def drain(self, handle: int) -> None:
        """Do nothing: enqueue() has waited."""

    def enqueue(self, handle: int, work: Any) -> None:
        """Run a kernel behind all that was queued before."""
        device_memory.synchronize()
        work()
        # A copy to the device may end after the call, and streams do not wait for it.
        device_memory.synchronize()


@contextlib.contextmanager
def machine_with_real_cuda(personality: str, **behavior: Any) -> Iterator[World]:
    """Put a double of TensorRT on a machine whose GPU, driver and CUDA bindings are real."""
    record = load_record(personality)
    capability = device_info.read_device(0).compute_capability
    world = World(record, RealCuda(), compute_capability=capability, **behavior)
    modules: dict[str, Any] = dict(_NO_TENSORRT)
    modules[record.module] = make_tensorrt(world)
    with _modules(modules):
        yield world
