# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lock between processes; waiting for it can be cancelled."""

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
    Hold the lock of a file; the kernel releases it if the process dies.

    :param path: lock file.
    :param cancel: event that ends the wait.
    :param on_wait: called once if another process holds the lock.
    :raises BuildCancelledError: if cancelled.
    :raises OSError: if the file cannot be created or locked.
    """
    # Imported here: a start that finds its plan needs no lock.
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
    Hold the lock of a file if it is free.

    :param path: lock file.
    :return: whether the lock was acquired.
    :raises OSError: if the file cannot be created or locked.
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
