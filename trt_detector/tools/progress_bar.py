# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of the tools on the terminal."""

from __future__ import annotations

import time
from typing import Any

from ..values.progress import Progress

__all__ = ['ProgressBar']

_BAR_WIDTH = 30


class ProgressBar:
    """
    Progress of a build: a bar on a terminal, else at most one line per second.

    :param stream: output.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._last_line = -1.0
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show the progress; from any thread, one at a time."""
        share = '    ' if progress.fraction is None else f'{progress.fraction:4.0%}'
        text = f'{share} {progress.elapsed_s:6.1f} s  {progress.phase}'
        if self._terminal:
            done = round((progress.fraction or 0.0) * _BAR_WIDTH)
            text = f'[{"#" * done:{_BAR_WIDTH}}] {text}'
            self._stream.write(f'\r{text:{self._width}}')
            self._width = len(text)
        elif time.monotonic() - self._last_line >= 1.0:
            self._last_line = time.monotonic()
            self._stream.write(f'{text}\n')
        self._stream.flush()

    def finish(self) -> None:
        """End the line of the bar."""
        if self._terminal and self._width:
            self._stream.write('\n')
            self._stream.flush()
