# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are installed with the package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import os
from pathlib import Path

__all__ = ['find_package_file']


def find_package_file(name: str | Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """
    Find a file or folder that is installed with the package.

    :param name: path relative to share/trt_detector, or to the root of the source tree.
    :param environ: environment variables.
    :return: None if it does not exist.
    """
    for folder in _share_folders(environ):
        if (folder / name).exists():
            return folder / name
    return None


def _share_folders(environ: Mapping[str, str]) -> Iterable[Path]:
    """Yield the folders that can hold the files: the own prefix before others."""
    own = Path(__file__).resolve().parents[1]
    yield own.parent
    for parent in own.parents:
        yield parent / 'share' / 'trt_detector'
    for prefix in environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            yield Path(prefix, 'share', 'trt_detector')
