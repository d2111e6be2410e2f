# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The plan store with real processes: killed, started together, out of file space."""

from __future__ import annotations

import hashlib
from pathlib import Path
import subprocess
import sys
import time

import pytest
from support.plans import Builder, content, make_key, start_node
from trt_detector.plan import PlanStore

# Steps of a build in their order; 'rename manifest' stops before the rename.
STEPS = (
    'build',
    'write half of the plan',
    'rename plan',
    'write half of the manifest',
    'rename manifest',
    'end',
)

# A process that builds a plan and stops at one of the steps, for the test to kill it there.
STOPPED = r"""
import os, sys
from pathlib import Path
from support.plans import content, make_key
from trt_detector import trusted_files
from trt_detector.plan import BuiltPlan, PlanStore

folder, step = sys.argv[1:3]
key = make_key()
files = iter(('plan', 'manifest'))

def reach(name):
    if name == step:
        print(name, flush=True)
        sys.stdin.read()

def build():
    reach('build')
    return BuiltPlan(content(key), 'fp16')

def write_all(descriptor, data):
    name = next(files)
    os.write(descriptor, data[: len(data) // 2])
    reach(f'write half of the {name}')
    os.write(descriptor, data[len(data) // 2 :])
    renames.append(name)

def replace(path, target):
    if path.name.endswith('.partial'):
        reach(f'rename {renames.pop()}')
    return genuine_replace(path, target)

renames = []
genuine_replace = Path.replace
Path.replace = replace
trusted_files._write_all = write_all
PlanStore(Path(folder)).load_or_build(key, build, log=lambda _: None)
reach('end')
"""


def lines_of(process: subprocess.Popen[str]) -> list[str]:
    """Return the output of a process that ends without error."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output.splitlines()


@pytest.mark.parametrize('damaged', [False, True], ids=['no plan before', 'damaged plan before'])
@pytest.mark.parametrize('step', STEPS)
def test_a_killed_build_never_leaves_a_wrong_plan(
    tmp_path: Path, step: str, damaged: bool
) -> None:
    folder = tmp_path / 'plans'
    key = make_key()
    if damaged:
        path = PlanStore(folder).load_or_build(key, Builder(key), log=lambda _: None).path
        assert path is not None
        path.write_bytes(content(key)[:100])
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2]), *sys.path]
    process = subprocess.Popen(
        [sys.executable, '-c', f'import sys; sys.path[:0] = {paths!r}\n{STOPPED}', folder, step],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f'{step}\n'
    process.kill()
    process.communicate(timeout=60)
    builder = Builder(key)
    found = PlanStore(folder).load_or_build(key, builder, log=lambda _: None)
    assert found.data == content(key)
    # Only the rename of the manifest, the last step of a build, makes a plan valid.
    assert found.from_cache == (step == 'end')
    assert builder.calls == (step != 'end')
    assert list(folder.rglob('*.partial')) == []


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
