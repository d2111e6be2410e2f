# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that limits of the process and of its container are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trt_detector.process.usable_cores import count_usable_cores

USABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ('max 100000\n', USABLE), ('', USABLE), ('damaged', USABLE), ('100000 0\n', USABLE),
        ('100000 100000\n', 1), ('50000 100000\n', 1), ('1 100000\n', 1),
        (f'{USABLE * 100000 - 1} 100000\n', USABLE), ('99900000 100000\n', USABLE),
    ],
)  # fmt: skip
def test_the_limit_of_a_container_counts(content: str, expected: int, tmp_path: Path) -> None:
    quota = tmp_path / 'cpu.max'
    quota.write_text(content, encoding='ascii')
    assert count_usable_cores(quota) == expected


def test_two_of_many_cores_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(16)))
    quota = tmp_path / 'cpu.max'
    assert count_usable_cores(quota) == 16
    quota.write_text('150000 100000\n', encoding='ascii')
    assert count_usable_cores(quota) == 2


def test_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5})
    assert count_usable_cores(tmp_path / 'missing') == 2
