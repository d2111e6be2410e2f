# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test how the nodes of the executable are spun, and the end after a fatal error."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.task import Future
from trt_detector.config import parameter_specs
from trt_detector.ros.lifecycle import executable


class BrokenStream(io.StringIO):
    """Standard error whose reader has ended."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def closed_stream() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def test_help_has_every_parameter_as_it_is_described_with_its_default() -> None:
    parser = executable.make_parser('detector_node', 'A node.', parameter_specs(), 'one per name')
    text = ' '.join(parser.format_help().split())
    for spec in parameter_specs():
        described = f'{spec.name} ({spec.type_words}): {spec.meaning} Default: '
        assert described in text
        shown = text.partition(described)[2]
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        assert json.JSONDecoder().raw_decode(shown)[0] == default
    assert 'exit codes: 0 stopped' in text
    assert '3 a driver call or an inference hangs' in text


@pytest.mark.parametrize('make', [BrokenStream, closed_stream, lambda: None])
def test_fatal_end_does_not_depend_on_the_reader_of_its_output(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[int] = []
    timers: list[Any] = []

    class Timer:
        def __init__(self, *arguments: Any) -> None:
            timers.append(arguments)

        def start(self) -> None:
            return None

    monkeypatch.setattr(os, '_exit', ends.append)
    monkeypatch.setattr(executable.threading, 'Timer', Timer)
    monkeypatch.setattr(sys, 'stderr', make())
    monkeypatch.setattr(sys, 'stdout', make())
    stop = threading.Event()
    fatal = executable._FatalEnd('detector_node', stop)
    fatal(3)
    assert stop.is_set()
    assert len(timers) == 1
    fatal.end(3)
    assert ends == [3]


class FailingExecutor:
    """
    Executor that raises errors, one each time that it is spun, and then ends.

    :param errors: the errors.
    """

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def spin_until_future_complete(self, spun: Future) -> None:
        if self.errors:
            raise self.errors.pop(0)
        spun.set_result(None)


class RecordingLogger:
    """Logger that notes the errors."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, text: str) -> None:
        self.errors.append(text)

    def debug(self, _text: str) -> None:
        return None


def test_only_exceptions_of_callbacks_are_logged_as_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rclpy raises InvalidHandle if a transition destroys an entity while its executor waits."""
    monkeypatch.setattr(rclpy, 'ok', lambda: True)
    logger = RecordingLogger()
    node: Any = SimpleNamespace(get_logger=lambda: logger)
    failing: Any = FailingExecutor(InvalidHandle('destroyed'), ValueError('wrong'))
    executable._spin(node, failing, Future())
    (error,) = logger.errors
    assert error.startswith('exception in a callback:')
    assert 'ValueError: wrong' in error
    assert not failing.errors
