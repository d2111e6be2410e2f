# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure run_bag against real time: a bag of 1280x720 images of the demo, and the demo model.

    python3 docs/benchmarks/run_bag.py --json docs/benchmarks/run_bag.json
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'test')]

TOPIC, RATE_HZ = '/camera/image_raw', 30.0
MODEL = ROOT / 'demo' / 'models' / 'demo_raw.onnx'
# Kind of the images, suffix of the output, further options.
RUNS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ('raw', '', ()),
    ('raw', '', ('--tracker', 'bytetrack')),
    ('jpeg', '', ()),
    ('jpeg', '', ('--tracker', 'bytetrack')),
    ('jpeg', '.mp4', ('--tracker', 'bytetrack')),
)


def write_bag(folder: Path, kind: str, images: int) -> Path:
    """Write a bag of the demo's pictures, at 30 images per second."""
    from support import bags

    files = sorted((ROOT / 'demo' / 'pictures').glob('*_1280x720.jpg'))
    pictures = [cv2.imread(str(file)) for file in files]
    data = [np.fromfile(file, np.uint8) for file in files]
    messages: list[Any] = []
    for number in range(images):
        time_ns = 10**9 + round(number * 1e9 / RATE_HZ)
        head = bags.header(*divmod(time_ns, 10**9))
        which = number % len(files)
        if kind == 'raw':
            messages.append((TOPIC, bags.RAW, time_ns, bags.raw(pictures[which], head)))
        else:
            image = bags.make(bags.COMPRESSED, header=head, format='jpeg', data=data[which])
            messages.append((TOPIC, bags.COMPRESSED, time_ns, image))
    return bags.write_bag(folder / kind, messages)


def run(bag: Path, output: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """Run the tool in a process of its own, and return its report with the whole duration."""
    report = output.with_suffix('.report')
    command = [
        sys.executable, '-m', 'trt_detector', 'run_bag', '--model', MODEL, '--bag', bag,
        '--output', output, '--backend', 'onnxruntime', '--json', report, *options,
    ]  # fmt: skip
    started, busy_s, own_s = time.monotonic(), _read_busy_s(), _read_own_s()
    subprocess.run([str(each) for each in command], check=True, capture_output=True)
    seconds = time.monotonic() - started
    own_s = _read_own_s() - own_s
    names = ('read', 'written', 'bag_seconds', 'seconds', 'images_per_s', 'real_time_factor')
    facts = json.loads(report.read_text())
    return {name: facts[name] for name in names} | {
        'process_seconds': round(seconds, 3),
        'cpu_ms_per_image': round(own_s / facts['read'] * 1e3, 2),
        'other_load_cores': round((_read_busy_s() - busy_s - own_s) / seconds, 2),
    }


def _read_own_s() -> float:
    """Read the CPU time of the runs that have ended, the start of Python included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read_busy_s() -> float:
    """Read the CPU time of all processes of the machine."""
    fields = Path('/proc/stat').read_text().splitlines()[0].split()[1:]
    user, nice, system = (int(field) for field in fields[:3])
    return (user + nice + system) / os.sysconf('SC_CLK_TCK')


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().partition('\n')[0])
    parser.add_argument('--images', type=int, default=200)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bags = {kind: write_bag(Path(folder), kind, options.images) for kind in ('raw', 'jpeg')}
        results: list[list[dict[str, Any]]] = [[] for _ in RUNS]
        for repeat in range(options.repeats):
            for number, (kind, suffix, given) in enumerate(RUNS):
                output = Path(folder) / f'out_{repeat}_{number}{suffix}'
                results[number].append(run(bags[kind], output, given))
        for (kind, suffix, given), runs in zip(RUNS, results, strict=True):
            cpu_ms = statistics.median(one['cpu_ms_per_image'] for one in runs)
            factor = max(one['real_time_factor'] for one in runs)
            rows.append(
                {
                    'images': kind,
                    'output': suffix or 'bag',
                    'options': ' '.join(given),
                    'cpu_ms_per_image': cpu_ms,
                    'best_real_time_factor': factor,
                    'runs': runs,
                }
            )
            print(f'{kind} {suffix or "bag"} {given}: {cpu_ms} ms, {factor} x real time')
    if options.json:
        cores = len(os.sched_getaffinity(0))
        report = {'bag': f'1280x720 at {RATE_HZ:g} Hz', 'cores': cores, 'rows': rows}
        options.json.write_text(json.dumps(report, indent=1) + '\n')


if __name__ == '__main__':
    main()
