# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal and in a file."""

import io

from trt_detector.tools.progress_bar import ProgressBar
from trt_detector.values.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_progress_bar_fills() -> None:
    terminal = Terminal()
    bar = ProgressBar(terminal)
    for fraction in (None, 0.0, 0.5, 1.0):
        bar(Progress('Timing tactics', fraction, 12.34))
    bar.finish()
    shown = terminal.getvalue().split('\r')[1:]
    assert [text.count('#') for text in shown] == [0, 0, 15, 30]
    assert ' 50%   12.3 s  Timing tactics' in shown[2]
    assert terminal.getvalue().endswith('\n')


def test_progress_in_a_file_is_at_most_one_line_per_second() -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream)
    for number in range(50):
        bar(Progress('Timing tactics', number / 50, 1.0))
    bar.finish()
    assert stream.getvalue().count('\n') == 1
