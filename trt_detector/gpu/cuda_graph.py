# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
The work of a stream as a CUDA graph: recorded once, then queued with one call of the driver.

pycuda cannot record, so the driver is called by ctypes, in the context that pycuda made current
(CUDA Driver API, "Graph Management" and "Stream Management").
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from typing import Any

from ..errors import EngineError
from . import driver as libcuda

__all__ = ['CaptureError', 'CudaGraph', 'capture_graph']

# A runtime may still take memory while it is recorded; other threads go on undisturbed.
_RELAXED = 2
_NODE_MEMCPY, _NODE_HOST = 1, 3
_MEMORY_HOST, _MEMORY_DEVICE, _MEMORY_UNIFIED = 1, 2, 4
_ATTRIBUTE_MEMORY_TYPE = 2


class CaptureError(EngineError):
    """Work that cannot be recorded, or not be repeated from the record."""


class _CopySide(ctypes.Structure):
    """One half of CUDA_MEMCPY3D."""

    _fields_ = (
        ('x_bytes', ctypes.c_size_t), ('y', ctypes.c_size_t), ('z', ctypes.c_size_t),
        ('level', ctypes.c_size_t), ('memory_type', ctypes.c_int), ('host', ctypes.c_void_p),
        ('device', ctypes.c_void_p), ('array', ctypes.c_void_p), ('reserved', ctypes.c_void_p),
        ('pitch', ctypes.c_size_t), ('height', ctypes.c_size_t),
    )  # fmt: skip


class _Copy(ctypes.Structure):
    """CUDA_MEMCPY3D."""

    _fields_ = (
        ('source', _CopySide), ('target', _CopySide), ('width_bytes', ctypes.c_size_t),
        ('height', ctypes.c_size_t), ('depth', ctypes.c_size_t),
    )  # fmt: skip


class CudaGraph:
    """
    Recorded work, ready to launch.

    The context in which it was recorded has to be current for every call.

    :param driver: libcuda.
    :param executable: the CUgraphExec.
    """

    def __init__(self, driver: Any, executable: ctypes.c_void_p) -> None:
        self._driver = driver
        self._executable: ctypes.c_void_p | None = executable

    def launch(self, stream: Any) -> None:
        """
        Queue the work in the order of a stream; returns at once.

        :raises EngineError: if the driver refuses, or the graph is closed.
        """
        if self._executable is None:
            raise EngineError('a CUDA graph was launched after close()')
        status = self._driver.cuGraphLaunch(self._executable, ctypes.c_void_p(stream.handle))
        if status:
            raise EngineError(f'cuGraphLaunch failed: {_explain(self._driver, status)}')

    def close(self) -> None:
        """Free it, once nothing of it runs any more; calling it again does nothing."""
        executable, self._executable = self._executable, None
        if executable is not None:
            self._driver.cuGraphExecDestroy(executable)


def capture_graph(stream: Any, work: Callable[[], object]) -> CudaGraph:
    """
    Record what work() queues in a stream; nothing of it runs.

    Only work on device memory is taken: a copy from host memory reads that memory again with
    each launch, whatever it holds by then, and a host function would be called again.

    :param stream: from :func:`.cuda.make_stream`.
    :param work: must not wait for the device.
    :raises CaptureError: with the reason; the stream can be used again.
    """
    driver = libcuda.load()
    handle, graph = ctypes.c_void_p(stream.handle), ctypes.c_void_p()
    _check(driver, 'cuStreamBeginCapture_v2', handle, _RELAXED)
    try:
        work()
    except Exception as error:
        driver.cuStreamEndCapture(handle, ctypes.byref(graph))
        _destroy(driver, graph)
        raise CaptureError(f'{type(error).__name__}: {error}') from error
    try:
        _check(driver, 'cuStreamEndCapture', handle, ctypes.byref(graph))
        _refuse_host_memory(driver, graph)
        executable = ctypes.c_void_p()
        _check(
            driver, 'cuGraphInstantiateWithFlags', ctypes.byref(executable), graph,
            ctypes.c_ulonglong(0),
        )  # fmt: skip
    finally:
        _destroy(driver, graph)
    return CudaGraph(driver, executable)


def _refuse_host_memory(driver: Any, graph: ctypes.c_void_p) -> None:
    """
    Refuse a graph that depends on the host.

    :raises CaptureError: if it does.
    """
    count = ctypes.c_size_t()
    _check(driver, 'cuGraphGetNodes', graph, None, ctypes.byref(count))
    nodes = (ctypes.c_void_p * count.value)()
    _check(driver, 'cuGraphGetNodes', graph, nodes, ctypes.byref(count))
    for address in nodes:
        node, kind = ctypes.c_void_p(address), ctypes.c_int()
        _check(driver, 'cuGraphNodeGetType', node, ctypes.byref(kind))
        if kind.value == _NODE_HOST:
            raise CaptureError('the network calls functions of the host')
        if kind.value == _NODE_MEMCPY:
            copy = _Copy()
            _check(driver, 'cuGraphMemcpyNodeGetParams', node, ctypes.byref(copy))
            if not all(_on_device(driver, side) for side in (copy.source, copy.target)):
                raise CaptureError('the network copies from or to host memory')


def _on_device(driver: Any, side: _CopySide) -> bool:
    """Return whether one end of a copy lies in device memory."""
    if side.memory_type != _MEMORY_UNIFIED:
        return bool(side.memory_type != _MEMORY_HOST)
    kind = ctypes.c_uint()
    status = driver.cuPointerGetAttribute(
        ctypes.byref(kind), _ATTRIBUTE_MEMORY_TYPE, ctypes.c_void_p(side.device)
    )
    return status == 0 and kind.value == _MEMORY_DEVICE


def _destroy(driver: Any, graph: ctypes.c_void_p) -> None:
    """Free what was recorded."""
    if graph.value:
        driver.cuGraphDestroy(graph)


def _check(driver: Any, function: str, *arguments: Any) -> None:
    """
    Call the driver.

    :raises CaptureError: if it fails, or the driver is too old to have it.
    """
    try:
        call = getattr(driver, function)
    except AttributeError as error:
        raise CaptureError(f'this driver has no {function}') from error
    status = call(*arguments)
    if status:
        raise CaptureError(f'{function} failed: {_explain(driver, status)}')


def _explain(driver: Any, status: int) -> str:
    """Return the driver's words for an error."""
    text = ctypes.c_char_p()
    driver.cuGetErrorString(status, ctypes.byref(text))
    words = (text.value or b'unknown error').decode()
    return f'{words} (CUDA error {status})'
