# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Import of the CUDA bindings on first use, and the CUDA context of a thread."""

from __future__ import annotations

import threading
from typing import Any

from ..errors import BackendUnavailableError, EngineError
from .cuda_python import CudaPython

__all__ = ['ContextScope', 'describe_bindings', 'load_cuda', 'make_stream']

# Each call of pycuda's retain_primary_context() creates a new object, which pycuda treats as a
# different context. So it is retained once per device and process, and never released: the driver
# does that at exit, when nothing of ours can still use it.
_PRIMARY: dict[int, Any] = {}
_LOCK = threading.Lock()
# CU_STREAM_NON_BLOCKING of cuda.h.
_NON_BLOCKING = 1


def load_cuda() -> Any:
    """
    Import and initialize the CUDA bindings: pycuda, or CUDA Python if pycuda is not installed.

    :return: pycuda.driver, or :class:`.cuda_python.CudaPython`, which has the same interface.
    :raises BackendUnavailableError: if neither can be imported, or CUDA cannot be initialized.
    """
    try:
        import pycuda.driver as cuda
    except (ImportError, OSError) as error:
        cuda = _load_cuda_python(f'{type(error).__name__}: {error}')
    try:
        cuda.init()
    except (cuda.Error, RuntimeError) as error:
        raise BackendUnavailableError(f'CUDA cannot be initialized: {error}') from error
    return cuda


def _load_cuda_python(reason: str) -> Any:
    """
    Import CUDA Python.

    :param reason: why pycuda cannot be imported.
    :raises BackendUnavailableError: if CUDA Python cannot be imported either.
    """
    try:
        from cuda.bindings import driver
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f'neither pycuda ({reason}) nor CUDA Python ({type(error).__name__}: {error}) can be '
            'imported; install one of them: pip install "pycuda>=2022.1" ("pycuda>=2025.1.2" for '
            'CUDA 13, which JetPack 7 has), or without a compiler: pip install cuda-bindings '
            '("cuda-bindings<13" for a driver of CUDA 12)'
        ) from error
    return CudaPython(driver)


def describe_bindings(cuda: Any) -> str:
    """Return the name and version of the CUDA bindings from :func:`load_cuda`."""
    if isinstance(cuda, CudaPython):
        from cuda import bindings

        return f'cuda-bindings {bindings.__version__}'
    import pycuda

    return f'pycuda {pycuda.VERSION_TEXT}'


def make_stream(cuda: Any) -> Any:
    """
    Create a non-blocking stream, which does not synchronize with the default stream.

    Otherwise a copy of another thread in the default stream would wait for this one, and
    invalidate a stream capture (CUDA Driver API, "Stream synchronization behavior").

    :param cuda: from :func:`load_cuda`; the stream belongs to the current context.
    """
    return cuda.Stream(_NON_BLOCKING)


class ContextScope:
    """
    Primary context of a device, current in this thread until close().

    It is the context that the CUDA runtime and its libraries use. pycuda keeps a stack of contexts
    per thread and aborts the process if a thread ends with contexts on its stack: close a scope in
    the thread that created it. Close the scopes of several devices in one thread in reverse order.

    :param cuda: from :func:`load_cuda`.
    :param device_id: number of the device.
    :raises BackendUnavailableError: if the device cannot be used.
    """

    def __init__(self, cuda: Any, device_id: int) -> None:
        self._cuda = cuda
        self._thread = threading.get_ident()
        self._open = False
        try:
            with _LOCK:
                if device_id not in _PRIMARY:
                    _PRIMARY[device_id] = cuda.Device(device_id).retain_primary_context()
            _PRIMARY[device_id].push()
        except cuda.Error as error:
            raise BackendUnavailableError(
                f'no CUDA context on device {device_id}: {error}; check with nvidia-smi that the '
                'GPU has free memory and is not in exclusive compute mode'
            ) from error
        self._open = True

    def check_thread(self) -> None:
        """
        Check that this is the thread that created the scope.

        :raises EngineError: if it is not.
        """
        if threading.get_ident() != self._thread:
            raise EngineError(
                f'an engine of thread {self._thread} was used in thread {threading.get_ident()}; '
                'create, use and close it in one thread'
            )

    def close(self) -> None:
        """Pop the context; calling it again does nothing."""
        if not self._open:
            return
        self.check_thread()
        self._open = False
        self._cuda.Context.pop()
