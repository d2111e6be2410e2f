# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Values in the metadata of models, as Python literals and as JSON."""

from __future__ import annotations

import pytest
from trt_detector.values.literal import read_literal


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ("{0: 'a', 1: 'b'}", {0: 'a', 1: 'b'}),
        ("['a', 'b']", ['a', 'b']),
        ('(96, 64)', (96, 64)),
        ('True', True),
        ('{"0": "a"}', {'0': 'a'}),
        # Escapes that JSON has and Python does not.
        (r'["\ud83d\udc36", "a\/b"]', ['\N{DOG FACE}', 'a/b']),
        ('{"nms": true}', {'nms': True}),
        ('', None),
        ('a, b', None),
        ('[' * 100_000, None),
        ('9' * 5000, None),
    ],
)
def test_values_are_read(text: str, expected: object) -> None:
    assert read_literal({'key': text}, 'key') == expected
