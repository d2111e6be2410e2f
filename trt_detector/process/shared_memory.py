# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Segments of shared memory that a killed process leaves behind."""

from __future__ import annotations

from pathlib import Path

__all__ = ['find_segments']

_FOLDER = Path('/dev/shm')  # noqa: S108 the folder of the kernel
_LOCK_SUFFIX = '_el'


def find_segments(pid: int) -> list[Path]:
    """
    Find the segments that Fast DDS created in a living process, with their lock files.

    Fast DDS keeps a lock on the file *_el beside each segment as long as the process lives. Remove
    them after the process was killed: each can take 128 MiB of memory.

    :param pid: process id.
    """
    inodes = set()
    for line in Path('/proc/locks').read_text(encoding='ascii').splitlines():
        fields = line.split()
        if fields[1] == 'FLOCK' and fields[4] == str(pid):
            inodes.add(int(fields[5].rpartition(':')[2]))
    locks = [
        path
        for path in _FOLDER.glob(f'fast*{_LOCK_SUFFIX}')
        if 'port' not in path.name and path.stat().st_ino in inodes
    ]
    return [*(path.with_name(path.name.removesuffix(_LOCK_SUFFIX)) for path in locks), *locks]
