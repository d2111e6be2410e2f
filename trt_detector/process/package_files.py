# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are installed with the package."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
import os
from pathlib import Path

__all__ = ['find_package_file']


def find_package_file(
    name: str | Path, environ: MutableMapping[str, str] = os.environ
) -> Path | None:
    """
    Return the path of a file or folder that belongs to the package, None if it is not there.

    :param name: relative to share/trt_detector, or to the root of the source tree.
    """
    for folder in _share_folders(environ):
        if (folder / name).exists():
            return folder / name
    return None


def _share_folders(environ: MutableMapping[str, str]) -> Iterable[Path]:
    """Yield the folders in which the package's files can be: its own prefix before others."""
    own = Path(__file__).resolve().parents[1]
    yield own.parent
    for parent in own.parents:
        yield parent / 'share' / 'trt_detector'
    for prefix in environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            yield Path(prefix, 'share', 'trt_detector')
