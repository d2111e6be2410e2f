# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of the soak test: cameras, the node, and their readings in /proc."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import select
import signal
import subprocess
import sys
from typing import Any

from support.shared_memory import kill_process

__all__ = ['CameraProcess', 'CameraSetup', 'NodeProcess', 'Reading', 'read_process']

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """
    One camera of the soak test.

    :param topic: image topic.
    :param reliability: 'reliable' or 'best_effort'.
    :param rate_hz: images per second.
    """

    topic: str
    reliability: str
    rate_hz: float

    @property
    def detections(self) -> str:
        """Topic of the detections."""
        return '/' + self.topic.split('/')[1] + '/detections'


class CameraProcess:
    """
    Camera in a process of its own.

    :param setup: topic, reliability and rate.
    :param seed: of the images.
    """

    def __init__(self, setup: CameraSetup, seed: str) -> None:
        self.setup = setup
        self._process = subprocess.Popen(
            [
                sys.executable, '-m', 'soak.camera',
                setup.topic, setup.reliability, str(setup.rate_hz), seed,
            ],
            cwd=_ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid

    def command(self, letter: str) -> dict[str, int]:
        """Send a command; return the counts of sent and malformed images."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: PT018
        stdin.write(letter.encode())
        stdin.flush()
        if not select.select([stdout], [], [], 180)[0]:
            raise TimeoutError(f'the camera of {self.setup.topic} does not answer')
        counts: dict[str, int] = json.loads(stdout.readline())
        return counts

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        kill_process(self._process)
        self._process.communicate()


class NodeProcess:
    """
    Detector node in a process of its own.

    :param log: file for its output.
    :param parameters: of the node.
    """

    def __init__(self, log: Path, parameters: dict[str, Any]) -> None:
        pairs = [('-p', f'{name}:={json.dumps(value)}') for name, value in parameters.items()]
        arguments = ['--ros-args', *(argument for pair in pairs for argument in pair)]
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'trt_detector.ros.main', *arguments],
                cwd=_ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def stop(self, timeout_s: float = 20.0) -> int:
        """Send SIGINT; return the exit code, -9 if it did not end in time."""
        if self.is_alive():
            self.send_signal(signal.SIGCONT)
            self.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            kill_process(self._process)
            return self._process.wait()


@dataclass(frozen=True, slots=True)
class Reading:
    """
    Resources of a process.

    :param rss_mib: resident memory, with the shared memory of the images that it has read.
    :param anon_mib: resident memory of its own, without files and shared memory.
    :param threads: number of threads.
    :param fds: number of open file descriptors.
    :param cpu_s: CPU time since the start.
    """

    rss_mib: float
    anon_mib: float
    threads: int
    fds: int
    cpu_s: float

    def to_json(self) -> dict[str, float]:
        """Convert to plain values."""
        return asdict(self)


def read_process(pid: int) -> Reading:
    """Read the resources of a process from /proc."""
    folder = Path('/proc', str(pid))
    # The name of the process, which comes before, may hold spaces.
    fields = (folder / 'stat').read_text().rpartition(') ')[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = dict(line.split(':', 1) for line in (folder / 'status').read_text().splitlines())
    return Reading(
        rss_mib=_to_mib(status['VmRSS']),
        anon_mib=_to_mib(status['RssAnon']),
        threads=int(fields[17]),
        fds=len(os.listdir(folder / 'fd')),  # noqa: PTH208 the number only
        cpu_s=ticks / os.sysconf('SC_CLK_TCK'),
    )


def _to_mib(text: str) -> float:
    """Convert a size like '1024 kB'."""
    return round(int(text.split()[0]) / 1024, 2)


def _environment() -> dict[str, str]:
    """Return the environment of the child processes."""
    return {**os.environ, 'PYTHONUNBUFFERED': '1', 'PYTHONFAULTHANDLER': '1'}
