# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that each fault of docs/reliability.md and docs/threat-model.md has tests that exist."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Tests by page and first cell of a row.
TESTS: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name('fault_tests.json').read_text(encoding='utf-8')
)
HEADERS = {
    'docs/reliability.md': '| Fault | What you see |',
    'docs/threat-model.md': '| Entry point | Attack | Defense |',
}
ROWS = [(page, row) for page, rows in TESTS.items() for row in rows]


def read_rows(page: str) -> list[list[str]]:
    """Read the rows of the table of a page, without those that hold a heading only."""
    lines = (ROOT / page).read_text(encoding='utf-8').splitlines()
    rows = []
    for line in lines[lines.index(HEADERS[page]) + 2 :]:
        if not line.startswith('|'):
            break
        cells = [cell.strip() for cell in line[1:-1].split('|')]
        if not cells[0].startswith('**'):
            rows.append(cells)
    return rows


@pytest.mark.parametrize(
    ('page', 'least'), [('docs/reliability.md', 40), ('docs/threat-model.md', 15)]
)
def test_each_row_has_tests(page: str, least: int) -> None:
    rows = read_rows(page)
    assert len(rows) >= least
    assert all(all(cells) for cells in rows)
    assert [cells[0] for cells in rows] == list(TESTS[page])


@pytest.mark.parametrize(('page', 'row'), ROWS, ids=[row for _, row in ROWS])
def test_tests_of_a_row_exist(page: str, row: str) -> None:
    assert TESTS[page][row]
    for name in TESTS[page][row]:
        path, _, function = name.partition('::')
        tree = ast.parse((ROOT / path).read_text(encoding='utf-8'))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in defined or not function, f'{name} does not exist'
