# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what a start spends on the files of a model: reading, hashing and comparing.

Two steps are measured on files of a given size, in a new process per round. Every file is in the
page cache, as after a restart of the node:

- plan: load a valid plan from the engine folder (manifest, bytes, SHA-256), as at each start with
  TensorRT; what TensorRT itself does with the plan is not part of it;
- onnx: describe an ONNX file and prepare it for ONNX Runtime, as at each start without TensorRT;
  it includes the parsing by protobuf.

Two floors are measured beside them: reading the file alone, and SHA-256 alone.

    git worktree add ../before COMMIT
    python3 docs/benchmarks/startup.py --baseline ../before --json docs/benchmarks/startup.json

With --baseline the rounds of both checkouts alternate, so that other load affects both; with
--real-time it affects neither. The memory of a file is freed at the end of its step.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import hashlib
import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
STEPS = ('plan', 'onnx', 'read', 'sha256')


def main() -> int:
    options = parse_arguments()
    if options.child:
        print(json.dumps(run_steps(options.child, options.real_time)))
        return 0
    with tempfile.TemporaryDirectory(prefix='startup.') as folder:
        files = Path(folder)
        write_files(files, options.mebibytes << 20)
        checkouts = {'now': ROOT}
        if options.baseline:
            checkouts = {'before': options.baseline.resolve(), **checkouts}
        rounds: list[dict[str, Any]] = []
        for number in range(options.rounds):
            for name, checkout in checkouts.items():
                result = start_child(checkout, files, options.real_time)
                rounds.append({'round': number, 'code': name, **result})
    report = {
        'mebibytes': options.mebibytes,
        'cores': len(os.sched_getaffinity(0)),
        'processor': read_processor(),
        'load_average': os.getloadavg()[0],
        'real_time': options.real_time,
        'summary': summarize(rounds, list(checkouts)),
        'rounds': rounds,
    }
    print_table(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n')
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--baseline', type=Path, help='checkout of another version')
    parser.add_argument('--mebibytes', type=int, default=64, help='size of a file (%(default)s)')
    parser.add_argument('--rounds', type=int, default=15, help='processes each (%(default)s)')
    parser.add_argument(
        '--real-time', action='store_true',
        help='give the steps real-time priority, so that other programs take no core; needs root',
    )  # fmt: skip
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    parser.add_argument('--child', type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def write_files(folder: Path, size: int) -> None:
    """Write an ONNX file of a size, and a store with a plan of that size."""
    import numpy as np
    import onnx
    from onnx import numpy_helper
    from trt_detector.plan import BuiltPlan, PlanStore

    random = np.random.default_rng(1)
    model = onnx.load(MODEL)
    ballast = random.random((size - MODEL.stat().st_size) // 4, np.float32).reshape(1, -1)
    model.graph.initializer.append(numpy_helper.from_array(ballast, 'ballast'))
    onnx.save(model, folder / 'model.onnx')
    plan = BuiltPlan(random.bytes(size), 'fp16')
    PlanStore(folder / 'plans').load_or_build(make_key(), lambda: plan, log=lambda _: None)


def make_key() -> Any:
    """Make the key of the plan."""
    from trt_detector.plan import DeviceKey, PlanKey

    shape = (1, 3, 640, 640)
    return PlanKey(
        model_name='model',
        model_sha256='0' * 64,
        library='tensorrt',
        version='10.3.0',
        device=DeviceKey('Orin', (8, 7), 16),
        precision='fp16',
        min_shape=shape,
        opt_shape=shape,
        max_shape=shape,
        calib_cache_sha256='',
        flags=(),
        plugin_sha256=(),
        build_recipe=1,
    )


def start_child(checkout: Path, files: Path, real_time: bool) -> dict[str, Any]:
    """Run the steps in a new process, with the code of a checkout."""
    environment = {**os.environ, 'PYTHONPATH': f'{checkout}:{os.environ.get("PYTHONPATH", "")}'}
    command = [sys.executable, str(Path(__file__).resolve()), '--child', str(files)]
    command += ['--real-time'] * real_time
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if Path(result.pop('package')).resolve() != (checkout / 'trt_detector').resolve():
        raise RuntimeError(f'the process did not run the code of {checkout}')
    return result


def run_steps(files: Path, real_time: bool) -> dict[str, Any]:
    """Time each step once."""
    import onnx  # noqa: F401 - its import is not part of a step
    import trt_detector
    from trt_detector.model_info import prepare_model, read_model_info
    from trt_detector.plan import PlanStore

    model = files / 'model.onnx'

    def load_plan() -> None:
        store = PlanStore(files / 'plans')
        plan = store.load_or_build(make_key(), refuse, log=lambda _: None)
        if not plan.from_cache:
            raise RuntimeError('the plan was not loaded')

    content: list[bytes] = []
    steps: dict[str, Callable[[], object]] = {
        'plan': load_plan,
        'onnx': lambda: prepare_model(read_model_info(model)),
        'read': lambda: content.append(model.read_bytes()),
        'sha256': lambda: hashlib.sha256(content[0]).hexdigest(),
    }
    result: dict[str, Any] = {'package': str(Path(trt_detector.__file__).parent)}
    if real_time:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    for name in STEPS:
        cpu, start = time.process_time(), time.perf_counter()
        steps[name]()
        result[name] = {
            'wall_ms': round((time.perf_counter() - start) * 1e3, 2),
            'cpu_ms': round((time.process_time() - cpu) * 1e3, 2),
        }
    return result


def refuse() -> Any:
    raise RuntimeError('the plan is not valid')


def summarize(rounds: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Compute minimum and median per checkout and step."""
    summary: dict[str, Any] = {}
    for name in names:
        own = [row for row in rounds if row['code'] == name]
        summary[name] = {
            step: {
                kind: {
                    'min': min(row[step][kind] for row in own),
                    'median': round(statistics.median(row[step][kind] for row in own), 2),
                }
                for kind in ('wall_ms', 'cpu_ms')
            }
            for step in STEPS
        }
    return summary


def read_processor() -> str:
    """Return the name of the processor, and whether it has instructions for SHA-256."""
    text = Path('/proc/cpuinfo').read_text()
    lines = [line for line in text.splitlines() if line.startswith('model name')]
    name = lines[0].partition(':')[2].strip() if lines else 'unknown'
    has_sha = any(flag in text for flag in (' sha_ni', ' sha2'))
    return f'{name}, {"with" if has_sha else "without"} SHA instructions'


def print_table(report: dict[str, Any]) -> None:
    """Print a Markdown table of times in milliseconds."""
    print(f'{report["mebibytes"]} MiB, {report["processor"]}, load {report["load_average"]:.1f}')
    print('\n| Code | Step | Wall, minimum | Wall, median | CPU, median |\n|---|---|---|---|---|')
    for name, steps in report['summary'].items():
        for step, kinds in steps.items():
            wall, cpu = kinds['wall_ms'], kinds['cpu_ms']
            print(f'| {name} | {step} | {wall["min"]} | {wall["median"]} | {cpu["median"]} |')


if __name__ == '__main__':
    sys.exit(main())
