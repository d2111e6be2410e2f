# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the segments of shared memory of Fast DDS."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
import re

from trt_detector.process.shared_memory import release_segments

SIZE = 8 * 2**20


def test_released_segments_are_not_resident_and_keep_their_contents() -> None:
    # The name that Fast DDS gives, so that the code finds it.
    path = Path('/dev/shm', f'fastdds_test_{os.getpid()}')
    path.write_bytes(bytes(range(256)) * (SIZE // 256))
    try:
        with path.open('r+b') as file, mmap.mmap(file.fileno(), SIZE) as mapping:
            assert any(mapping[0:SIZE])  # reads every page
            mapping[5] = 77
            assert _resident_kb(path) == SIZE // 1024
            assert release_segments() >= 1
            assert _resident_kb(path) == 0
            assert mapping[5] == 77
            assert mapping[6:SIZE] == (bytes(range(256)) * (SIZE // 256))[6:]
    finally:
        path.unlink()


def _resident_kb(path: Path) -> int:
    """Read how much of a mapped file is resident in this process."""
    smaps = Path('/proc/self/smaps').read_text(encoding='ascii')
    found = re.search(rf'{re.escape(str(path))}\n(?:.*\n)*?Rss: +(\d+) kB', smaps)
    assert found is not None
    return int(found[1])
