# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Number of cores that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ['count_usable_cores']

_QUOTA = Path('/sys/fs/cgroup/cpu.max')


def count_usable_cores(quota: Path = _QUOTA) -> int:
    """
    Count the cores that this process may use, at least 1.

    They can be fewer than the machine has: by ``taskset``, or by the limit of a container
    (``docker run --cpuset-cpus``, ``--cpus``).

    :param quota: file with the limit of the control group, version 2: time and period in
        microseconds, or 'max'.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        time_us, period_us = quota.read_text(encoding='ascii').split()
        limit = math.ceil(int(time_us) / int(period_us))
    except (OSError, ValueError, ZeroDivisionError):
        # No version 2, or no limit.
        return cores
    return max(1, min(cores, limit))
