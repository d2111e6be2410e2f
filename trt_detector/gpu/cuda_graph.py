# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Stream capture: work captured as a CUDA graph once, then launched with one driver call.

pycuda has no stream capture. So the driver is called with ctypes in the current context, with
either CUDA bindings (CUDA Driver API, "Graph Management" and "Stream Management").
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from typing import Any

from ..errors import EngineError
from . import driver as libcuda
from .cuda_errors import make_engine_error

__all__ = ['CaptureError', 'CudaGraph', 'capture_graph']

# CU_STREAM_CAPTURE_MODE_RELAXED: the captured runtime may allocate memory, and other threads may
# make any call.
_RELAXED = 2
_NODE_MEMCPY, _NODE_HOST = 1, 3
_MEMORY_HOST, _MEMORY_DEVICE, _MEMORY_UNIFIED = 1, 2, 4
_ATTRIBUTE_MEMORY_TYPE = 2


class CaptureError(EngineError):
    """Work that cannot be captured as a CUDA graph."""


class _CopySide(ctypes.Structure):
    """Source or destination fields of CUDA_MEMCPY3D."""

    _fields_ = (
        ('x_bytes', ctypes.c_size_t), ('y', ctypes.c_size_t), ('z', ctypes.c_size_t),
        ('level', ctypes.c_size_t), ('memory_type', ctypes.c_int), ('host', ctypes.c_void_p),
        ('device', ctypes.c_void_p), ('array', ctypes.c_void_p), ('reserved', ctypes.c_void_p),
        ('pitch', ctypes.c_size_t), ('height', ctypes.c_size_t),
    )  # fmt: skip


class _Copy(ctypes.Structure):
    """Structure CUDA_MEMCPY3D."""

    _fields_ = (
        ('source', _CopySide), ('target', _CopySide), ('width_bytes', ctypes.c_size_t),
        ('height', ctypes.c_size_t), ('depth', ctypes.c_size_t),
    )  # fmt: skip


class CudaGraph:
    """
    Captured work, ready to launch.

    The context in which it was captured must be current for every call.

    :param driver: libcuda.
    :param executable: the CUgraphExec.
    """

    def __init__(self, driver: Any, executable: ctypes.c_void_p) -> None:
        self._driver = driver
        self._executable: ctypes.c_void_p | None = executable

    def launch(self, stream: Any) -> None:
        """
        Queue the work in a stream; returns at once.

        :raises EngineError: if the driver reports an error, or the graph is closed.
        """
        if self._executable is None:
            raise EngineError('launch() on a closed CUDA graph')
        status = self._driver.cuGraphLaunch(self._executable, ctypes.c_void_p(stream.handle))
        if status:
            error = EngineError(_explain(self._driver, status))
            raise make_engine_error('cuGraphLaunch failed', error)

    def close(self) -> None:
        """Free the graph, which must not be running; calling it again does nothing."""
        executable, self._executable = self._executable, None
        if executable is not None:
            self._driver.cuGraphExecDestroy(executable)


def capture_graph(stream: Any, work: Callable[[], object]) -> CudaGraph:
    """
    Capture the work that a function queues in a stream; nothing of it runs.

    Only work on device memory is accepted: a copy from host memory would read that memory again
    at each launch, and a host function would be called again.

    :param stream: from :func:`.context.make_stream`.
    :param work: function that queues the work; it must not wait for the device.
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
    Check that a graph does not depend on the host.

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
            raise CaptureError('the network calls host functions')
        if kind.value == _NODE_MEMCPY:
            copy = _Copy()
            _check(driver, 'cuGraphMemcpyNodeGetParams', node, ctypes.byref(copy))
            if not all(_on_device(driver, side) for side in (copy.source, copy.target)):
                raise CaptureError('the network copies from or to host memory')


def _on_device(driver: Any, side: _CopySide) -> bool:
    """Return whether the source or destination of a copy is device memory."""
    if side.memory_type != _MEMORY_UNIFIED:
        return bool(side.memory_type != _MEMORY_HOST)
    kind = ctypes.c_uint()
    status = driver.cuPointerGetAttribute(
        ctypes.byref(kind), _ATTRIBUTE_MEMORY_TYPE, ctypes.c_void_p(side.device)
    )
    return status == 0 and kind.value == _MEMORY_DEVICE


def _destroy(driver: Any, graph: ctypes.c_void_p) -> None:
    """Free a captured graph."""
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
    """Return the driver's description of an error."""
    text = ctypes.c_char_p()
    driver.cuGetErrorString(status, ctypes.byref(text))
    words = (text.value or b'unknown error').decode()
    return f'{words} (CUDA error {status})'
