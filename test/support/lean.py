# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The real lean runtime of TensorRT, in a process of its own: without a GPU it may crash."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

LEAN_VERSIONS = ('11.4', '10.16')
_ROOT = Path(__file__).resolve().parents[2]


def run_with_lean(version: str, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """
    Run Python code with a version of tensorrt_lean; skip the test if it is not installed.

    The versions are in folders beside the virtual environment, or in TRT_DETECTOR_LEAN_FOLDER.

    :param version: one of LEAN_VERSIONS.
    :param code: source of the program.
    :param environment: further environment variables.
    """
    beside = os.environ.get('TRT_DETECTOR_LEAN_FOLDER', str(Path(sys.prefix).parent))
    folder = Path(beside) / f'tensorrt_lean-{version}'
    if not (folder / 'tensorrt_lean').is_dir():
        pytest.skip(f'no tensorrt_lean {version} in {folder}: run bringup/prepare.sh --with test')
    paths = [str(folder), str(_ROOT), str(_ROOT / 'test'), *sys.path]
    return subprocess.run(
        [sys.executable, '-X', 'faulthandler', '-c', code],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths)), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
