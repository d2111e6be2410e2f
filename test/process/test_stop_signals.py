# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The event that SIGINT and SIGTERM set, and signals at the worst moments."""

from __future__ import annotations

import subprocess
import sys

# A signal that is lost, or a thread that waits for itself, ends these with the stacks.
START = """
import faulthandler, os, signal, sys, threading
from trt_detector.process.stop_signals import SignalWatch

faulthandler.dump_traceback_later(20, exit=True)
event = threading.Event()
# Shells start what runs in the background with SIGINT ignored.
first = signal.getsignal(signal.SIGINT)
"""
# A second signal at the n-th step of waiting for and of handling the first, for every n.
AT_EVERY_STEP = """
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
    event = threading.Event()
    watch = SignalWatch(event)
    trace, left = send_at(step)
    first = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
    first.start()
    sys.settrace(trace)
    event.wait()
    sys.settrace(None)
    first.join()
    watch.close()
    if left[0] > 0:
        break
print('steps', step)
"""
# The main thread never takes it: so it is when the kernel chooses another.
IN_ANOTHER_THREAD = """
ready = threading.Event()
taker = threading.Thread(target=lambda: (ready.set(), event.wait(15)))
taker.start()
ready.wait()
watch = SignalWatch(event)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
event.wait()
taker.join()
print('woken')
"""
ONE_AFTER_THE_OTHER = """
before = signal.getsignal(signal.SIGTERM)
outer = SignalWatch(event, [signal.SIGTERM])
inner_event = threading.Event()
inner = SignalWatch(inner_event, [signal.SIGINT])
signal.raise_signal(signal.SIGINT)
assert inner_event.wait(10) and not event.is_set()
signal.raise_signal(signal.SIGTERM)
assert event.wait(10), 'the outer watch lost its signal'
event.clear()
inner.close()
inner.close()
assert signal.getsignal(signal.SIGINT) is first
signal.raise_signal(signal.SIGTERM)
assert event.wait(10)
outer.close()
assert signal.getsignal(signal.SIGTERM) is before
assert signal.set_wakeup_fd(-1) == -1
print('threads', threading.active_count())
"""
ELSEWHERE = """
import gc, warnings
warnings.simplefilter('error')
errors = []
def make():
    try:
        SignalWatch(event)
    except ValueError as error:
        errors.append(error)
thread = threading.Thread(target=make)
thread.start()
thread.join()
gc.collect()
assert len(errors) == 1 and 'main thread' in str(errors[0])
assert threading.active_count() == 1
assert signal.set_wakeup_fd(-1) == -1
print('refused')
"""
HALF = """
import gc, warnings
warnings.simplefilter('error')
watch = None
try:
    watch = SignalWatch(event, [signal.SIGINT, signal.SIGKILL])
except OSError:
    pass
gc.collect()
assert watch is None
assert signal.getsignal(signal.SIGINT) is first
assert threading.active_count() == 1
assert signal.set_wakeup_fd(-1) == -1
print('undone')
"""
CLOSED_ELSEWHERE = """
watch = SignalWatch(event)
errors = []
def close():
    try:
        watch.close()
    except ValueError as error:
        errors.append(error)
thread = threading.Thread(target=close)
thread.start()
thread.join()
assert 'main thread' in str(errors[0])
signal.raise_signal(signal.SIGTERM)
assert event.wait(10), 'the watch has ended'
watch.close()
assert signal.set_wakeup_fd(-1) == -1
print('goes on')
"""
IGNORED = """
watch = SignalWatch(event)
watch.ignore()
signal.raise_signal(signal.SIGTERM)
signal.raise_signal(signal.SIGINT)
watch.close()
signal.raise_signal(signal.SIGTERM)
assert not event.is_set()
print('alive')
"""


def run(code: str) -> list[str]:
    """Return the words that code prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, '-c', START + code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_second_signal_at_any_step_of_the_first_is_taken() -> None:
    word, steps = run(AT_EVERY_STEP)
    assert word == 'steps'
    assert 5 < int(steps) < 999, 'the second signal has to meet the code, and to pass it'


def test_a_signal_in_another_thread_wakes_the_main_thread() -> None:
    assert run(IN_ANOTHER_THREAD) == ['woken']


def test_close_puts_back_what_was_there() -> None:
    assert run(ONE_AFTER_THE_OTHER) == ['threads', '1']


def test_another_thread_than_the_main_one_is_refused() -> None:
    assert run(ELSEWHERE) == ['refused']


def test_a_signal_that_cannot_be_watched_leaves_nothing() -> None:
    assert run(HALF) == ['undone']


def test_close_in_another_thread_is_refused() -> None:
    assert run(CLOSED_ELSEWHERE) == ['goes', 'on']


def test_ignored_signals_do_nothing() -> None:
    assert run(IGNORED) == ['alive']


def test_closed_terminal_ends_a_process_unless_it_was_started_with_nohup() -> None:
    code = START + (
        'watch = SignalWatch(event)\n'
        'os.kill(os.getpid(), signal.SIGHUP)\n'
        "print('set', event.wait(15 if len(sys.argv) == 1 else 0.5))\n"
    )
    command = [sys.executable, '-c', code]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (plain.returncode, plain.stdout) == (0, 'set True\n'), plain.stderr
    nohup = subprocess.run(
        ['nohup', *command, 'nohup'], capture_output=True, text=True, check=False
    )
    assert (nohup.returncode, nohup.stdout) == (0, 'set False\n'), nohup.stderr
