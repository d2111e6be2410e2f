# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The plan store on folders that cannot be written, locked or found any more."""

from __future__ import annotations

from collections.abc import Iterator
import errno
import fcntl
import os
from pathlib import Path
import shutil
import subprocess
from typing import Any

import pytest
from support.plans import Builder, make_key
from trt_detector.plan import BuiltPlan, PlanStore, StoredPlan


def open_plan(folder: Path, key: Any, build: Any = None) -> tuple[StoredPlan, str]:
    """Open a plan; return it and the log."""
    log: list[str] = []
    plan = PlanStore(folder).load_or_build(key, build or Builder(key), log=log.append)
    return plan, '\n'.join(log)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Provide a file system of its own."""
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=128m', 'tmpfs', str(tmp_path)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip('cannot mount a tmpfs: run as root with CAP_SYS_ADMIN')
    yield tmp_path
    subprocess.run(['umount', '--lazy', str(tmp_path)], check=True)


def test_a_file_system_that_becomes_read_only(small_disk: Path) -> None:
    stored, _ = open_plan(small_disk / 'cache', make_key())
    subprocess.run(['mount', '-o', 'remount,ro', str(small_disk)], check=True)
    plan, log = open_plan(small_disk / 'cache', make_key())
    assert (plan.from_cache, plan.data, log) == (True, stored.data, '')
    plan, log = open_plan(small_disk / 'cache', make_key(version='11.0.0'))
    assert (plan.from_cache, plan.path) == (False, None)
    assert 'Read-only file system; set engine_cache_dir to a folder of this user' in log


def test_a_folder_that_vanishes_during_the_build(tmp_path: Path) -> None:
    key, folder = make_key(), tmp_path / 'cache'
    builder = Builder(key)

    def build() -> BuiltPlan:
        shutil.rmtree(folder)
        return builder()

    plan, log = open_plan(folder, key, build)
    assert (plan.data, plan.path) == (builder().data, None)
    assert 'could not be stored' in log
    # The next start begins with an empty folder.
    assert open_plan(folder, key)[0].path is not None
    assert open_plan(folder, key)[0].from_cache


@pytest.mark.parametrize('code', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
def test_a_network_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    plan, log = open_plan(tmp_path, make_key())
    assert (plan.from_cache, plan.path) == (False, None)
    assert f'cannot be locked: [Errno {code}] {os.strerror(code)}' in log
    assert 'set engine_cache_dir to a local folder' in log


def test_a_stale_file_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and write on a network file system whose server has forgotten the folder."""
    open_plan(tmp_path, make_key())

    def refuse(*_: object, **__: object) -> Any:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr('trt_detector.plan.entry.read_trusted', refuse)
    monkeypatch.setattr('trt_detector.plan.store.try_writing', refuse)
    plan, log = open_plan(tmp_path, make_key())
    assert (plan.from_cache, plan.path) == (False, None)
    assert os.strerror(errno.ESTALE) in log
