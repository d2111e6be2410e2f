# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""No part of the package runs code that comes from data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'trt_detector'
# Modules whose readers run code from the file.
CODE_READERS = {
    'pickle',
    'cPickle',
    '_pickle',
    'dill',
    'joblib',
    'cloudpickle',
    'marshal',
    'shelve',
    'torch',
}
CODE_CALLS = {
    'eval', 'exec', 'compile', '__import__', 'os.system', 'os.popen', 'subprocess.getoutput',
    'subprocess.getstatusoutput', 'yaml.load', 'yaml.unsafe_load', 'yaml.full_load',
    'yaml.load_all',
}  # fmt: skip


def find_code_from_data(source: str) -> Iterator[str]:
    """Find imports and calls that can run code from data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.partition('.')[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module).partition('.')[0]]
        else:
            names = []
        yield from (f'line {node.lineno}: import {name}' for name in names if name in CODE_READERS)
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        values = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if (
            call in CODE_CALLS
            or values.get('shell', 'False') != 'False'
            or values.get('allow_pickle', 'False') != 'False'
        ):
            yield f'line {node.lineno}: {ast.unparse(node)}'


@pytest.mark.parametrize(
    'source',
    [
        'import pickle', 'from torch import load', 'import torch.nn', 'eval(text)',
        'os.system(text)',
        'subprocess.run(text, shell=True)', 'np.load(path, allow_pickle=True)',
        'yaml.load(text, Loader)', 'subprocess.run(text, shell=flag)',
    ],
)  # fmt: skip
def test_the_check_finds_code_from_data(source: str) -> None:
    assert len(list(find_code_from_data(source))) == 1


def test_the_check_accepts_harmless_code() -> None:
    source = (
        'import re\nre.compile(text)\nast.literal_eval(text)\nnp.load(path)\nyaml.safe_load(text)'
    )
    assert not list(find_code_from_data(source))


@pytest.mark.parametrize(
    'path', sorted(PACKAGE.rglob('*.py')), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_module_runs_code_from_data(path: Path) -> None:
    assert not list(find_code_from_data(path.read_text()))
