# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Texts of errors: they reach logs and terminals, and parts of them come from foreign files."""

from __future__ import annotations

import pytest
from trt_detector.errors import ConfigError, ModelError, printable


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('lamp\nbox\t1', 'lamp\nbox\t1'),
        ('\x1b[2J', '\\x1b[2J'),
        ('a\0\r', 'a\\x00\\r'),
        ('\ud800', '\\ud800'),
        ('lämp é 灯', 'lämp é 灯'),
        ('\u202e', '\\u202e'),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert str(ModelError(text)) == expected
    assert str(ConfigError(text)) == expected


@pytest.mark.parametrize('text', ['x' * 100_000, '\x1b' * 5000])
def test_a_long_text_is_cut_and_says_so(text: str) -> None:
    message = str(ModelError(text))
    assert len(message) <= 8000
    assert message.endswith(f' ... ({len(text)} characters)')


def test_an_error_of_usual_length_is_whole() -> None:
    text = 'expected a file. ' * 200
    assert str(ModelError(text)) == text
