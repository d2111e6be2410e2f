# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the CPU load on files as Linux writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trt_detector.ros.monitoring.cpu_load import CpuLoad, CpuShares


def write_stat(root: Path, line: str) -> None:
    (root / 'proc').mkdir(exist_ok=True)
    (root / 'proc' / 'stat').write_text(f'{line}\ncpu0 0 0 0 0\nintr 5\n', encoding='ascii')


def test_shares_are_those_since_the_last_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_s = 10.0
    monkeypatch.setattr(os, 'times', lambda: os.times_result((own_s, 0.0, 0.0, 0.0, 0.0)))
    monkeypatch.setattr(os, 'sysconf', lambda _name: 100)
    # user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice
    write_stat(tmp_path, 'cpu  1000 0 0 1000 0 0 0 0 500 0')
    load = CpuLoad(tmp_path)
    assert load.read() is None
    own_s = 11.0
    write_stat(tmp_path, 'cpu  1500 50 100 1150 100 50 40 10 900 0')
    # 1000 ticks passed: 150 idle and 100 waiting for disks; this process ran for 100.
    assert load.read() == CpuShares(0.75, 0.1)


@pytest.mark.parametrize('line', ['', 'cpu a b', 'cpu 1 2 3'])
def test_other_formats_are_unknown(line: str, tmp_path: Path) -> None:
    write_stat(tmp_path, line)
    load = CpuLoad(tmp_path)
    assert load.read() is None
    assert CpuLoad(tmp_path / 'nowhere').read() is None


@pytest.mark.skipif(not Path('/proc/stat').exists(), reason='/proc/stat is missing: needs Linux')
def test_this_machine_reports_its_load() -> None:
    load = CpuLoad()
    shares = None
    while shares is None:
        sum(range(100_000))
        shares = load.read()
    assert 0 <= shares.busy <= 1
    assert 0 <= shares.own <= 1
