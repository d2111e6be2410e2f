# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Limit of memory for the tests that read broken input."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import resource

import pytest

_MORE_BYTES = 2 << 30


@pytest.fixture(autouse=True)
def _memory_limit() -> Iterator[None]:
    """Let an input that asks for gigabytes fail instead of the machine."""
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * os.sysconf('SC_PAGE_SIZE') + _MORE_BYTES
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
