# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM as an event to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

__all__ = ['STOP_SIGNALS', 'SignalWatch']

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """
    Sets an event when a signal comes, until close(); make it in the main thread.

    Python runs a handler in the main thread, between two steps of what that is doing. So a handler
    that sets an event waits for ever if the main thread holds the event's lock, which two signals
    at once bring about; and it does not run at all while the main thread waits, if the signal came
    just before, or in another thread. Here the C code that takes the signal, in whatever thread,
    writes its number to a socket, and a thread of this class sets the event
    (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).

    Several watches close in reverse order. A process that is forked, and not replaced by another
    program, shares the socket and with it the event.

    :param event: to set.
    :param numbers: the signals.
    :raises ValueError: outside the main thread.
    """

    def __init__(
        self, event: threading.Event, numbers: Sequence[signal.Signals] = STOP_SIGNALS
    ) -> None:
        self._event = event
        self._numbers = tuple(numbers)
        self._resources = ExitStack()
        with ExitStack() as undo:
            self._reader, writer = socket.socketpair()
            undo.callback(self._reader.close)
            undo.callback(writer.close)
            writer.setblocking(False)
            self._fd_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            undo.callback(signal.set_wakeup_fd, self._fd_before)
            # There has to be a handler, or the signal would end the process.
            self._before: dict[signal.Signals, Any] = {}
            undo.callback(self._restore)
            for number in numbers:
                self._before[number] = signal.signal(number, _do_nothing)
            thread = threading.Thread(target=self._watch, name='signals', daemon=True)
            thread.start()
            undo.pop_all()
        # In reverse: no signal writes any more, the thread reads the end, and then is gone.
        self._resources.callback(self._reader.close)
        self._resources.callback(thread.join)
        self._resources.callback(writer.close)
        self._resources.callback(signal.set_wakeup_fd, self._fd_before)
        self._resources.callback(self._restore)

    def ignore(self) -> None:
        """
        Ignore the signals from here on, which close() does not undo.

        A second one may come while Python ends, and would then kill: launch sends one of its own
        after that of the terminal.
        """
        self._before = {}
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)

    def close(self) -> None:
        """
        Let the signals do what they did before; calling it again does nothing.

        :raises ValueError: outside the main thread; the watch goes on.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ValueError('a watch of signals is closed in the main thread, as it was made')
        self._resources.close()

    def _restore(self) -> None:
        """Put back the handlers; one that was not Python's is unknown to it."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _watch(self) -> None:
        """Set the event when the number of a signal arrives; a closed socket reads empty."""
        while numbers := self._reader.recv(64):
            if set(numbers) & set(self._numbers):
                self._event.set()
            others = bytes(number for number in numbers if number not in self._numbers)
            if others and self._fd_before >= 0:
                # Those of an outer watch, or of whoever had the socket before.
                with suppress(OSError):
                    os.write(self._fd_before, others)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal: the socket has its number already."""
