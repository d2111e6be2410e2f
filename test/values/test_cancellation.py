# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that a long call is interrupted once, and only by its event."""

from __future__ import annotations

import threading

from trt_detector.values.cancellation import interrupt_on


def test_event_interrupts_the_call() -> None:
    cancel, interrupted = threading.Event(), threading.Event()
    calls = []

    def interrupt() -> None:
        calls.append(threading.current_thread().name)
        interrupted.set()

    with interrupt_on(cancel, interrupt):
        cancel.set()
        assert interrupted.wait(20)
    assert calls == ['cancellation']


def test_nothing_is_interrupted_without_the_event() -> None:
    calls: list[int] = []
    cancel = threading.Event()
    with interrupt_on(cancel, lambda: calls.append(1)):
        pass
    cancel.set()
    with interrupt_on(None, lambda: calls.append(2)):
        pass
    assert calls == []
    assert 'cancellation' not in [thread.name for thread in threading.enumerate()]
