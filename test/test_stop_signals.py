# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The event that SIGINT and SIGTERM set, and what a second signal does at the worst moment."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from trt_detector.stop_signals import StopEvent

# Sends a second signal at the n-th step of waiting and of handling the first, for every n.
# A handler that waits for a lock of the code that it interrupted ends this with the stacks.
SIGNALS_AT_EVERY_STEP = """
import faulthandler, os, signal, sys, threading
from trt_detector.stop_signals import set_on_signals, StopEvent

def send_at(step):
    left = [step]

    def trace(_frame, _event, _argument):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGTERM)
        return trace

    return trace, left

for step in range(1, 1000):
    faulthandler.dump_traceback_later(20, exit=True)
    event = StopEvent()
    set_on_signals(event)
    trace, left = send_at(step)
    first = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
    first.start()
    sys.settrace(trace)
    event.wait()
    sys.settrace(None)
    first.join()
    assert event.is_set()
    if left[0] > 0:
        break
print('steps', step)
"""


def test_a_second_signal_at_any_step_of_the_first_is_taken() -> None:
    done = subprocess.run(
        [sys.executable, '-c', SIGNALS_AT_EVERY_STEP], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    word, steps = done.stdout.split()
    assert word == 'steps'
    assert 5 < int(steps) < 999, 'the second signal has to meet the code, and to pass it'


def test_signals_set_the_event_and_can_be_ignored() -> None:
    code = (
        'import signal\n'
        'from trt_detector.stop_signals import ignore_signals, set_on_signals, StopEvent\n'
        'event = StopEvent()\n'
        'set_on_signals(event, [signal.SIGTERM])\n'
        'assert not event.is_set() and not event.wait(0) and not event.wait(-1)\n'
        'signal.raise_signal(signal.SIGTERM)\n'
        'assert event.is_set() and event.wait() and event.wait(0)\n'
        'ignore_signals()\n'
        'signal.raise_signal(signal.SIGTERM)\n'
        'signal.raise_signal(signal.SIGINT)\n'
        'print("alive")\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, 'alive\n'), done.stderr


def test_everyone_who_waits_is_woken() -> None:
    event = StopEvent()
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda: woken.append(event.wait(30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert not woken
    event.set()
    for thread in threads:
        thread.join(30)
    assert woken == [True] * 4


def test_it_stays_set() -> None:
    event = StopEvent()
    event.set()
    with pytest.raises(NotImplementedError, match='stays set'):
        event.clear()
    assert event.is_set()
