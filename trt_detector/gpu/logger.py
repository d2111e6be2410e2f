# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's log: passed on to Python's, and kept to be put into the errors it explains."""

from __future__ import annotations

from collections import deque
import logging
from typing import Any

from .flavour import Flavour

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


class LogLines:
    """The last errors and warnings of TensorRT; any thread may add one."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=_KEPT)

    def add(self, severity: str, text: str) -> None:
        """Keep a line if it is a warning or worse, and pass it on."""
        level = _LEVELS.get(severity, logging.WARNING)
        if level >= logging.WARNING:
            self._lines.append((severity, text.strip()))
        if level > logging.NOTSET:
            _LOG.log(level, '%s', text.strip())

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


def make_logger(flavour: Flavour, lines: LogLines) -> Any:
    """
    Return an ILogger that writes into lines.

    The caller keeps it alive for as long as anything that was made with it.
    """
    base: Any = flavour.trt.ILogger

    class _Logger(base):
        def __init__(self) -> None:
            # Without the trampoline's own constructor the first log line crashes the process.
            base.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            lines.add(severity.name, msg)

    return _Logger()
