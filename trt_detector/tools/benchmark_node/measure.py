# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Measurement of one contender under one load, or under a load that grows until images drop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import replace
import json
from pathlib import Path
import time
from typing import Any

from ...errors import DetectorError
from .child_process import (
    BenchmarkError,
    ChildProcess,
    CpuTimes,
    Memory,
    python_command,
    read_busy_s,
)  # fmt: skip
from .contender import Bare, Case, Command, Contender, list_cameras
from .figures import (
    count_images,
    is_overloaded,
    reaches_rate,
    summarize_bare,
    summarize_window,
    Window,
)  # fmt: skip
from .listener import Listener
from .readers import read_pages
from .setup import Setup

__all__ = ['measure', 'sweep']

# An image that was sent at the end of the measurement is still answered, by a slow node later.
_DRAIN_S = 1.0
_LONGEST_DRAIN_S = 10.0
_SWEEP_FACTOR = 1.25


def measure(contender: Contender, case: Case, setup: Setup) -> dict[str, Any]:
    """
    Measure one contender under one load.

    :return: its figures, ready for JSON.
    :raises BenchmarkError: if it cannot be measured.
    :raises KeyboardInterrupt: if it is interrupted.
    """
    if isinstance(contender, Bare):
        return _measure_bare(contender, case, setup)
    with _start(contender, case, setup) as (processes, command):
        return _measure_load(processes, command, case, setup)


def sweep(contender: Contender, case: Case, setup: Setup) -> Iterator[tuple[Case, dict[str, Any]]]:
    """
    Measure one contender at growing rates, until images drop or the cameras are at their limit.

    :param case: its rate is the first one.
    :return: the load and the figures of each step; a step that fails is the last one.
    :raises BenchmarkError: if the contender does not start.
    :raises KeyboardInterrupt: if it is interrupted.
    """
    with _start(contender, case, setup) as (processes, command):
        while True:
            try:
                row = _measure_load(processes, command, case, setup)
            except (DetectorError, OSError) as error:
                yield case, {'failed': str(error)}
                return
            yield case, row
            if is_overloaded(row) or not reaches_rate(row | case.to_json()):
                return
            case = replace(case, rate_hz=float(f'{case.rate_hz * _SWEEP_FACTOR:.3g}'))


@contextmanager
def _start(
    contender: Contender, case: Case, setup: Setup
) -> Iterator[tuple[list[ChildProcess], Command]]:
    """Start the processes of a node and wait until it publishes all topics."""
    command = contender.prepare(case, setup.folder)
    setup.listener.clear()
    with ExitStack() as stack:
        processes = _start_processes(stack, contender.name, command, setup)

        def list_missing() -> list[str]:
            topics = (*command.topics, *command.subscribed)
            return [name for name in topics if not setup.listener.find_type(name)]

        setup.wait_for(
            lambda: not list_missing(),
            setup.start_timeout_s,
            lambda: f'{contender.name}: no publisher of {", ".join(list_missing())}',
            processes,
        )
        yield processes, command


def _start_processes(
    stack: ExitStack, name: str, command: Command, setup: Setup
) -> list[ChildProcess]:
    """Start the processes of a contender; they end with the stack, all at once."""
    processes: list[ChildProcess] = []
    stack.callback(_stop, processes)
    for number, words in enumerate(command.commands):
        log = setup.folder / f'contender_{number}.log'
        processes.append(ChildProcess(name, words, log, setup.cores))
    return processes


def _stop(processes: Sequence[ChildProcess]) -> None:
    """Interrupt processes, and wait for their end."""
    for process in processes:
        process.interrupt()
    for process in processes:
        process.wait()


@contextmanager
def _cameras(case: Case, setup: Setup) -> Iterator[tuple[list[ChildProcess], list[Path]]]:
    """Run the cameras, each in a process of its own; provide their logs as well."""
    processes: list[ChildProcess] = []
    logs = []
    try:
        for camera in list_cameras(case.cameras):
            log = setup.folder / f'{camera.name}.jsonl'
            log.unlink(missing_ok=True)
            logs.append(log)
            options = {
                '--images': setup.pictures[case.size_wh], '--topic': camera.image_topic,
                '--rate': case.rate_hz, '--log': log, '--frame-id': camera.name,
                '--wait-for-subscriber': setup.start_timeout_s,
            }  # fmt: skip
            words = [str(word) for pair in options.items() for word in pair]
            command = python_command('tools.play_images.main', '--loop', '--synchronized', *words)
            command += setup.camera_options
            file = setup.folder / f'{camera.name}.log'
            processes.append(ChildProcess(camera.name, command, file))
        yield processes, logs
    finally:
        _stop(processes)


def _measure_load(
    processes: Sequence[ChildProcess], command: Command, case: Case, setup: Setup
) -> dict[str, Any]:
    """Run the cameras, and measure a node that has started."""
    listener = setup.listener
    with ExitStack() as stack:
        stack.enter_context(listener.receive(command.topics))
        read = stack.enter_context(listener.subscribe(command.subscribed))
        read |= stack.enter_context(read_pages(command.pages))
        with _cameras(case, setup) as (cameras, logs):
            setup.wait_for(
                lambda: _have_answers(logs, listener),
                setup.start_timeout_s,
                lambda: (
                    f'{sum(not each for each in listener.arrivals)} of {case.cameras} '
                    'cameras got no detections'
                ),
                [*processes, *cameras],
            )
            window = _observe(processes, cameras, setup)
            _drain(window.end_ns, setup)
            for process in (*processes, *cameras):
                process.check()
        images = [count_images(log) for log in logs]
        row = summarize_window(window, images, listener.arrivals, listener.repeated)
    return row | _count_read(window, read) | _read_diagnostics(listener)


