# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A lock between processes whose wait can be cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
from pathlib import Path
import threading

from ..errors import BuildCancelledError

__all__ = ['hold_lock', 'try_lock']

_POLL_S = 0.1


@contextlib.contextmanager
def hold_lock(
    path: Path, *, cancel: threading.Event | None, on_wait: Callable[[], None]
) -> Iterator[None]:
    """
    Hold the lock of a file; the kernel lets go of it when the process dies.

    :param cancel: ends the wait.
    :param on_wait: called once if the lock is held elsewhere.
    :raises BuildCancelledError: if cancelled.
    :raises OSError: if the file cannot be made or locked.
    """
    # Here, because a start that finds its plan locks nothing and need not wait for the import.
    from filelock import FileLock, Timeout

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(str(path))
    pause = cancel or threading.Event()
    waited = False
    while True:
        if pause.is_set():
            raise BuildCancelledError('cancelled before the build began')
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if not waited:
                on_wait()
                waited = True
            pause.wait(_POLL_S)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """
    Hold the lock of a file if it is free now.

    :return: whether it is held.
    :raises OSError: if the file cannot be made or locked.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(str(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
