# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while a library calls Python."""

from __future__ import annotations

import signal
import threading

import pytest
from trt_detector.trt.interrupts import deferred_interrupt


def test_an_interrupt_is_passed_on_and_the_handler_restored() -> None:
    received: list[BaseException] = []
    with deferred_interrupt(received.append):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert [type(error) for error in received] == [KeyboardInterrupt] * 2
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_the_handler_is_restored_after_an_error() -> None:
    with pytest.raises(ValueError, match='of the caller'), deferred_interrupt(lambda _: None):
        raise ValueError('of the caller')
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_handler_and_another_thread_are_left_alone() -> None:
    handled: list[int] = []
    own = signal.signal(signal.SIGINT, lambda number, _: handled.append(number))
    try:
        with deferred_interrupt(lambda _: pytest.fail('passed on')):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, own)
    assert handled == [signal.SIGINT]

    def run() -> None:
        with deferred_interrupt(lambda _: None):
            handlers.append(signal.getsignal(signal.SIGINT))

    handlers: list[object] = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
