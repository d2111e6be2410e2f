# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Cores of the measured processes, which cameras and listener leave to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import os

from ...errors import ConfigError

__all__ = ['check_cores', 'leave_cores']


def check_cores(cores: Sequence[int]) -> None:
    """
    Check that cores can be set aside.

    :param cores: numbers of the cores; empty for none.
    :raises ConfigError: if one is not there, or none is left.
    """
    usable = os.sched_getaffinity(0)
    if cores and not set(cores) < usable:
        raise ConfigError(
            f'--cores is {" ".join(map(str, cores))}; expected some, but not all of the usable '
            f'cores {" ".join(map(str, sorted(usable)))}: the cameras need one, too'
        )


@contextmanager
def leave_cores(cores: Sequence[int]) -> Iterator[None]:
    """
    Let this thread, and the threads and processes that it starts, use other cores in the block.

    :param cores: numbers of the cores; empty for none.
    """
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, usable - set(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)
