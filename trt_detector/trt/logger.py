# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Log of TensorRT: forwarded to logging, and kept for error messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
import logging
import re
import threading
from typing import Any, NamedTuple
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
# Of the lines, in the error of this package.
_EXPLAINING = 5
# TensorRT for RTX builds without a GPU, and adds this line to each error.
_NO_GPU = re.compile(r'catchCudaError.*cudaError (35|100)\b')
_LOCK = threading.Lock()
_LOGGERS: dict[Any, tuple[Any, weakref.WeakSet[LogLines]]] = {}


def _forward(severity: str, text: str) -> None:
    """Forward a line to logging, except verbose ones."""
    level = _LEVELS.get(severity, logging.WARNING)
    if level > logging.NOTSET:
        _LOG.log(level, '%s', text.strip())


class _Line(NamedTuple):
    """Line of the log."""

    severity: str
    text: str
    thread: int

    @property
    def is_error(self) -> bool:
        """Return whether it is an error, not a warning."""
        return self.severity.endswith('ERROR')


def _texts(lines: Iterable[_Line]) -> tuple[str, ...]:
    """Return the texts of lines without duplicates."""
    return tuple(dict.fromkeys(line.text for line in lines))


class LogLines:
    """Most recent errors and warnings of TensorRT; any thread may add a line."""

    def __init__(self) -> None:
        self._lines: deque[_Line] = deque(maxlen=_KEPT)

    def add(self, severity: str, text: str) -> None:
        """Keep a line if it is a warning or worse."""
        if _LEVELS.get(severity, logging.WARNING) >= logging.WARNING:
            self._lines.append(_Line(severity, text.strip(), threading.get_ident()))

    def errors(self) -> tuple[str, ...]:
        """Return the error lines without duplicates."""
        return _texts(line for line in tuple(self._lines) if line.is_error)

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings without duplicates."""
        return _texts(line for line in tuple(self._lines) if not line.is_error)

    def errors_of_thread(self) -> tuple[str, ...]:
        """Return the error lines that calls of this thread caused, without duplicates."""
        return _texts(line for line in self._of_thread() if line.is_error)

    def warnings_of_thread(self) -> tuple[str, ...]:
        """Return the warnings that calls of this thread caused, without duplicates."""
        return _texts(line for line in self._of_thread() if not line.is_error)

    def explain(self) -> str:
        """Return ': ' and the last errors on one line, or '' if there are none."""
        every = self.errors()
        errors = [text for text in every if not _NO_GPU.search(text)] or every
        errors = errors[-_EXPLAINING:]
        return ': ' + ' | '.join(errors) if errors else ''

    def _of_thread(self) -> Iterator[_Line]:
        """Yield the lines of this thread."""
        own = threading.get_ident()
        return (line for line in tuple(self._lines) if line.thread == own)

    def clear(self) -> None:
        """Remove the lines of an earlier step."""
        self._lines.clear()


def make_logger(library: TensorRTLibrary, lines: LogLines) -> Any:
    """
    Return the ILogger of a library and add lines to its listeners.

    TensorRT keeps the first logger that it gets as long as any of its objects lives, and ignores
    all others. So there is one logger per library and process, it is never freed, and each line
    goes to all listeners.
    """
    with _LOCK:
        if library.trt not in _LOGGERS:
            listeners: weakref.WeakSet[LogLines] = weakref.WeakSet()
            _LOGGERS[library.trt] = (_new_logger(library, listeners), listeners)
        logger, listeners = _LOGGERS[library.trt]
        listeners.add(lines)
    return logger


def _new_logger(library: TensorRTLibrary, listeners: weakref.WeakSet[LogLines]) -> Any:
    """Create an ILogger that forwards each line to the listeners."""
    base: Any = library.trt.ILogger

    class _Logger(base):
        def __init__(self) -> None:
            # pybind11 trampoline: without this call the first log line crashes the process.
            base.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            _forward(severity.name, msg)
            for lines in tuple(listeners):
                lines.add(severity.name, msg)

    return _Logger()
