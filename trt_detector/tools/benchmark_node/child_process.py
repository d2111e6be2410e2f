# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are measured, and their readings in /proc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time
from typing import Any

from ...errors import DetectorError
from ...process.shared_memory import find_segments

__all__ = [
    'BenchmarkError', 'ChildProcess', 'CpuTimes', 'Memory', 'python_command', 'read_busy_s',
]  # fmt: skip

_TICK_S = 1 / os.sysconf('SC_CLK_TCK')
_STOP_TIMEOUT_S = 20.0
_LAST_LINES = 15
# Fields of /proc/PID/stat after the name of the process; times of children are of ended ones.
_STATE, _PARENT, _GROUP = 0, 1, 2
_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 11, 12, 13, 14
_PR_SET_PDEATHSIG = 1
# Linux can give each session the same share of the cores (autogroup), however many processes it
# has. So all share the session of this one, as under ros2 launch; in a process group of its own,
# a command is out of reach of Ctrl-C. It gets SIGINT if this process is killed, which may have
# happened before that is set. A job in the background of a shell has SIGINT ignored, which its
# children would inherit.
_STARTER = (
    'import ctypes, os, signal, sys; '
    'os.setpgid(0, 0); '
    'signal.signal(signal.SIGINT, signal.SIG_DFL); '
    f'ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGINT)}); '
    'os.getppid() == int(sys.argv[1]) or sys.exit(1); '
    'cores = sys.argv[2].split(); '
    'cores and os.sched_setaffinity(0, map(int, cores)); '
    'os.execvp(sys.argv[3], sys.argv[3:])'
)

CpuTimes = dict[int, tuple[float, float]]
"""Seconds in user mode and in the kernel per process id, with those of its ended children."""


class BenchmarkError(DetectorError):
    """A node, a camera or the bare loop cannot be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Memory:
    """
    Memory in MiB, summed over processes.

    :param rss_mib: resident memory; what processes share counts in each.
    :param peak_rss_mib: largest resident memory so far.
    :param pss_mib: resident memory, with an equal share of what processes have in common.
    """

    rss_mib: float
    peak_rss_mib: float
    pss_mib: float


class ChildProcess:
    """
    Command in a process group of its own.

    Signals of the terminal do not reach it. What the command starts belongs to it, also in another
    group: its CPU time and memory count, and it ends with it.

    :param name: for messages.
    :param command: program with its arguments.
    :param log: file for its output.
    :param cores: cores that it may use; empty for those of this process.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, cores: Sequence[int] = ()
    ) -> None:
        self._name = name
        self._log = log
        allowed = ' '.join(map(str, cores))
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                [sys.executable, '-c', _STARTER, str(os.getpid()), allowed, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        # Its processes may open further ones.
        self._groups = {self._process.pid}
        self._deadline_s = math.inf

    def check(self) -> None:
        """
        Raise an error if the process has ended.

        :raises BenchmarkError: with its exit code and last lines.
        """
        code = self._process.poll()
        if code is not None:
            raise BenchmarkError(f'{self._name} ended with code {code}; {self.describe_log()}')

    def describe_log(self) -> str:
        """Return the last lines of its output."""
        lines = self._log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        return '\n  '.join(['its last lines:', *lines[-_LAST_LINES:]]) if lines else 'no output'

    def read_cpu(self) -> CpuTimes:
        """Read the CPU times of its processes, those in other groups included."""
        stats = {int(folder.name): _read_stat(folder) for folder in Path('/proc').glob('[0-9]*')}
        alive = {pid: fields for pid, fields in stats.items() if fields and fields[_STATE] != 'Z'}
        children: dict[int, list[int]] = {}
        for pid, fields in alive.items():
            children.setdefault(int(fields[_PARENT]), []).append(pid)
        groups = {pid: int(fields[_GROUP]) for pid, fields in alive.items()}
        if self._process.returncode is None:
            # It may not have opened its group yet.
            groups[self._process.pid] = self._process.pid
        found = [pid for pid in alive if groups[pid] in self._groups]
        for pid in found:  # grows meanwhile
            found += [child for child in children.get(pid, ()) if child not in found]
        self._groups |= {groups[pid] for pid in found}
        return {pid: _read_times(alive[pid]) for pid in found}

    def read_memory(self) -> Memory:
        """Read the memory of its processes."""
        values = [(0.0, 0.0, 0.0), *(_read_memory(pid) for pid in self.read_cpu())]
        return Memory(*(round(sum(column), 1) for column in zip(*values, strict=True)))

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._deadline_s = time.monotonic() + _STOP_TIMEOUT_S
        self._signal(signal.SIGINT)

    def wait(self) -> None:
        """Wait for the end; kill what is still there a timeout after :meth:`interrupt`."""
        while self._is_running():
            if time.monotonic() > self._deadline_s:
                self._kill()
                return
            time.sleep(0.02)

    def _is_running(self) -> bool:
        """Return whether one of its processes runs."""
        return self._process.poll() is None or bool(self.read_cpu())

    def _kill(self) -> None:
        """Kill its processes, and remove the shared memory that they leave behind."""
        segments = [path for pid in self.read_cpu() for path in find_segments(pid)]
        self._signal(signal.SIGKILL)
        self._process.wait()
        while self.read_cpu():
            time.sleep(0.01)
        for path in segments:
            path.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to its processes."""
        for pid in self.read_cpu():
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # it has just ended
                continue


def _read_times(fields: Sequence[str]) -> tuple[float, float]:
    """Return the times of a process and of its ended children in user mode and in the kernel."""
    user = int(fields[_USER]) + int(fields[_CHILDREN_USER])
    system = int(fields[_SYSTEM]) + int(fields[_CHILDREN_SYSTEM])
    return user * _TICK_S, system * _TICK_S


def _read_stat(folder: Path) -> list[str]:
    """Read the fields after the name of a process, which may hold spaces; [] if it has ended."""
    try:
        text = (folder / 'stat').read_text(encoding='utf-8', errors='replace')
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(') ')[2].split()


def _read_memory(pid: int) -> tuple[float, float, float]:
    """Read RSS, its peak and PSS in MiB; zeros if the process has ended."""
    try:
        text = Path(f'/proc/{pid}/status').read_text(encoding='utf-8', errors='replace')
        text += Path(f'/proc/{pid}/smaps_rollup').read_text(encoding='utf-8')
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0, 0.0
    sizes = {
        key: int(kib) / 1024 for key, kib in re.findall(r'^(\w+):\s+(\d+) kB', text, re.MULTILINE)
    }
    return sizes.get('VmRSS', 0.0), sizes.get('VmHWM', 0.0), sizes.get('Pss', 0.0)


def read_busy_s() -> float:
    """Read the CPU time of all processes of the machine since it started."""
    line = Path('/proc/stat').read_text(encoding='ascii').partition('\n')[0]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, line.split()[1:8])
    return (user + nice + system + irq + softirq) * _TICK_S


def python_command(module: str, *arguments: Any) -> list[str]:
    """Return the command that runs a module of this package."""
    return [sys.executable, '-m', f'trt_detector.{module}', *map(str, arguments)]
