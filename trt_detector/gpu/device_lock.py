# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
What must not happen on one device at the same time, in several threads of a process.

A runtime that is opened or closed, and a network's first run, make calls that CUDA refuses while
another stream of the context is recorded, and the record breaks, too (seen with ONNX Runtime and
cuDNN: both sides fail). Copies, allocations and runs of what is warm disturb no record. So the
first round of a warm-up has the turn; where it is turned off, live images run first, and wait for
nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import contextlib
import threading

__all__ = ['building', 'is_build_in_progress', 'device_lock']

_LOCK = threading.Lock()
_TURNS: dict[int, threading.RLock] = {}
_BUILDS: Counter[int] = Counter()


@contextlib.contextmanager
def device_lock(device_id: int) -> Iterator[None]:
    """
    Wait until no other thread has the turn of a device, and keep it meanwhile.

    For what takes moments: opening, recording, closing. A thread may take its turn again.

    :param device_id: number of the device.
    """
    with _LOCK:
        turn = _TURNS.setdefault(device_id, threading.RLock())
    with turn:
        yield


@contextlib.contextmanager
def building(device_id: int) -> Iterator[None]:
    """
    Say that an engine is being built for a device, which takes minutes and so no turn.

    :param device_id: number of the device.
    """
    # Not while a record is made.
    with device_lock(device_id), _LOCK:
        _BUILDS[device_id] += 1
    try:
        yield
    finally:
        with _LOCK:
            _BUILDS[device_id] -= 1


def is_build_in_progress(device_id: int) -> bool:
    """Return whether an engine is being built for a device; ask it in a turn, then it stays so."""
    with _LOCK:
        return _BUILDS[device_id] > 0
