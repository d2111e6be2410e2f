# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that docs/troubleshooting.md quotes stand in the source."""

from __future__ import annotations

from pathlib import Path
import re

import pytest
from support.source_texts import list_texts

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'troubleshooting.md'
# Texts of other programs.
FOREIGN = {
    'error: externally-managed-environment': 'pip',
    'A module that was compiled using NumPy 1.x cannot be run in NumPy 2': 'NumPy',
}


TEXTS = list_texts()


def quoted_messages() -> list[str]:
    """List the texts of several words in code quotes in the first column of the tables."""
    found = []
    for line in PAGE.read_text(encoding='utf-8').splitlines():
        cells = line.split(' | ')
        if line.startswith('| ') and len(cells) == 3:
            found += [text for text in re.findall('`([^`]+)`', cells[0]) if ' ' in text]
    return found


MESSAGES = quoted_messages()


def test_page_quotes_messages() -> None:
    assert len(MESSAGES) >= 30
    assert set(FOREIGN) <= set(MESSAGES)


@pytest.mark.parametrize('message', [text for text in MESSAGES if text not in FOREIGN])
def test_quoted_message_stands_in_the_source(message: str) -> None:
    # A message may be put together of several texts: each part between values has to be in one.
    parts = [part.strip(' ,') for part in re.split(r'\.\.\.|[:;,] |[()]', message)]
    words = [part for part in parts if part]
    assert max(len(part) for part in words) >= 8, 'too little to look for'
    for part in words:
        assert any(part in text for text in TEXTS), f'no message has {part!r}'


def test_changed_message_is_noticed() -> None:
    with pytest.raises(AssertionError, match='no message has'):
        test_quoted_message_stands_in_the_source('no image for ... s: nobody ever publishes')
