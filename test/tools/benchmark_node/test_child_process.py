# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that benchmark_node starts: their readings and their end."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import sys
import time
from types import SimpleNamespace

import pytest
from trt_detector.tools.benchmark_node import child_process
from trt_detector.tools.benchmark_node.child_process import BenchmarkError, ChildProcess

# A child that ignores SIGINT, below a parent that does as well.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, 'child'])
print('ready', flush=True)
time.sleep(600)
"""
BUSY = """
import subprocess, sys
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, 'child'])
memory = bytearray(64 << 20)
while True:
    pass
"""


def start(tmp_path: Path, program: str) -> ChildProcess:
    """Start a program."""
    file = tmp_path / 'program.py'
    file.write_text(program, encoding='utf-8')
    return ChildProcess('program', [sys.executable, str(file)], tmp_path / 'log')


def wait_until_two_run(process: ChildProcess) -> list[int]:
    """Wait for the child, and return both process ids."""
    deadline_s = time.monotonic() + 60
    while len(pids := sorted(process.read_cpu())) < 2:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return pids


def test_what_a_command_starts_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, '_STOP_TIMEOUT_S', 0.5)
    process = start(tmp_path, STUBBORN)
    pids = wait_until_two_run(process)
    while (tmp_path / 'log').read_text(encoding='utf-8').count('ready') < 2:
        time.sleep(0.01)
    process.interrupt()
    process.wait()
    assert process.read_cpu() == {}
    # The child of the child is nobody's here: the kernel, or init, collects it.
    deadline_s = time.monotonic() + 60
    while any(_is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_commands_share_a_session_but_not_the_signals_of_the_terminal(tmp_path: Path) -> None:
    process = start(tmp_path, STUBBORN)
    try:
        pids = wait_until_two_run(process)
        assert {os.getsid(pid) for pid in pids} == {os.getsid(0)}
        assert {os.getpgid(pid) for pid in pids} == {pids[0]} != {os.getpgid(0)}
    finally:
        for pid in process.read_cpu():
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_several_processes_that_do_not_end_take_one_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = []
    for name in ('first', 'second'):
        (tmp_path / name).mkdir()
        processes.append(start(tmp_path / name, STUBBORN))
    for process in processes:
        wait_until_two_run(process)
    while any(
        (tmp_path / name / 'log').read_text().count('ready') < 2 for name in ('first', 'second')
    ):
        time.sleep(0.01)
    # A clock that only waiting advances.
    now_s, killed_s = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    def kill(process: ChildProcess) -> None:
        killed_s.append(now_s)
        process._signal(signal.SIGKILL)

    clock = SimpleNamespace(monotonic=lambda: now_s, sleep=sleep)
    monkeypatch.setattr(child_process, 'time', clock)
    monkeypatch.setattr(child_process, '_STOP_TIMEOUT_S', 0.1)
    monkeypatch.setattr(ChildProcess, '_kill', kill)
    for process in processes:
        process.interrupt()
    for process in processes:
        process.wait()
    assert len(killed_s) == 2
    assert killed_s[0] == killed_s[1] <= 0.15


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8').rpartition(') ')[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != 'Z'


def test_cpu_time_and_memory_are_those_of_all_its_processes(tmp_path: Path) -> None:
    process = start(tmp_path, BUSY)
    try:
        pids = wait_until_two_run(process)
        deadline_s = time.monotonic() + 60
        while min(map(sum, process.read_cpu().values())) < 0.2:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        memory, times = process.read_memory(), process.read_cpu()
    finally:
        process.interrupt()
        process.wait()
    assert sorted(times) == pids
    assert os.getpid() not in times
    assert memory.rss_mib > 128
    assert memory.peak_rss_mib >= memory.rss_mib > memory.pss_mib > 0


def test_a_child_in_a_group_of_its_own_belongs_to_it(tmp_path: Path) -> None:
    program = """
import subprocess, sys, time
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, 'child'], start_new_session=True)
time.sleep(600)
"""
    process = start(tmp_path, program)
    try:
        pids = wait_until_two_run(process)
    finally:
        process.interrupt()
        process.wait()
    assert not any(_is_alive(pid) for pid in pids)


def test_cpu_time_of_a_child_that_has_ended_counts(tmp_path: Path) -> None:
    program = """
import subprocess, sys, time
if len(sys.argv) > 1:
    while time.process_time() < 0.3:
        pass
else:
    subprocess.run([sys.executable, __file__, 'child'])
    print('ended', flush=True)
    time.sleep(600)
"""
    process = start(tmp_path, program)
    try:
        deadline_s = time.monotonic() + 60
        while 'ended' not in (tmp_path / 'log').read_text(encoding='utf-8'):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        times = process.read_cpu()
    finally:
        process.interrupt()
        process.wait()
    assert len(times) == 1
    # Clock ticks are 10 ms.
    assert sum(map(sum, times.values())) >= 0.28


def test_a_process_that_has_ended_uses_no_memory(tmp_path: Path) -> None:
    process = start(tmp_path, '')
    process.wait()
    memory = process.read_memory()
    assert (memory.rss_mib, memory.peak_rss_mib, memory.pss_mib) == (0.0, 0.0, 0.0)


def test_a_process_that_has_just_started_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[ChildProcess] = []
    kill = ChildProcess._kill

    def note_kill(process: ChildProcess) -> None:
        killed.append(process)
        kill(process)

    monkeypatch.setattr(ChildProcess, '_kill', note_kill)
    process = start(tmp_path, 'import time; time.sleep(600)')
    process.interrupt()
    process.wait()
    assert killed == []


def test_the_end_of_a_process_is_an_error_with_its_last_lines(tmp_path: Path) -> None:
    process = start(tmp_path, 'print("the reason")\nraise SystemExit(3)')
    process.wait()
    with pytest.raises(BenchmarkError, match='(?s)program ended with code 3.*the reason'):
        process.check()
