# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of docs/cameras.md, computed again from the raw figures."""

from __future__ import annotations

import json
from pathlib import Path
import re
import statistics

import pytest

DOCS = Path(__file__).resolve().parents[2] / 'docs'


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_cpu_time_of_shared_images(transport: str) -> None:
    runs = json.loads((DOCS / 'benchmarks' / 'shared_images.json').read_text())['runs']
    page = (DOCS / 'cameras.md').read_text(encoding='utf-8')
    section = page.split('| CPU time per image, ms |')[1]
    (row,) = re.findall(rf'^\| 1280x720 {transport} \|(.*)\|$', section, flags=re.MULTILINE)
    expected = [
        statistics.median(
            run['cpu_ms_per_image']
            for run in runs
            if (run['transport'], run['detectors']) == (transport, detectors)
        )
        for detectors in ('one', 'two, separate', 'two, shared')
    ]
    assert [float(cell) for cell in row.split('|')] == [
        pytest.approx(value, abs=0.051) for value in expected
    ]
    assert all(run['counts'][0]['lost'] == 0 for run in runs)
