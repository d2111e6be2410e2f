# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Take serialized messages of rclpy subscriptions into memory of our own."""

from __future__ import annotations

from collections.abc import Mapping
import ctypes
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...image.reusable_memory import ReusableMemory
from .buffer_pool import BufferPool

__all__ = ['SerializedTaker', 'TakenMessage']

TakenMessage = tuple[npt.NDArray[np.uint8], ReusableMemory, Mapping[str, Any]]

# From rcl/types.h.
_OK = 0
_TAKE_FAILED = 401
_UNSUPPORTED = 2**64 - 1

_Reallocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
_Deallocate = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_Allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
_ZeroAllocate = ctypes.CFUNCTYPE(
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p
)


class _Allocator(ctypes.Structure):
    """rcutils_allocator_t."""

    _fields_ = (
        ('allocate', _Allocate),
        ('deallocate', _Deallocate),
        ('reallocate', _Reallocate),
        ('zero_allocate', _ZeroAllocate),
        ('state', ctypes.c_void_p),
    )


class _SerializedMessage(ctypes.Structure):
    """rcutils_uint8_array_t."""

    _fields_ = (
        ('buffer', ctypes.c_void_p),
        ('buffer_length', ctypes.c_size_t),
        ('buffer_capacity', ctypes.c_size_t),
        ('allocator', _Allocator),
    )


class _MessageInfo(ctypes.Structure):
    """rmw_message_info_t; the gid has 24 bytes in Humble, of which the last ones are zero."""

    _fields_ = (
        ('source_timestamp', ctypes.c_int64),
        ('received_timestamp', ctypes.c_int64),
        ('publication_sequence_number', ctypes.c_uint64),
        ('reception_sequence_number', ctypes.c_uint64),
        ('gid_implementation', ctypes.c_void_p),
        ('gid', ctypes.c_uint8 * 16),
        ('rest', ctypes.c_uint8 * 48),
    )


class _ErrorText(ctypes.Structure):
    """rcutils_error_string_t."""

    _fields_ = (('text', ctypes.c_char * 1024),)


class _Rcl:
    """The functions of rcl, which rclpy has loaded already."""

    def __init__(self) -> None:
        self.take = ctypes.CDLL('librcl.so').rcl_take_serialized_message
        self.take.argtypes = (
            ctypes.c_void_p,
            ctypes.POINTER(_SerializedMessage),
            ctypes.POINTER(_MessageInfo),
            ctypes.c_void_p,
        )
        self.take.restype = ctypes.c_int32
        utilities = ctypes.CDLL('librcutils.so')
        self._get_error = utilities.rcutils_get_error_string
        self._get_error.argtypes = ()
        self._get_error.restype = _ErrorText
        self._reset_error = utilities.rcutils_reset_error

    def take_error(self) -> str:
        """Return the text of the last error in this thread, and forget it."""
        text = bytes(self._get_error().text).decode(errors='replace')
        self._reset_error()
        return text


@cache
def _load_rcl() -> _Rcl:
    """
    Load the functions.

    :raises OSError, AttributeError: if they are not there.
    """
    return _Rcl()


class SerializedTaker:
    """
    Takes the messages of one subscription as they were sent, without the interpreter's lock.

    rclpy holds the lock while the middleware writes a message, and then copies it to an object of
    Python; for an image of 1920x1080 that is 1 to 3 ms in which no other thread of the process can
    run. Used by one thread.

    :param subscription: of rclpy.
    :raises OSError, AttributeError: if rcl cannot be called.
    """

    def __init__(self, subscription: Any) -> None:
        self._rcl = _load_rcl()
        self._handle = subscription.handle
        self._handle.pointer  # noqa: B018 raises AttributeError if there is none
        self._pool = BufferPool()
        self._memory: ReusableMemory | None = None
        self._info = _MessageInfo()
        self._message = _SerializedMessage(
            allocator=_Allocator(
                # rcl asks for all four, but only makes a message larger.
                _Allocate(lambda _size, _state: None),
                _Deallocate(lambda _pointer, _state: None),
                _Reallocate(self._grow),
                _ZeroAllocate(lambda _count, _size, _state: None),
                None,
            )
        )

    def take(self) -> TakenMessage | None:
        """
        Take a message.

        :return: the message with its encapsulation, uint8 (n,), valid until the last reference to
            it; the memory that it is in; and its message info as of rclpy. None without a message.
        :raises RuntimeError: if the middleware reports an error.
        """
        self._use(self._pool.take())
        with self._handle:
            outcome = self._rcl.take(
                self._handle.pointer,
                ctypes.byref(self._message),
                ctypes.byref(self._info),
                None,
            )
        memory, self._memory = self._memory, None
        if memory is None:
            raise MemoryError('no memory for a message')
        if outcome != _OK:
            self._pool.put(memory)
            text = self._rcl.take_error()
            if outcome == _TAKE_FAILED:
                return None
            raise RuntimeError(f'cannot take a message (rcl error {outcome}): {text}')
        return self._pool.lend(memory, self._message.buffer_length), memory, self._make_info()

    def close(self) -> None:
        """Release the memory, each part as soon as no message uses it."""
        self._pool.close()

    def _use(self, memory: ReusableMemory) -> int:
        """Let the message be written to this memory; return the address."""
        self._memory = memory
        self._message.buffer = memory.address
        self._message.buffer_length = 0
        self._message.buffer_capacity = memory.size
        return memory.address

    def _grow(self, _pointer: int, size: int, _state: int) -> int | None:
        """Replace the memory, which is too small; called by rcl."""
        try:
            memory, self._memory = self._memory, None
            if memory is not None:
                memory.retired = True
            return self._use(self._pool.take(size))
        except (MemoryError, OSError, ValueError):
            return None

    def _make_info(self) -> dict[str, Any]:
        """Make the message info; None is a number that the middleware does not have."""
        info = self._info
        published, received = info.publication_sequence_number, info.reception_sequence_number
        return {
            'source_timestamp': info.source_timestamp,
            'received_timestamp': info.received_timestamp,
            'publisher_gid': {'data': bytes(info.gid)},
            'publication_sequence_number': None if published == _UNSUPPORTED else published,
            'reception_sequence_number': None if received == _UNSUPPORTED else received,
        }
