# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test SIGINT, SIGTERM and SIGKILL during transitions, and while the node recovers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
import os
from pathlib import Path
import select
import signal
import subprocess
import sys

import pytest
from support import held_node
from support.ros_graph import next_domain, wait_until
from trt_detector.process.shared_memory import find_segments

# Every limit of the node for something that hangs is 5 s or longer: this notices all of them.
END_S = 4.5
STATES = (*held_node.HELD_STATES, *held_node.RECOVERY_STATES)


class Nodes:
    """Nodes in processes of their own, forked by a program that has imported everything."""

    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [sys.executable, held_node.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == 'ready'

    def start(self, state: str, domain: int, output: Path) -> int:
        """Start a node that goes to a state; return its process id."""
        return int(self._ask('run', state, str(domain), str(output)))

    def wait(self, process: int) -> int:
        """Return the exit code of a node that ends in time."""
        descriptor = os.pidfd_open(process)
        try:
            has_ended, _, _ = select.select([descriptor], [], [], END_S)
        finally:
            os.close(descriptor)
        if not has_ended:
            os.kill(process, signal.SIGKILL)
        code = int(self._ask('wait', str(process)))
        assert has_ended, f'it did not end within {END_S:g} s'
        return code

    def close(self) -> None:
        assert self._program.stdin is not None
        self._program.stdin.close()
        assert self._program.wait(20) == 0

    def _ask(self, *words: str) -> str:
        assert self._program.stdin is not None
        self._program.stdin.write('\t'.join(words) + '\n')
        self._program.stdin.flush()
        return self._read()

    def _read(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline().strip()


@pytest.fixture(scope='module')
def nodes() -> Iterator[Nodes]:
    """Provide the program that starts nodes."""
    program = Nodes()
    yield program
    program.close()


def wait_for(text: str, output: Path) -> None:
    """Wait until a node has written a text."""
    wait_until(lambda: output.is_file() and text in output.read_text(), text, 60)


@pytest.mark.parametrize(
    ('number', 'state'),
    [
        *product([signal.SIGINT, signal.SIGTERM, signal.SIGKILL], STATES),
        # A terminal that is closed.
        (signal.SIGHUP, 'activating'),
    ],
)
def test_signal_in_a_transition(
    nodes: Nodes, state: str, number: signal.Signals, tmp_path: Path
) -> None:
    domain, output = next_domain(), tmp_path / 'output.txt'
    process = nodes.start(state, domain, output)
    wait_for(
        'the node configures itself again in 60 s'
        if state.startswith('pause')
        else f'holding {state} in {state.split()[0]}',
        output,
    )
    segments = find_segments(process)
    assert segments, 'the node has shared memory'
    os.kill(process, number)
    code = nodes.wait(process)
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
        # As "fastdds shm clean" does.
        for segment in segments:
            with suppress(FileNotFoundError):
                segment.unlink()
        output = tmp_path / 'again.txt'
        process = nodes.start('active', domain, output)
        wait_for('detected', output)
        segments = find_segments(process)
        os.kill(process, signal.SIGTERM)
        code = nodes.wait(process)
    assert code == 0, output.read_text()
    assert 'Traceback' not in output.read_text()
    assert not [segment for segment in segments if segment.exists()]
