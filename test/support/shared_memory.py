# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""End of a process that does not end by itself."""

from __future__ import annotations

import subprocess

from trt_detector.process.shared_memory import find_segments

__all__ = ['kill_process']


def kill_process(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill a process with SIGKILL, and remove its segments: each can take 128 MiB of memory."""
    if process.poll() is not None:
        return
    segments = find_segments(process.pid)
    process.kill()
    process.wait()
    for path in segments:
        path.unlink(missing_ok=True)
