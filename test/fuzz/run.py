# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Fuzz the targets for some minutes each, several at once, and write a summary.

    PYTHONPATH=.:test python3 -m fuzz.run --minutes M [--jobs N] [--target T] --output DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
import hashlib
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import time
from typing import Any

from .seeds import read_crashes, SEEDS

_STATUS = re.compile(r'^#\d+\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)', re.MULTILINE)
_EXECUTIONS = re.compile(r'^#(\d+)\s', re.MULTILINE)
# An input that runs longer ends the process; the worker reports those above 2 s of CPU time.
HANG_SECONDS = 60
MEMORY_MIB = 2048
LONGEST_INPUT = 4096
# The instrumentation takes 2 KB per execution of some targets, which the limit would report.
PROCESS_SECONDS = 240


def write_seeds(target: str, corpus: Path) -> None:
    """Write seeds and former crashes into the corpus of a target."""
    corpus.mkdir(parents=True, exist_ok=True)
    for data in (*SEEDS[target](), *read_crashes(target).values()):
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def fuzz_target(target: str, seconds: float, output: Path) -> dict[str, Any]:
    """
    Fuzz a target; a process that ends early is started again.

    :return: the row of the summary.
    """
    corpus, faults = output / 'corpora' / target, output / 'faults' / target
    write_seeds(target, corpus)
    row: dict[str, Any] = {'target': target, 'executions': 0, 'restarts': -1}
    started = time.monotonic()
    log = output / 'logs' / f'{target}.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    while (left := seconds - (time.monotonic() - started)) >= 1 and row['restarts'] < 1000:
        faults.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, '-m', 'fuzz.worker', target, str(faults), str(corpus),
            f'-max_total_time={int(min(left, PROCESS_SECONDS))}',
            f'-timeout={HANG_SECONDS}', '-report_slow_units=100000', '-use_value_profile=1',
            f'-rss_limit_mb={MEMORY_MIB}', f'-max_len={LONGEST_INPUT}', '-close_fd_mask=3',
            f'-artifact_prefix={faults}/',
        ]  # fmt: skip
        with log.open('wb') as file:
            subprocess.run(command, stdout=file, stderr=file, check=False)
        text = log.read_text(errors='replace')
        row['executions'] += max(map(int, _EXECUTIONS.findall(text)), default=0)
        if found := _STATUS.findall(text):
            row['coverage'], row['features'], row['corpus'] = map(int, found[-1])
        row['restarts'] += 1
    row['minutes'] = round((time.monotonic() - started) / 60, 1)
    counts = faults / 'counts.json'
    row['faults'] = json.loads(counts.read_text()) if counts.is_file() else {}
    row['ended'] = sorted(p.name for p in faults.glob('*-*') if p.is_file())
    return row


def format_summary(rows: Sequence[dict[str, Any]]) -> str:
    """Write one line per target, and one per fault."""
    lines = ['| target | minutes | executions | edges | features | corpus | faults |']
    lines.append('|---|---:|---:|---:|---:|---:|---:|')
    for row in rows:
        faults = len(row['faults']) + len(row['ended'])
        values = (row.get(name, 0) for name in ('coverage', 'features', 'corpus'))
        lines.append(
            f'| {row["target"]} | {row["minutes"]} | {row["executions"]:,} | '
            + ' | '.join(map(str, values))
            + f' | {faults} |'
        )
    for row in rows:
        lines += [f'{row["target"]}: {count} x {kind}' for kind, count in row['faults'].items()]
        lines += [f'{row["target"]}: ended by {name}' for name in row['ended']]
    return '\n'.join(lines) + '\n'


def main() -> int:
    """Return 1 if a rule was broken, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--minutes', type=float, required=True, help='time of each target')
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1, help='targets at once')
    parser.add_argument('--target', action='append', choices=list(SEEDS), help='default: all')
    parser.add_argument('--output', type=Path, required=True, help='folder of corpora and summary')
    options = parser.parse_args()
    targets = options.target or list(SEEDS)
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(
            pool.map(lambda name: fuzz_target(name, options.minutes * 60, options.output), targets)
        )
    (options.output / 'summary.json').write_text(json.dumps(rows, indent=2))
    text = format_summary(rows)
    (options.output / 'summary.txt').write_text(text)
    print(text)
    return int(any(row['faults'] or row['ended'] for row in rows))


if __name__ == '__main__':
    sys.exit(main())
