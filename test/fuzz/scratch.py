# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Folder for the files of one execution."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
import contextlib
from functools import cache
from pathlib import Path
import shutil
import tempfile


@cache
def _folder() -> Path:
    """Create the folder of this process, removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix='trt_detector_fuzz_'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def scratch_files(files: dict[str, bytes]) -> Iterator[Path]:
    """Write files into a folder, and remove them afterwards."""
    folder = _folder()
    paths = [folder / name for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    try:
        yield folder
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
