# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that docs/reliability.md and docs/threat-model.md name tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'reliability.md'
HEADER = '| Fault | What you see | Test |'


def read_rows() -> list[tuple[str, str, str]]:
    """Read the rows of the table, without those that hold a heading only."""
    lines = PAGE.read_text(encoding='utf-8').splitlines()
    rows = []
    for line in lines[lines.index(HEADER) + 2 :]:
        if not line.startswith('|'):
            break
        fault, seen, test = (cell.strip() for cell in line[1:-1].split('|'))
        if not fault.startswith('**'):
            rows.append((fault, seen, test))
    return rows


ROWS = read_rows()


def test_table_covers_the_faults() -> None:
    assert len(ROWS) >= 40
    assert len({fault for fault, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(('fault', 'seen', 'test'), ROWS, ids=[fault for fault, _, _ in ROWS])
def test_row_names_tests_that_exist(fault: str, seen: str, test: str) -> None:
    assert seen
    names = re.findall(r'`([^`]+)`', test)
    assert names, f'{fault}: no test'
    for name in names:
        assert_exists(name)


def test_defenses_of_the_threat_model_name_tests_that_exist() -> None:
    text = PAGE.with_name('threat-model.md').read_text(encoding='utf-8')
    names = re.findall(r'`(test/[^`]+)`', text)
    assert len(names) >= 15
    for name in names:
        assert_exists(name)


def assert_exists(name: str) -> None:
    """Fail if a test, FILE or FILE::FUNCTION, does not exist."""
    path, _, function = name.partition('::')
    tree = ast.parse((ROOT / path).read_text(encoding='utf-8'))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert function in defined or not function, f'{name} does not exist'
