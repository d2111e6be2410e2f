# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory for the messages of one subscription, reused once nothing refers to a message."""

from __future__ import annotations

from collections import deque
import weakref

import numpy as np
import numpy.typing as npt

from ...image.reusable_memory import ReusableMemory
from ...values.recent_peak import RecentPeak

__all__ = ['BufferPool']

# Messages differ by the length of their strings, e.g. frame_id.
_ROUND_TO = 4096
# Free memory that is kept; in progress are the images of a batch or two and a queued one.
_MOST_FREE = 4


class BufferPool:
    """
    Pool of memory for messages.

    :meth:`take` and :meth:`lend` are for one thread; the memory comes back in any thread.
    """

    def __init__(self) -> None:
        self._free: deque[ReusableMemory] = deque()
        self._size = RecentPeak()
        self._closed = False

    def take(self, size: int = 0) -> ReusableMemory:
        """
        Take memory.

        :param size: bytes that are needed; if it is 0, as many as for recent messages.
        """
        size = max(size, self._size.kept)
        while self._free:
            memory = self._free.pop()
            fits = size <= memory.size <= 2 * size + _ROUND_TO
            if fits and len(self._free) < _MOST_FREE:
                return memory
            memory.retired = True
        return ReusableMemory(-(-max(size, 1) // _ROUND_TO) * _ROUND_TO)

    def put(self, memory: ReusableMemory) -> None:
        """Put memory back that was not lent."""
        self._free.append(memory)

    def lend(self, memory: ReusableMemory, length: int) -> npt.NDArray[np.uint8]:
        """
        Lend the first bytes of memory until the last reference to them.

        :param memory: from :meth:`take`.
        :param length: number of bytes.
        :return: uint8 (length,). Views of it count as references.
        """
        self._size.note(length)
        # Its base is no array: a view of an array whose base is an array refers to that base only.
        lent = np.frombuffer(memory.map, np.uint8, length)
        weakref.finalize(lent, self._give_back, memory).atexit = False
        return lent

    def clear(self) -> None:
        """Release the memory that is free."""
        while self._free:
            self._free.pop().retired = True

    def close(self) -> None:
        """Release all memory, each as soon as it is free."""
        self._closed = True
        self.clear()

    def _give_back(self, memory: ReusableMemory) -> None:
        """Take memory back after the last reference to what was lent."""
        memory.retired = self._closed
        if not self._closed:
            self._free.append(memory)
