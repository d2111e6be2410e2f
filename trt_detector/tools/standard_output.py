# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Standard output of the tools: one line instead of a traceback if it cannot be written."""

from __future__ import annotations

import atexit
from functools import partial
import io
import os
import select
import sys
from types import TracebackType

__all__ = ['exit_after_help', 'watch_output']

_NAME = 'standard output'


class _WatchedOutput(io.TextIOWrapper):
    """
    Text stream that names itself in its errors, and keeps the first one.

    Each line is written at once, so that its error is that of the print statement.

    :param stream: the stream that it replaces; both write to the same buffer.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            stream.buffer,
            stream.encoding,
            stream.errors,
            line_buffering=True,
            write_through=stream.write_through,
        )
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """
        Write a text.

        :raises OSError: if it cannot be written.
        """
        try:
            return super().write(text)
        except OSError as error:
            failure = OSError(error.errno, error.strerror, _NAME)
            self.failure = self.failure or failure
            raise failure from error


def watch_output(program: str) -> None:
    """
    Report errors of standard output and Ctrl-C in one line, from now to the end of the process.

    :param program: name before each line.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _WatchedOutput(sys.stdout)
    sys.excepthook = partial(_report_end, program)
    atexit.register(_drop_unread_output)


def exit_after_help(program: str, ended: SystemExit) -> SystemExit:
    """
    Choose the end of a program that has printed its help, whose errors argparse hides.

    :param program: name before the message.
    :param ended: raised by argparse.
    :return: ended, or an exit with code 1 if the help could not be written.
    """
    failure = _get_failure()
    if failure is None:
        return ended
    _report_failure(program, failure)
    return SystemExit(1)


def _report_end(
    program: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print one line in place of a traceback; Python then ends with code 1, 130 after Ctrl-C."""
    if issubclass(kind, KeyboardInterrupt):
        print(f'{program}: interrupted', file=sys.stderr)
    elif isinstance(error, OSError) and error.filename == _NAME:
        _report_failure(program, error)
    else:
        sys.__excepthook__(kind, error, trace)


def _report_failure(program: str, error: OSError) -> None:
    """Print why the output cannot be written; nothing if its reader has ended, e.g. head."""
    if not isinstance(error, BrokenPipeError):
        print(f'{program}: cannot write {_NAME}: {error.strerror}', file=sys.stderr)


def _get_failure() -> OSError | None:
    """Return the first error of standard output, None without."""
    return sys.stdout.failure if isinstance(sys.stdout, _WatchedOutput) else None


def _drop_unread_output() -> None:
    """Drop output that cannot be written: Python would try it again at exit, and complain."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):  # closed, or no file
        return
    has_no_reader = any(event & select.POLLERR for _, event in poll.poll(0))
    if has_no_reader or _get_failure():
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
