# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Segments of shared memory of Fast DDS."""

from __future__ import annotations

import ctypes
from pathlib import Path

__all__ = ['find_segments', 'release_segments']

_FOLDER = Path('/dev/shm')  # noqa: S108 the folder of the kernel
_LOCK_SUFFIX = '_el'
_MADV_DONTNEED = 4


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


def release_segments() -> int:
    """
    Let the pages of all segments go that this process has mapped; the next access gets them back.

    They stay in the segments, so no memory of the machine is freed. But the resident memory of
    this process no longer counts what it has once read of the segments of cameras.

    :return: number of mappings.
    """
    madvise = getattr(ctypes.CDLL(None), 'madvise', None)
    maps = Path('/proc/self/maps')
    if madvise is None or not maps.exists():
        return 0
    released = 0
    for line in maps.read_text(encoding='utf-8', errors='replace').splitlines():
        # Address range, rights, offset, device, inode and path; 's' is a shared mapping.
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or not fields[1].endswith('s'):
            continue
        if not fields[5].startswith(f'{_FOLDER}/fast'):
            continue
        start, end = (int(address, 16) for address in fields[0].split('-'))
        outcome = madvise(
            ctypes.c_void_p(start), ctypes.c_size_t(end - start), ctypes.c_int(_MADV_DONTNEED)
        )
        released += outcome == 0
    return released
