# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Find the image files that a user names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import ImageError
from ..values.user_path import expand_user
from .image import PICTURE_SUFFIXES

__all__ = ['picture_files']


def picture_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """
    List the image files among paths and in folders, each folder sorted by name.

    :param paths: files, taken as they are, and folders, searched for :data:`PICTURE_SUFFIXES`.
    :raises ImageError: if a path does not exist or no image file is found.
    """
    named = [expand_user(path) for path in paths]
    pictures: list[Path] = []
    for path in named:
        if path.is_dir():
            inside = (file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
            pictures += sorted(file for file in inside if file.is_file())
        elif path.is_file():
            pictures.append(path)
        elif path.exists():
            raise ImageError(f'{path} is a pipe, socket or device; name a regular picture file')
        else:
            raise ImageError(f'{path} does not exist; name a folder or picture files')
    if not pictures:
        suffixes = ' '.join(sorted(PICTURE_SUFFIXES))
        raise ImageError(f'{" ".join(map(str, named))} holds no picture ({suffixes})')
    return tuple(pictures)
