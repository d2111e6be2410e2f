# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Values drawn from the bytes of a fuzzer."""

from __future__ import annotations

from collections.abc import Sequence
import struct
from typing import TypeVar

_T = TypeVar('_T')


class ByteReader:
    """
    Reader that makes values of bytes; past their end every value is the smallest.

    :param data: bytes of the fuzzer.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """True if no byte is left."""
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """Read so many bytes, filled up with zeros."""
        part = self._data[self._at : self._at + count]
        self._at += count
        return part.ljust(count, b'\0')

    def rest(self) -> bytes:
        """Read all bytes that are left."""
        part = self._data[self._at :]
        self._at = len(self._data)
        return part

    def integer(self, size: int = 1, *, signed: bool = False) -> int:
        """Read an integer of so many bytes."""
        return int.from_bytes(self.take(size), 'little', signed=signed)

    def flag(self) -> bool:
        """Read a boolean."""
        return bool(self.integer() & 1)

    def choice(self, items: Sequence[_T]) -> _T:
        """Read one of some items."""
        return items[self.integer(1 if len(items) < 256 else 2) % len(items)]

    def number(self) -> float:
        """Read a double of any kind: NaN and infinities included."""
        return float(struct.unpack('<d', self.take(8))[0])

    def text(self, errors: str = 'replace') -> str:
        """
        Read a text with its length before it.

        :param errors: 'replace', or 'surrogateescape' for a text that is not Unicode.
        """
        return self.take(self.integer()).decode('utf-8', errors)
