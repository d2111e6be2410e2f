# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Interrupt a long call of a library when an event is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import threading

__all__ = ['interrupt_on']

_POLL_S = 0.05


@contextmanager
def interrupt_on(cancel: threading.Event | None, interrupt: Callable[[], None]) -> Iterator[None]:
    """
    Call a function of a library once if an event is set before the block ends.

    :param cancel: the event; None costs nothing.
    :param interrupt: makes the call in progress return; called in another thread.
    """
    if cancel is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_S):
            if cancel.is_set():
                interrupt()
                return

    thread = threading.Thread(target=watch, name='cancellation', daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
