# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Python literals in the metadata of a model."""

from __future__ import annotations

import ast
from collections.abc import Mapping

__all__ = ['read_literal']


def read_literal(metadata: Mapping[str, str], key: str) -> object:
    """Parse a metadata entry that exporters write as a Python literal, None if it is none."""
    try:
        literal: object = ast.literal_eval(metadata[key].strip())
    except (KeyError, ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return literal
