# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime with OpenVINO, in processes of its own: it replaces the package onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def run_with_openvino(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """
    Run Python with ONNX Runtime for OpenVINO; skip the test if it is not installed.

    It is in a folder beside the virtual environment, or in TRT_DETECTOR_OPENVINO_FOLDER.

    :param arguments: for Python.
    :param environment: further environment variables.
    """
    beside = str(Path(sys.prefix).parent / 'openvino')
    folder = Path(os.environ.get('TRT_DETECTOR_OPENVINO_FOLDER', beside))
    if not (folder / 'onnxruntime').is_dir():
        pytest.skip(
            f'no onnxruntime-openvino in {folder}: run bringup/prepare.sh --with test '
            '(there is a wheel for x86-64)'
        )
    paths = [str(folder), str(_ROOT), str(_ROOT / 'test'), *sys.path]
    # Options of these tests, e.g. for the file of their results, are not those of the process.
    inherited = {name: value for name, value in os.environ.items() if name != 'PYTEST_ADDOPTS'}
    return subprocess.run(
        [sys.executable, '-X', 'faulthandler', *arguments],
        env={**inherited, 'PYTHONPATH': os.pathsep.join(filter(None, paths)), **environment},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
