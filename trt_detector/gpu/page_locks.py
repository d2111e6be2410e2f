# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Page locks on the memory that images arrive in, so that the device reads it without staging."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np

from ..image.reusable_memory import ReusableMemory

__all__ = ['PageLocks']

_LOG = logging.getLogger(__name__)


class PageLocks:
    """
    Page-locked memory of images on one device; thread-safe.

    Locking costs more than one copy, so memory stays locked until no image comes there any more.
    The context of the device must be current for every call.

    :param cuda: CUDA bindings, see :func:`.context.load_cuda`.
    :param mapped: let the device access the memory directly.
    """

    def __init__(self, cuda: Any, *, mapped: bool) -> None:
        self._cuda = cuda
        flags = cuda.mem_host_register_flags
        self._flags = flags.DEVICEMAP if mapped else flags.PORTABLE
        # None for memory that cannot be locked: each try would cost as much as a copy.
        self._registered: dict[ReusableMemory, Any] = {}
        self._lock = threading.Lock()

    def lock(self, memory: ReusableMemory | None) -> Any:
        """
        Lock memory, unless it is locked already.

        :return: the memory as an array as of pycuda's register_host_memory(); None if it is not
            locked.
        """
        if memory is None:
            return None
        with self._lock:
            if memory not in self._registered:
                self._release([each for each in self._registered if each.retired])
                self._registered[memory] = self._register(memory)
            return self._registered[memory]

    def close(self) -> None:
        """Unlock all memory; no copy of an image may be in progress."""
        with self._lock:
            self._release(list(self._registered))

    def _register(self, memory: ReusableMemory) -> Any:
        """Lock memory; None if that fails."""
        array = np.frombuffer(memory.map, np.uint8)
        try:
            return self._cuda.register_host_memory(array, self._flags)
        except self._cuda.Error as error:
            # Another device may have locked it, or the limit of the system is reached.
            _LOG.info('images are copied to page-locked memory: %s', error)
            return None

    def _release(self, memories: list[ReusableMemory]) -> None:
        """Unlock memory."""
        for memory in memories:
            registered = self._registered.pop(memory)
            if registered is not None:
                registered.base.unregister()
