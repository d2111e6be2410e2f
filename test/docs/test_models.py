# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Messages and presets of docs/models.md are those of the source."""

from __future__ import annotations

from pathlib import Path
import re

import numpy as np
import pytest
from support.source_texts import list_texts
from trt_detector.preprocess import PRESETS

PAGE = (Path(__file__).resolve().parents[2] / 'docs' / 'models.md').read_text(encoding='utf-8')
SYMPTOMS = re.findall(r'^\| "([^"]+)"', PAGE, flags=re.MULTILINE)
TEXTS = list_texts()
SCALES = {'1/255': 1 / 255, '1': 1.0}


@pytest.mark.parametrize('message', SYMPTOMS)
def test_quoted_message_stands_in_the_source(message: str) -> None:
    # Numbers are those of a model, and a message may be put together of several texts.
    parts = [part.strip(' -,;') for part in re.split(r'\.\.\.|[:;,] |[()]|-?\d[\d.]*', message)]
    assert max(len(part) for part in parts) >= 8, 'too little to look for'
    for part in filter(None, parts):
        assert any(part in text for text in TEXTS), f'no message has {part!r}'


def test_page_quotes_messages() -> None:
    assert len(SYMPTOMS) >= 20


def test_changed_message_is_noticed() -> None:
    with pytest.raises(AssertionError, match='no message has'):
        test_quoted_message_stands_in_the_source('scores of -8 to 4; which no layout expects')


def test_presets_are_those_of_the_source() -> None:
    section = PAGE.partition('| Preset | Resize | Scale |')[2].partition('\n\n')[0]
    rows = re.findall(r'^\| `(\w+)` \| (.+) \|$', section, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(PRESETS)
    for name, cells in rows:
        resize, scale, normalization, order = cells.split(' | ')
        spec = PRESETS[name]
        assert spec.scale == SCALES[scale], name
        assert spec.color == order.lower(), name
        assert (spec.mode == 'stretch') == (resize == 'stretch'), name
        if spec.mode == 'letterbox':
            kind, pad = resize.rsplit(', ', 1)
            assert spec.pad_value == int(pad), name
            assert (spec.anchor == 'top_left') == ('top left' in kind), name
        is_plain = bool(np.all(np.asarray(spec.mean) == 0) and np.all(np.asarray(spec.std) == 1))
        assert is_plain == (normalization == '-'), name
