# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The plan store with real processes: killed, started together, out of file space."""

from __future__ import annotations

import hashlib
from pathlib import Path
import random
import shutil
import subprocess
import sys
import time

import pytest
from support.plans import Builder, content, make_key, start_node
from trt_detector.plan import PlanStore

KILLS = 20
SIZE = 8 * 2**20


def read_ready(process: subprocess.Popen[str]) -> None:
    """Wait until a process is about to open the store."""
    assert process.stdout is not None
    assert process.stdout.readline() == 'ready\n'


def lines_of(process: subprocess.Popen[str]) -> list[str]:
    """Return what a process printed until it ended well."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output.splitlines()


def test_a_killed_build_never_leaves_a_plan_that_is_wrong(tmp_path: Path) -> None:
    folder, counter = tmp_path / 'plans', tmp_path / 'builds'
    key = make_key()
    expected = content(key, SIZE)
    process = start_node(tmp_path / 'whole', counter, size=SIZE)
    read_ready(process)
    started = time.monotonic()
    lines_of(process)
    whole_s = time.monotonic() - started
    moments = random.Random(20261120)
    finished = 0
    for number in range(KILLS):
        # Every other start meets a plan that is damaged; the rest meet what a killed one left.
        if number % 2 and (plan := next(folder.rglob('*.engine'), None)) is not None:
            plan.write_bytes(expected[: SIZE // 2])
        process = start_node(folder, counter, size=SIZE)
        read_ready(process)
        time.sleep(moments.uniform(0.0, 1.2 * whole_s))
        process.kill()
        process.communicate(timeout=60)
        # A copy, so that the next start meets what was left and not what is built here.
        copy = tmp_path / 'copy'
        if folder.exists():
            shutil.copytree(folder, copy)
        builder = Builder(key, size=SIZE)
        found = PlanStore(copy).load_or_build(key, builder, log=lambda _: None)
        assert found.data == expected
        assert found.from_cache == (builder.calls == 0)
        finished += found.from_cache
        shutil.rmtree(copy)
    # The moments must lie on both sides of the end of a build, or nothing was tested.
    assert 0 < finished < KILLS


def test_two_nodes_started_together_build_once(tmp_path: Path) -> None:
    folder, counter = tmp_path / 'plans', tmp_path / 'builds'
    nodes = [start_node(folder, counter, seconds=2.0) for _ in range(2)]
    outputs = [lines_of(node) for node in nodes]
    assert len(counter.read_text().splitlines()) == 1
    digest = hashlib.sha256(content(make_key())).hexdigest()
    assert sorted(lines[-1] for lines in outputs) == [f'built {digest}', f'cached {digest}']
    (waited,) = [lines for lines in outputs if lines[-1].startswith('cached')]
    assert any('another process is building' in line for line in waited)


def test_two_nodes_of_different_keys_do_not_wait(tmp_path: Path) -> None:
    folder, counter = tmp_path / 'plans', tmp_path / 'builds'
    nodes = [start_node(folder, counter, version=version) for version in ('10.3.0', '10.16.1')]
    outputs = [lines_of(node) for node in nodes]
    assert len(counter.read_text().splitlines()) == 2
    assert all('another process' not in line for lines in outputs for line in lines)


def test_the_lock_of_a_killed_builder_is_free(tmp_path: Path) -> None:
    folder, counter = tmp_path / 'plans', tmp_path / 'builds'
    process = start_node(folder, counter, seconds=60)
    try:
        deadline = time.monotonic() + 60
        while not counter.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert counter.exists(), 'the other process never began to build'
    finally:
        process.kill()
        process.communicate(timeout=60)
    key = make_key()
    builder = Builder(key)
    log: list[str] = []
    PlanStore(folder).load_or_build(key, builder, log=log.append)
    assert builder.calls == 1
    assert not any('another process' in line for line in log)


def test_no_room_for_the_file(tmp_path: Path) -> None:
    # The kernel itself refuses the write half-way, as a full disk does: a limit on the size of
    # files gives EFBIG after the part that fits.
    script = (
        'import resource, signal, sys\n'
        'from pathlib import Path\n'
        'from support.plans import Builder, make_key\n'
        'from trt_detector.plan import PlanStore\n'
        'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n'
        'key = make_key()\n'
        'builder = Builder(key, size=1_000_000)\n'
        'plan = PlanStore(Path(sys.argv[1])).load_or_build(key, builder, log=print)\n'
        'print(builder.calls, plan.path, len(plan.data))\n'
    )
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2]), *sys.path]
    result = subprocess.run(
        [sys.executable, '-c', f'import sys; sys.path[:0] = {paths!r}\n{script}', str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stdout.splitlines()[-1] == '1 None 1000000'
    assert 'could not be stored' in result.stdout
    assert list(tmp_path.rglob('*.engine*')) == []
    assert list(tmp_path.rglob('*.partial')) == []


def test_a_disk_without_space(tmp_path: Path) -> None:
    if subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=66m', 'tmpfs', tmp_path],
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode:
        pytest.skip('cannot mount a small tmpfs: run as root with CAP_SYS_ADMIN')
    try:
        key = make_key()
        builder = Builder(key, size=80 * 2**20)
        log: list[str] = []
        plan = PlanStore(tmp_path).load_or_build(key, builder, log=log.append)
        assert (builder.calls, plan.path, len(plan.data)) == (1, None, 80 * 2**20)
        assert any('No space left on device' in line for line in log)
        assert list(tmp_path.rglob('*.engine*')) == []
    finally:
        subprocess.run(['umount', tmp_path], check=True)
