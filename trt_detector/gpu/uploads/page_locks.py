# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Page locks on the memory that images arrive in, so that the device reads it without staging.

The driver is called with ctypes: pycuda's register_host_memory() fails with NumPy 2.5, because it
sets the base of an array twice.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
import logging
import threading
from typing import Any

from ...errors import BackendUnavailableError
from ...image.reusable_memory import ReusableMemory
from .. import driver as libcuda

__all__ = ['PageLock', 'PageLocks']

_LOG = logging.getLogger(__name__)

# CU_MEMHOSTREGISTER_PORTABLE and _DEVICEMAP of cuda.h.
_PORTABLE, _DEVICEMAP = 1, 2


@dataclass(frozen=True, slots=True)
class PageLock:
    """
    Lock on the pages of memory.

    :param address: address on the host.
    :param device_address: address on the device, 0 if the device has no access.
    """

    address: int
    device_address: int = 0


class PageLocks:
    """
    Locks on the pages of memory of images for one device; thread-safe.

    Locking costs more than one copy, so memory stays locked until no image comes there any more.
    The context of the device must be current for every call.

    :param mapped: let the device access the memory directly.
    """

    def __init__(self, *, mapped: bool) -> None:
        self._mapped = mapped
        # None for memory that cannot be locked: each try would cost as much as a copy.
        self._locks: dict[ReusableMemory, PageLock | None] = {}
        self._guard = threading.Lock()

    def lock(self, memory: ReusableMemory | None) -> PageLock | None:
        """
        Lock memory, unless it is locked already.

        :return: None if it cannot be locked, or is None.
        """
        if memory is None:
            return None
        with self._guard:
            if memory not in self._locks:
                self._unlock([each for each in self._locks if each.retired])
                self._locks[memory] = self._register(memory)
            return self._locks[memory]

    def close(self) -> None:
        """Unlock all memory; no copy of an image may be in progress."""
        with self._guard:
            self._unlock(list(self._locks))

    def _register(self, memory: ReusableMemory) -> PageLock | None:
        """Lock memory; None if that fails."""
        host = ctypes.c_void_p(memory.address)
        flags = _DEVICEMAP if self._mapped else _PORTABLE
        try:
            driver: Any = libcuda.load()
            libcuda.call(driver, 'cuMemHostRegister_v2', host, ctypes.c_size_t(memory.size), flags)
        except BackendUnavailableError as error:
            # Another device may have locked it, or a limit of the system is reached.
            _LOG.info('images are copied to page-locked memory first: %s', error)
            return None
        if not self._mapped:
            return PageLock(memory.address)
        device = ctypes.c_uint64()
        try:
            libcuda.call(driver, 'cuMemHostGetDevicePointer_v2', ctypes.byref(device), host, 0)
        except BackendUnavailableError as error:
            _LOG.info('the device cannot access the memory of images: %s', error)
            driver.cuMemHostUnregister(host)
            return None
        return PageLock(memory.address, device.value)

    def _unlock(self, memories: list[ReusableMemory]) -> None:
        """Unlock memory."""
        for memory in memories:
            lock = self._locks.pop(memory)
            if lock is not None:
                status = libcuda.load().cuMemHostUnregister(ctypes.c_void_p(lock.address))
                if status:
                    _LOG.warning('cuMemHostUnregister failed with CUDA error %d', status)
