# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure runs of one ONNX Runtime session on the CPU, one by one, in batches and several at once.

Modes alternate in short rounds, so that other load on the machine affects all of them alike.

    python3 docs/benchmarks/parallel_runs.py --json docs/benchmarks/parallel_runs.json

The table goes to standard output.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import json
import os
from pathlib import Path
import statistics
import sys
import time
from typing import Any

import numpy as np
from trt_detector.model_info.onnx_session import open_session, SessionOptions

MODEL = Path(__file__).resolve().parents[2] / 'demo' / 'models' / 'demo_raw.onnx'


@dataclass(frozen=True)
class Mode:
    """
    A way to run images.

    :param threads: of the session.
    :param batch: images per run.
    :param at_once: number of runs at once, each called in a thread of its own.
    """

    threads: int
    batch: int
    at_once: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition('\n')[0])
    parser.add_argument('--model', type=Path, default=MODEL, help='(%(default)s)')
    parser.add_argument('--rounds', type=int, default=8, help='(%(default)s)')
    parser.add_argument('--seconds', type=float, default=0.7, help='per row (%(default)s)')
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    modes = [Mode(cores, 1, 1), Mode(cores, 4, 1)]
    modes += [Mode(cores, 1, number) for number in (2, 3, 4)]
    modes += [Mode(1, 1, 1), Mode(1, 1, cores)]
    data = options.model.read_bytes()
    sessions = {
        threads: open_session(data, SessionOptions(threads=threads)) for threads in {1, cores}
    }
    rows = []
    for number in range(options.rounds):
        for mode in modes:
            value = measure(sessions[mode.threads], mode, options.seconds)
            rows.append({'round': number, 'mode': vars(mode), 'images_per_s': round(value, 2)})
    print('| threads of a run | images per run | runs at once | images/s | of one by one |')
    print('|---|---|---|---|---|')
    first = [row['images_per_s'] for row in rows if row['mode'] == vars(modes[0])]
    for mode in modes:
        values = [row['images_per_s'] for row in rows if row['mode'] == vars(mode)]
        ratio = statistics.median(a / b for a, b in zip(values, first, strict=True))
        median = statistics.median(values)
        print(f'| {mode.threads} | {mode.batch} | {mode.at_once} | {median:.1f} | {ratio:.2f} |')
    if options.json:
        text = json.dumps({'cores': cores, 'model': options.model.name, 'rows': rows}, indent=1)
        options.json.write_text(text + '\n', encoding='utf-8')
    return 0


def measure(session: Any, mode: Mode, seconds: float) -> float:
    """Run images for some seconds; return the number per second."""
    spec = session.get_inputs()[0]
    shape = [dim if isinstance(dim, int) else mode.batch for dim in spec.shape]
    feed = {spec.name: np.random.default_rng(0).random(shape, np.float32)}
    session.run(None, feed)
    end = time.perf_counter() + seconds

    def run_until_end(_number: int) -> int:
        count = 0
        while time.perf_counter() < end:
            session.run(None, feed)
            count += 1
        return count

    with ThreadPoolExecutor(mode.at_once) as threads:
        begun = time.perf_counter()
        count = sum(threads.map(run_until_end, range(mode.at_once)))
        return count * mode.batch / (time.perf_counter() - begun)


if __name__ == '__main__':
    sys.exit(main())
