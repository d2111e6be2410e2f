# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Lock for work on one device that threads of a process must not do at the same time.

Opening or closing a runtime, and the first run of a network, make calls that CUDA refuses while
another stream of the context is being captured, and they invalidate that capture (seen with ONNX
Runtime and cuDNN: both sides fail). Copies, allocations and later runs do not disturb a capture.
So the first round of a warm-up holds the lock. If the warm-up is off, live images run first, and
they do not take the lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import contextlib
import threading

__all__ = ['build_in_progress', 'device_lock', 'is_build_in_progress']

_LOCK = threading.Lock()
_DEVICE_LOCKS: dict[int, threading.RLock] = {}
_BUILDS: Counter[int] = Counter()


@contextlib.contextmanager
def device_lock(device_id: int) -> Iterator[None]:
    """
    Hold the lock of a device, which is reentrant.

    It is meant for short operations: opening, capturing, closing.

    :param device_id: number of the device.
    """
    with _LOCK:
        lock = _DEVICE_LOCKS.setdefault(device_id, threading.RLock())
    with lock:
        yield


@contextlib.contextmanager
def build_in_progress(device_id: int) -> Iterator[None]:
    """
    Mark a build of an engine for a device, which takes minutes and does not hold the lock.

    :param device_id: number of the device.
    """
    # A build must not begin during a capture.
    with device_lock(device_id), _LOCK:
        _BUILDS[device_id] += 1
    try:
        yield
    finally:
        with _LOCK:
            _BUILDS[device_id] -= 1


def is_build_in_progress(device_id: int) -> bool:
    """
    Return whether an engine is being built for a device.

    No build begins as long as the caller holds the device's lock.
    """
    with _LOCK:
        return _BUILDS[device_id] > 0
