# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Base of all doubles of TensorRT classes."""

from __future__ import annotations

from typing import Any


class Recorded:
    """Root of the double's classes: it has the recorded members and no other."""

    members: frozenset[str] = frozenset()
    settable: frozenset[str] = frozenset()
    world: Any
    trt: Any

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith('_') and name not in type(self).members:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith('_') and name not in type(self).settable:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        object.__setattr__(self, name, value)


class Trampoline:
    """Root of the classes that users derive from; its constructor has to be called."""

    def __init__(self) -> None:
        self._constructed = True


def check_trampoline(value: Any, kind: str) -> None:
    """Fail where TensorRT would crash the process."""
    if value is not None and not getattr(value, '_constructed', False):
        raise SystemError(f'segmentation fault: {kind}.__init__ was never called')


def log(logger: Any, severity: str, text: str) -> None:
    """Give a line to the user's logger."""
    logger.log(getattr(type(logger).Severity, severity), text)
