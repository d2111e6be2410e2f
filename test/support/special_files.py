# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are no regular ones."""

from __future__ import annotations

import os
from pathlib import Path
import socket

__all__ = ['KINDS', 'make']

KINDS = ('pipe', 'device', 'socket', 'folder')


def make(kind: str, path: Path) -> Path:
    """Make a file of a kind that is not regular."""
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    elif kind == 'folder':
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    return path
