# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Set an event on SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

__all__ = ['SignalWatch']


def _find_stop_signals() -> tuple[signal.Signals, ...]:
    """
    List the signals that ask a process to end.

    That is SIGHUP, too, which a terminal sends when it is closed, unless it is ignored: so nohup
    starts what is to run on.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalWatch:
    """
    Sets an event when a signal arrives, until close(); created in the main thread.

    Python runs a handler in the main thread, between two bytecode instructions. So a handler that
    sets an event deadlocks if the main thread holds the lock of the event, which two signals at
    once can cause; and it does not run while the main thread waits, if the signal arrived just
    before or in another thread. Here the C signal handler writes the signal number to a socket, in
    whatever thread it runs, and a thread of this class sets the event
    (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).

    Several watches close in reverse order. A forked process that executes no other program shares
    the socket and with it the event.

    :param event: event to set.
    :param numbers: signals to watch; None for those that ask a process to end.
    :raises ValueError: outside the main thread.
    """

    def __init__(
        self, event: threading.Event, numbers: Sequence[signal.Signals] | None = None
    ) -> None:
        self._event = event
        self._numbers = _find_stop_signals() if numbers is None else tuple(numbers)
        self._resources = ExitStack()
        with ExitStack() as undo:
            self._reader, writer = socket.socketpair()
            undo.callback(self._reader.close)
            undo.callback(writer.close)
            writer.setblocking(False)
            self._fd_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            undo.callback(signal.set_wakeup_fd, self._fd_before)
            # Without a handler the signal would end the process.
            self._before: dict[signal.Signals, Any] = {}
            undo.callback(self._restore)
            for number in self._numbers:
                self._before[number] = signal.signal(number, _do_nothing)
            thread = threading.Thread(target=self._watch, name='signals', daemon=True)
            thread.start()
            undo.pop_all()
        # Called in reverse order: signals stop writing, then the thread reads the end and exits.
        self._resources.callback(self._reader.close)
        self._resources.callback(thread.join)
        self._resources.callback(writer.close)
        self._resources.callback(signal.set_wakeup_fd, self._fd_before)
        self._resources.callback(self._restore)

    def ignore(self) -> None:
        """
        Ignore the signals from now on; close() does not undo it.

        A second signal that arrives while Python exits would kill the process: launch sends one
        after that of the terminal.
        """
        self._before = {}
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)

    def close(self) -> None:
        """
        Restore the previous handlers; calling it again does nothing.

        :raises ValueError: outside the main thread; the watch continues.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ValueError('close a SignalWatch in the main thread')
        self._resources.close()

    def _restore(self) -> None:
        """Restore the handlers; one that was not set by Python becomes the default."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _watch(self) -> None:
        """Set the event when a signal number arrives; a closed socket reads empty."""
        while numbers := self._reader.recv(64):
            if set(numbers) & set(self._numbers):
                self._event.set()
            others = bytes(number for number in numbers if number not in self._numbers)
            if others and self._fd_before >= 0:
                # Signals of an outer watch, or of the previous owner of the wakeup socket.
                with suppress(OSError):
                    os.write(self._fd_before, others)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Ignore a signal: the socket has received its number already."""
