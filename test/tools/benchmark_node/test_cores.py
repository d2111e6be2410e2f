# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that measured processes have cores of their own."""

from __future__ import annotations

import os
from pathlib import Path
import sys
import time

import pytest
from trt_detector.errors import ConfigError
from trt_detector.tools.benchmark_node.child_process import ChildProcess
from trt_detector.tools.benchmark_node.cores import check_cores, leave_cores

USABLE = sorted(os.sched_getaffinity(0))
PRINT = 'import os; print(sorted(os.sched_getaffinity(0)))'

needs_two_cores = pytest.mark.skipif(
    len(USABLE) < 2, reason='one usable core; run the tests with two or more'
)


def read_cores(folder: Path, cores: list[int]) -> str:
    """Return what a process that is started with these cores says of its own."""
    log = folder / 'log'
    process = ChildProcess('program', [sys.executable, '-c', PRINT], log, cores)
    deadline_s = time.monotonic() + 60
    while not log.read_text(encoding='utf-8').endswith('\n'):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    process.wait()
    return log.read_text(encoding='utf-8').strip()


@needs_two_cores
def test_the_process_has_the_cores_that_the_others_leave(tmp_path: Path) -> None:
    own = USABLE[:1]
    with leave_cores(own):
        assert sorted(os.sched_getaffinity(0)) == USABLE[1:]
        assert read_cores(tmp_path, own) == str(own)
        assert read_cores(tmp_path, []) == str(USABLE[1:])
    assert sorted(os.sched_getaffinity(0)) == USABLE


def test_without_cores_nothing_changes(tmp_path: Path) -> None:
    with leave_cores([]):
        assert read_cores(tmp_path, []) == str(USABLE)


@needs_two_cores
def test_cores_that_can_be_set_aside_are_accepted() -> None:
    check_cores([])
    check_cores(USABLE[1:])


@pytest.mark.parametrize('cores', [USABLE, [max(USABLE) + 1000]])
def test_cores_that_cannot_be_set_aside_are_refused(cores: list[int]) -> None:
    with pytest.raises(ConfigError, match='--cores is .*expected some, but not all'):
        check_cores(cores)
