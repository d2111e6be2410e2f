# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that holds one image after the other."""

from __future__ import annotations

import ctypes
import mmap

__all__ = ['ReusableMemory']


class ReusableMemory:
    """
    Memory of whole pages at one address as long as this object lives.

    It is worth locking its pages for a GPU, because the next images come there, too.

    :param size: bytes.
    """

    __slots__ = ('__weakref__', 'address', 'map', 'retired', 'size')

    def __init__(self, size: int) -> None:
        self.map = mmap.mmap(-1, size)
        self.address = ctypes.addressof(ctypes.c_uint8.from_buffer(self.map))
        self.size = size
        #: No image comes there any more.
        self.retired = False
