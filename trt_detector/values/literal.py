# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Python literals and JSON in the metadata of a model."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from contextlib import suppress
import json

__all__ = ['read_literal']

_LONGEST = 1 << 20


def read_literal(metadata: Mapping[str, str], key: str) -> object:
    """
    Parse a metadata entry that exporters write as a Python literal or as JSON.

    :return: None if it is none, or longer than 1 MiB: the parser takes a hundred times its length.
    """
    text = metadata.get(key, '').strip()
    if not text or len(text) > _LONGEST:
        return None
    # JSON escapes more characters than Python does.
    with suppress(ValueError, RecursionError):
        value: object = json.loads(text)
        return value
    try:
        literal: object = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return literal
