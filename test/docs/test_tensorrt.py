# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Start-up times of docs/tensorrt.md, computed again from the raw figures."""

from __future__ import annotations

import json
from pathlib import Path
import re
import statistics
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / 'docs'
PAGE = (DOCS / 'tensorrt.md').read_text(encoding='utf-8')
# Begin of the line, and the step of the benchmark.
LINES = {
    'Valid plan from the engine folder': 'plan',
    'ONNX file for ONNX Runtime': 'onnx',
}


@pytest.mark.parametrize('begin', LINES)
def test_start_up_times_are_those_of_the_rounds(begin: str) -> None:
    (line,) = re.findall(rf'^\| {re.escape(begin)}[^|]*\|(.*)\|$', PAGE, re.MULTILINE)
    report = read_report('startup')
    rounds = [each[LINES[begin]] for each in report['rounds'] if each['code'] == 'now']
    assert len(rounds) == 15
    walls = [each['wall_ms'] for each in rounds]
    cpu = statistics.median(each['cpu_ms'] for each in rounds)
    wall_cell, cpu_cell = line.split('|')
    numbers = [*re.findall(r'\d+(?:\.\d+)?', wall_cell), re.findall(r'\d+', cpu_cell)[0]]
    for number, value in zip(numbers, [min(walls), statistics.median(walls), cpu], strict=True):
        digits = len(number.partition('.')[2])
        assert abs(float(number) - value) <= 0.5 * 10**-digits + 1e-9, (begin, number, value)


@pytest.mark.parametrize('name', ['startup_pages', 'startup_busy'])
def test_gain_of_taking_memory_in_large_pieces_is_that_of_the_rounds(name: str) -> None:
    walls: dict[str, list[float]] = {}
    for each in read_report(name)['rounds']:
        walls.setdefault(each['code'], []).append(each['plan']['wall_ms'])
    gain = 1 - statistics.median(walls['now']) / statistics.median(walls['before'])
    (told,) = re.findall(rf'(gains nothing|ones \d+ %) \(`{name}\.json`\)', PAGE)
    percent = int(re.sub(r'\D', '', told) or 0)
    assert abs(100 * gain - percent) < 1


def read_report(name: str) -> dict[str, Any]:
    """Read the raw figures of a benchmark."""
    report: dict[str, Any] = json.loads((DOCS / 'benchmarks' / f'{name}.json').read_text('utf-8'))
    return report
