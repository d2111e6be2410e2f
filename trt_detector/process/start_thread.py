# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Start of threads that a process cannot do without."""

from __future__ import annotations

import threading

from ..errors import EngineError

__all__ = ['start_thread']


def start_thread(thread: threading.Thread, name: str) -> None:
    """
    Start a thread.

    :param name: of the thread in the error, e.g. 'the inference thread'.
    :raises EngineError: if the system refuses another thread.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise EngineError(
            f'{name} cannot start: {error}; raise the limit of threads (ulimit -u, docker run '
            '--pids-limit) or of memory (ulimit -v)'
        ) from error
