# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Find the picture files that a user names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import ImageError
from .image import PICTURE_SUFFIXES

__all__ = ['picture_files']


def picture_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """
    Return the pictures in folders and among files, each folder's in the order of the names.

    :raises ImageError: if a path is missing or nothing is left.
    """
    named = [path.expanduser() for path in paths]
    pictures: list[Path] = []
    for path in named:
        if path.is_dir():
            inside = (file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
            pictures += sorted(file for file in inside if file.is_file())
        elif path.exists():
            pictures.append(path)
        else:
            raise ImageError(f'{path} does not exist; name a folder or picture files')
    if not pictures:
        suffixes = ' '.join(sorted(PICTURE_SUFFIXES))
        raise ImageError(f'{" ".join(map(str, named))} holds no picture ({suffixes})')
    return tuple(pictures)
