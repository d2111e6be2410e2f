# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM as an event to wait for."""

from __future__ import annotations

from collections.abc import Sequence
import signal
import socket
import threading

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

    :param event: to set.
    :param numbers: the signals.
    :raises ValueError: outside the main thread.
    """

    def __init__(
        self, event: threading.Event, numbers: Sequence[signal.Signals] = STOP_SIGNALS
    ) -> None:
        self._event = event
        self._numbers = tuple(numbers)
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name='signals', daemon=True)
        self._thread.start()
        # There has to be a handler, or the signal would end the process.
        self._before = {number: signal.signal(number, lambda *_: None) for number in numbers}

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
        """Let the signals do what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._writer.close()
        self._thread.join()
        self._reader.close()

    def _watch(self) -> None:
        """Set the event when the number of a signal arrives; a closed socket reads empty."""
        while numbers := self._reader.recv(64):
            if set(numbers) & set(self._numbers):
                self._event.set()
