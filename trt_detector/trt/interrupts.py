# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while C++ code calls Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import signal
import threading

__all__ = ['deferred_interrupt']


@contextmanager
def deferred_interrupt(receive: Callable[[BaseException], object]) -> Iterator[None]:
    """
    Pass the KeyboardInterrupt of Ctrl-C to a function instead of raising it.

    Python raises it in the main thread in whatever Python code runs next. While a library works,
    that is a callback of the library, and the bindings of C++ libraries print and drop exceptions
    of callbacks. In other threads, and with a SIGINT handler that does not raise it, this does
    nothing.

    :param receive: function that keeps the exception for the caller to raise.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: receive(KeyboardInterrupt()))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
