# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the peak memory of calibration on many images and on few.

    python3 docs/benchmarks/int8_memory.py --model demo/models/demo_end2end.onnx \
        --pictures scenes/calibration --json docs/benchmarks/int8_memory.json

Each size runs in a process of its own. A folder with fewer pictures is gone through again.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
import time
from typing import Any

_PROGRAM = """
import resource, sys
from trt_detector.tools import calibrate
code = calibrate.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


def measure(model: Path, pictures: list[Path], count: int) -> dict[str, Any]:
    """Calibrate with a number of images and return time and peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            source = pictures[number % len(pictures)].resolve()
            (folder / f'{number:05}{source.suffix}').symlink_to(source)
        arguments = ['--model', model, '--images', folder, '--output', folder / 'x.calib']
        arguments += ['--frames', count, '--gate-frames', 0, '--min-difference', 0]
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, '-c', _PROGRAM, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    peak_kb = int(done.stdout.splitlines()[-1])
    return {
        'pictures': count,
        'peak_mib': round(peak_kb / 1024, 1),
        'seconds': round(time.monotonic() - start, 1),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--model', type=Path, required=True)
    parser.add_argument('--pictures', type=Path, required=True)
    parser.add_argument('--counts', type=int, nargs='+', default=[100, 1000])
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    pictures = sorted(path for path in options.pictures.iterdir() if path.suffix == '.png')
    runs = [measure(options.model, pictures, count) for count in options.counts]
    for run in runs:
        print(f'{run["pictures"]:6} pictures: {run["peak_mib"]:8.1f} MiB, {run["seconds"]} s')
    ratio = runs[-1]['peak_mib'] / runs[0]['peak_mib']
    print(f'ratio {ratio:.3f}')
    if options.json:
        facts = {'model': options.model.name, 'machine': platform.machine()}
        facts |= {'cores': os.cpu_count(), 'runs': runs, 'ratio': round(ratio, 3)}
        options.json.write_text(json.dumps(facts, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
