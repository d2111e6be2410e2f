# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Texts in the source, to compare pages with."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def list_texts() -> list[str]:
    """List the texts of the package and of the scripts; a value inside one is a NUL character."""
    texts = [path.read_text(encoding='utf-8') for path in ROOT.glob('bringup/*.sh')]
    for path in (ROOT / 'trt_detector').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    str(part.value) if isinstance(part, ast.Constant) else '\0'
                    for part in node.values
                )
                texts.append(''.join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts
