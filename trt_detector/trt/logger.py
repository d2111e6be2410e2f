# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's log: passed on to Python's, and kept to be put into the errors it explains."""

from __future__ import annotations

from collections import deque
import logging
import threading
from typing import Any
import weakref

from .library import TensorRTLibrary

__all__ = ['LogLines', 'make_logger']

_LOG = logging.getLogger('trt_detector.tensorrt')
_LEVELS = {
    'INTERNAL_ERROR': logging.ERROR,
    'ERROR': logging.ERROR,
    'WARNING': logging.WARNING,
    'INFO': logging.DEBUG,
    'VERBOSE': logging.NOTSET,
}
_KEPT = 200
_LOCK = threading.Lock()
_LOGGERS: dict[Any, tuple[Any, weakref.WeakSet[LogLines]]] = {}


def _pass_on(severity: str, text: str) -> None:
    """Give a line to Python's logging; the least severe are not worth it."""
    level = _LEVELS.get(severity, logging.WARNING)
    if level > logging.NOTSET:
        _LOG.log(level, '%s', text.strip())


class LogLines:
    """The last errors and warnings of TensorRT; any thread may add one."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=_KEPT)

    def add(self, severity: str, text: str) -> None:
        """Keep a line if it is a warning or worse."""
        if _LEVELS.get(severity, logging.WARNING) >= logging.WARNING:
            self._lines.append((severity, text.strip()))

    def errors(self) -> tuple[str, ...]:
        """Return the errors so far, doubled ones once."""
        errors = (text for severity, text in tuple(self._lines) if severity.endswith('ERROR'))
        return tuple(dict.fromkeys(errors))

    def explain(self, most: int = 5) -> str:
        """Return ': ' and the last errors on one line, or '' if there was none."""
        errors = self.errors()[-most:]
        return ': ' + ' | '.join(errors) if errors else ''

    def clear(self) -> None:
        """Forget the lines of an earlier step."""
        self._lines.clear()


def make_logger(library: TensorRTLibrary, lines: LogLines) -> Any:
    """
    Return the process's ILogger of a library, which writes into lines from now on.

    TensorRT keeps the first logger that it is given for as long as anything of it lives, ignores
    any other, and calls the first one even when its owner is gone. So there is one for each
    library, it is never freed, and each line goes to all who listen.
    """
    with _LOCK:
        if library.trt not in _LOGGERS:
            listeners: weakref.WeakSet[LogLines] = weakref.WeakSet()
            _LOGGERS[library.trt] = (_new_logger(library, listeners), listeners)
        logger, listeners = _LOGGERS[library.trt]
        listeners.add(lines)
    return logger


def _new_logger(library: TensorRTLibrary, listeners: weakref.WeakSet[LogLines]) -> Any:
    """Return an ILogger that passes each line on."""
    base: Any = library.trt.ILogger

    class _Logger(base):
        def __init__(self) -> None:
            # Without the trampoline's own constructor the first log line crashes the process.
            base.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            _pass_on(severity.name, msg)
            for lines in tuple(listeners):
                lines.add(severity.name, msg)

    return _Logger()
