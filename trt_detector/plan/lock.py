# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Lock between processes and threads, by flock(2) on a file.

The kernel releases it if the process dies. On NFS, Linux turns it into a lock of the server, which
works between hosts (flock(2), "NFS details"); a server without a lock service gives ENOLCK, and a
mount with nolock or local_lock excludes the processes of one host only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import fcntl
import os
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
    Hold the lock of a file.

    :param path: lock file.
    :param cancel: event that ends the wait.
    :param on_wait: called once if another process holds the lock.
    :raises BuildCancelledError: if cancelled.
    :raises OSError: if the file cannot be created or locked.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pause = cancel or threading.Event()
    waited = False
    while True:
        if pause.is_set():
            raise BuildCancelledError('cancelled before the build began')
        descriptor = _acquire(path)
        if descriptor is not None:
            break
        if not waited:
            on_wait()
            waited = True
        pause.wait(_POLL_S)
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """
    Hold the lock of a file if it is free.

    :param path: lock file.
    :return: whether the lock was acquired.
    :raises OSError: if the file cannot be created or locked.
    """
    descriptor = _acquire(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """
    Open and lock a file; None if another process or thread holds it.

    :return: descriptor that holds the lock until it is closed.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
