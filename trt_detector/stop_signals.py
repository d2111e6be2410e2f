# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM as an event to wait for."""

from __future__ import annotations

from collections.abc import Sequence
import queue
import signal
import threading
from types import FrameType

__all__ = ['ignore_signals', 'set_on_signals', 'StopEvent', 'STOP_SIGNALS']

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopEvent(threading.Event):
    """
    An event that signal handlers may set; once set it stays so.

    A handler runs in the main thread between any two steps of what that is doing. An event of
    Python's own takes a lock in ``set`` and in ``wait``, and waits for itself if a handler comes
    while it holds that: Ctrl-C under ``ros2 launch`` sends two signals within microseconds. The
    queue here is of the kind whose ``put`` may interrupt itself
    (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put).
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()

    def is_set(self) -> bool:
        """Return whether it has been set."""
        return self._is_set

    def set(self) -> None:
        """Set it, from any thread or handler."""
        self._is_set = True
        self._tokens.put(None)

    def clear(self) -> None:
        """
        Refuse: a handler could set it at the same moment.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError('a StopEvent stays set; make a new one')

    def wait(self, timeout: float | None = None) -> bool:
        """
        Wait until it is set.

        :param timeout: seconds at most; None waits as long as it takes.
        :return: whether it is set.
        """
        if self._is_set:
            return True
        try:
            self._tokens.get(timeout=None if timeout is None else max(0.0, timeout))
        except queue.Empty:
            return self._is_set
        self._tokens.put(None)  # for others who wait
        return True


def set_on_signals(event: StopEvent, numbers: Sequence[signal.Signals] = STOP_SIGNALS) -> None:
    """
    Let signals set an event, and do nothing else; call it in the main thread.

    :raises ValueError: in another thread.
    """

    def set_event(_number: int, _frame: FrameType | None) -> None:
        event.set()

    for number in numbers:
        signal.signal(number, set_event)


def ignore_signals(numbers: Sequence[signal.Signals] = STOP_SIGNALS) -> None:
    """
    Ignore signals from here on; call it in the main thread.

    A second one may come while Python ends, and would then kill: launch sends one of its own after
    that of the terminal.

    :raises ValueError: in another thread.
    """
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
