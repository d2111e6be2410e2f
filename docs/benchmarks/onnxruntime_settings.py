# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare ONNX Runtime's settings on this machine's CPU, side by side in one run.

For threads, spinning and the memory arena it measures the latency of one image, the CPU time
that one image costs, and the resident memory, once with images back to back and once at a
camera's pace. The settings alternate in short rounds, so that other load on the machine affects
all of them alike.

    python3 docs/benchmarks/onnxruntime_settings.py --model demo/models/demo_end2end.onnx
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, field
import gc
import json
import os
from pathlib import Path
import platform
import statistics
import sys
import time

import numpy as np
import onnxruntime


@dataclass(frozen=True)
class Setting:
    """One combination of options."""

    threads: int
    spinning: bool
    arena: bool


@dataclass
class Result:
    """Raw figures of one setting at one pace."""

    setting: Setting
    rate_hz: float
    latency_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def _session(model: Path, setting: Setting) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.enable_cpu_mem_arena = setting.arena
    options.add_session_config_entry('session.intra_op.allow_spinning', str(int(setting.spinning)))
    return onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])


def _resident_mb() -> float:
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def _run(session: onnxruntime.InferenceSession, count: int, result: Result) -> None:
    """Run images at the result's pace (0: back to back) and add the figures."""
    spec = session.get_inputs()[0]
    shape = [dim if isinstance(dim, int) else 1 for dim in spec.shape]
    image = np.random.default_rng(0).random(shape, np.float32)
    session.run(None, {spec.name: image})
    next_s = time.perf_counter()
    cpu_started = time.process_time()
    for _ in range(count):
        if result.rate_hz:
            next_s += 1 / result.rate_hz
            time.sleep(max(0.0, next_s - time.perf_counter()))
        started = time.perf_counter()
        session.run(None, {spec.name: image})
        result.latency_ms.append((time.perf_counter() - started) * 1e3)
    result.cpu_ms.append((time.process_time() - cpu_started) * 1e3 / count)


def main() -> int:
    """Measure and print a table; with --json keep the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--model', type=Path, required=True)
    parser.add_argument('--rounds', type=int, default=6)
    parser.add_argument('--images', type=int, default=40, help='images a round')
    parser.add_argument('--rate', type=float, default=15.0, help='images a second of a camera')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    settings = [
        Setting(threads, spinning, arena)
        for threads in sorted({1, cores})
        for spinning in (False, True)
        for arena in (True, False)
    ]
    sessions, memory_mb = {}, {}
    for setting in settings:
        gc.collect()
        before = _resident_mb()
        sessions[setting] = _session(arguments.model, setting)
        _run(sessions[setting], 5, Result(setting, 0.0))
        memory_mb[setting] = _resident_mb() - before
    results = [Result(s, rate) for rate in (0.0, arguments.rate) for s in settings]
    for _ in range(arguments.rounds):
        for result in results:
            _run(sessions[result.setting], arguments.images, result)
    print(f'{arguments.model.name}, {cores} cores, onnxruntime {onnxruntime.__version__}')
    print('pace      threads spin  arena | p50 ms  p99 ms | CPU ms an image | MB')
    for result in results:
        s, latency = result.setting, np.percentile(result.latency_ms, (50, 99))
        pace = f'{result.rate_hz:.0f} Hz' if result.rate_hz else 'back to back'
        print(
            f'{pace:12} {s.threads:4} {s.spinning!s:>5} {s.arena!s:>6} | {latency[0]:6.2f} '
            f'{latency[1]:7.2f} | {statistics.median(result.cpu_ms):15.2f} | {memory_mb[s]:5.1f}'
        )
    if arguments.json:
        machine = {'machine': platform.machine(), 'cores': cores}
        raw = {**machine, 'results': [asdict(result) for result in results]}
        arguments.json.write_text(json.dumps(raw) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