def _have_answers(logs: Sequence[Path], listener: Listener) -> bool:
    """Return whether something arrived for each camera since it began to send."""
    if not all(listener.arrivals):
        return False
    starts_ns = (min(count_images(log).publish_ms, default=None) for log in logs)
    return all(
        start_ns is not None and max(at_ns for at_ns, _ in list(found.values())) >= start_ns
        for start_ns, found in zip(starts_ns, listener.arrivals, strict=True)
    )


def _drain(end_ns: int, setup: Setup) -> None:
    """Wait for the detections of the last images, which later ones follow."""
    setup.sleep(_DRAIN_S)
    deadline_s = time.monotonic() + _LONGEST_DRAIN_S - _DRAIN_S
    while time.monotonic() < deadline_s:
        if all(max(list(found), default=0) >= end_ns for found in setup.listener.arrivals):
            return
        setup.sleep(0.05)


def _count_read(window: Window, read: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """
    Count what was read from other topics and pages during the measurement, {} without any.

    :raises BenchmarkError: if nothing was read of one of them.
    """
    counts = {
        name: sum(window.begin_ns <= time_ns < window.end_ns for time_ns in times)
        for name, times in read.items()
    }
    for name, count in counts.items():
        if not count:
            raise BenchmarkError(
                f'nothing arrived from {name} during the measurement; check that it is published, '
                'or raise --seconds'
            )
    return {'read': counts} if counts else {}


def _measure_bare(contender: Bare, case: Case, setup: Setup) -> dict[str, Any]:
    """Measure the bare network while the cameras send images that are discarded."""
    command = contender.prepare(case, setup.folder)
    result = contender.result(setup.folder)
    ready = result.with_suffix('.ready')
    for file in (result, ready):
        file.unlink(missing_ok=True)
    suffix = '/compressed' if setup.is_compressed else ''
    topics = [f'{camera.image_topic}{suffix}' for camera in list_cameras(case.cameras)]
    setup.listener.clear()
    with ExitStack() as stack:
        processes = _start_processes(stack, contender.name, command, setup)
        setup.wait_for(
            ready.exists, setup.start_timeout_s, lambda: 'the network does not run', processes
        )
        stack.enter_context(
            setup.listener.discard(
                topics, compressed=setup.is_compressed, reliable=setup.is_reliable
            )
        )
        cameras, logs = stack.enter_context(_cameras(case, setup))
        setup.wait_for(
            lambda: all(log.is_file() and log.stat().st_size for log in logs),
            setup.start_timeout_s,
            lambda: 'the cameras do not publish',
            [*processes, *cameras],
        )
        window = _observe(processes, cameras, setup)
        for process in (*processes, *cameras):
            process.check()
    report = json.loads(result.read_text(encoding='utf-8'))
    return summarize_bare(window, [count_images(log) for log in logs], report)


def _observe(
    processes: Sequence[ChildProcess], cameras: Sequence[ChildProcess], setup: Setup
) -> Window:
    """Warm up, then read the processes at begin and end of the measurement."""
    setup.sleep(setup.warm_up_s)
    before, busy_s = _read_all(processes), read_busy_s()
    others_s, begin_ns = _known_s(cameras), time.time_ns()
    setup.sleep(setup.seconds)
    after, busy_s = _read_all(processes), read_busy_s() - busy_s
    others_s, end_ns = _known_s(cameras) - others_s, time.time_ns()
    # Not per process: the time of a child that has ended moves to its parent.
    user_s, system_s = (
        max(0.0, _sum_s(after, kind) - _sum_s(before, kind))
        for kind in (0, 1)
    )  # fmt: skip
    memories = [process.read_memory() for process in processes]
    memory = Memory(
        sum(each.rss_mib for each in memories),
        sum(each.peak_rss_mib for each in memories),
        sum(each.pss_mib for each in memories),
    )
    other_s = max(0.0, busy_s - others_s - user_s - system_s)
    return Window(begin_ns, end_ns, user_s, system_s, other_s, memory)


def _read_all(processes: Sequence[ChildProcess]) -> CpuTimes:
    """Read the CPU times of several processes."""
    return {pid: times for process in processes for pid, times in process.read_cpu().items()}


def _sum_s(times: CpuTimes, kind: int) -> float:
    """Sum the CPU times in user mode (0) or in the kernel (1)."""
    return sum(pair[kind] for pair in times.values())


def _known_s(cameras: Sequence[ChildProcess]) -> float:
    """Return the CPU time of the cameras and of this process."""
    return time.process_time() + sum(map(sum, _read_all(cameras).values()))


def _read_diagnostics(listener: Listener) -> dict[str, Any]:
    """Return the last diagnostics of detector nodes of this package, {} of others."""
    nodes = listener.read_status('detector')
    if not nodes:
        return {}
    stages = list(listener.read_status('stages').values())
    keys = [key for key in stages[0] if ' ms p' in key] if stages else []
    return {
        'ran': next(iter(nodes.values())),
        'stages_ms': {
            key: round(sum(float(each.get(key, 'nan')) for each in stages) / len(stages), 3)
            for key in keys
        },
    }
