# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the end of the process after a fatal error, if nobody reads what it writes."""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import Any

import pytest
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
