# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError

__all__ = ['describe_start', 'expand_user']


def expand_user(path: Path | str) -> Path:
    """
    Replace ~ or ~USER at the start of a path by the home folder.

    :raises ConfigError: if there is no such user, or the user has no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        home = Path(path).parts[0]
        raise ConfigError(
            f'{path} cannot be used: {home} has no home folder; give a path that starts with /'
        ) from error


def describe_start(path: Path) -> str:
    """Describe where a path starts, in parentheses after a space; '' if it is absolute."""
    if path.is_absolute():
        return ''
    try:
        return f' (the working directory is {Path.cwd()})'
    except FileNotFoundError:
        return ' (the working directory was deleted)'
