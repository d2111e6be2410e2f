# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of docs/design_notes.md, computed again from the raw figures."""

from __future__ import annotations

import json
from pathlib import Path
import re
import statistics

import pytest

DOCS = Path(__file__).resolve().parents[2] / 'docs'
TEXT = (DOCS / 'design_notes.md').read_text(encoding='utf-8')


def test_cost_of_masks() -> None:
    rows = json.loads((DOCS / 'benchmarks' / 'masks.json').read_text(encoding='utf-8'))['rows']
    measured = {
        ('{}x{}'.format(*row['size_wh']), row['objects']): statistics.median(row['times_ms'])
        for row in rows
    }
    section = TEXT.partition('### What masks would cost')[2].partition('###')[0]
    head, _, *lines = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in section.splitlines()
        if line.startswith('|')
    ]
    objects = [int(cell.removesuffix(' objects')) for cell in head[1:]]
    told = {
        (size, number): float(cell.removesuffix(' ms'))
        for size, *cells in lines
        for number, cell in zip(objects, cells, strict=True)
    }
    # Half of the last digit.
    assert told == pytest.approx(measured, rel=0, abs=0.051)


def test_cpu_time_of_the_node_is_that_of_the_readme() -> None:
    (told,) = re.findall(r'takes (\S+) ms of CPU time for a whole image of 1920x1080', TEXT)
    readme = (DOCS.parent / 'README.md').read_text(encoding='utf-8')
    (row,) = re.findall(r'\| 1920x1080 \| trt_detector \|.*\|', readme)
    assert told == row.split('|')[-2].strip()
