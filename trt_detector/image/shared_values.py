# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Values that are computed once for several threads."""

from __future__ import annotations

from collections.abc import Callable, Hashable
import threading
from typing import Any

__all__ = ['SharedValues']


class _Entry:
    """
    Value of one key.

    :ivar value: the value in a list, which is empty before it is computed.
    """

    __slots__ = ('lock', 'value')

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value: list[Any] = []


class SharedValues:
    """
    Values that belong to one image, computed by the first thread that needs them; thread-safe.

    They live as long as this object.
    """

    __slots__ = ('_entries', '_lock')

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """
        Get the value of a key; other threads that want it wait while it is computed.

        :param compute: called without arguments if there is no value yet. If it raises, there is
            still none, and the next thread computes it.
        :raises Exception: the error of compute.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
        with entry.lock:
            if not entry.value:
                entry.value.append(compute())
            return entry.value[0]
