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
# Begin of the line, file, and the step of the benchmark.
LINES = {
    'Valid plan from the engine folder': ('startup', 'plan'),
    'ONNX file for ONNX Runtime': ('startup', 'onnx'),
    'Undisturbed': ('startup_pages', 'plan'),
    'Beside other load': ('startup_busy', 'plan'),
}


@pytest.mark.parametrize('begin', LINES)
def test_start_up_times_are_those_of_the_rounds(begin: str) -> None:
    (line,) = re.findall(rf'^\| {re.escape(begin)}[^|]*\|(.*)\|$', PAGE, re.MULTILINE)
    name, step = LINES[begin]
    report: dict[str, Any] = json.loads((DOCS / 'benchmarks' / f'{name}.json').read_text('utf-8'))
    wall: list[float] = []
    cpu: list[float] = []
    for code in ('before', 'now'):
        rounds = [each[step] for each in report['rounds'] if each['code'] == code]
        assert len(rounds) == 15
        walls = [each['wall_ms'] for each in rounds]
        wall += [min(walls), statistics.median(walls)]
        cpu.append(statistics.median(each['cpu_ms'] for each in rounds))
    told = [re.findall(r'\d+(?:\.\d+)?', cell) for cell in line.split('|')]
    numbers = [cell for cells in told[:2] for cell in cells] + [cells[0] for cells in told[2:]]
    for cell, value in zip(numbers, [*wall, *cpu], strict=True):
        digits = len(cell.partition('.')[2])
        assert abs(float(cell) - value) <= 0.5 * 10**-digits + 1e-9, (begin, cell, value)
