# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Python modules that may be missing or broken."""

from __future__ import annotations

import importlib

__all__ = ['import_module']


def import_module(name: str) -> tuple[str, str]:
    """Return (version, '') of a module that imports, else ('', reason)."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a broken library may raise anything at import
        return '', f'{type(error).__name__}: {error}'
    return str(getattr(module, '__version__', 'unknown version')), ''
