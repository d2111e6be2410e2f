# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The real lean runtime of TensorRT: its API, and a machine without a working CUDA."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess

from doubles.api_records import FOLDER, LEAN
import pytest
from support.lean import LEAN_VERSIONS, run_with_lean

LIBRARIES = """
from trt_detector.trt.library import load_library
from trt_detector.trt.logger import LogLines, make_logger
library = load_library('tensorrt_lean')
lines = LogLines()
logger = make_logger(library, lines)
"""

START = (
    LIBRARIES
    + """
import gc
from trt_detector.errors import BackendUnavailableError
from trt_detector.trt.runtime import load_cuda_engine
try:
    load_cuda_engine(library, b'no plan', logger, lines)
except BackendUnavailableError as error:
    print(error)
gc.collect()
"""
)


def output_of(result: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a process that has to end without error."""
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


@pytest.mark.parametrize('version', LEAN_VERSIONS)
def test_the_library_is_read_for_what_it_is(version: str) -> None:
    code = LIBRARIES + (
        'print(library.label, library.cuda_major, library.has_builder, library.has_inspector,'
        ' library.has_plugins, library.has_runtime_cache)'
    )
    label, *features = output_of(run_with_lean(version, code)).rsplit(' ', 5)
    assert label.startswith(f'TensorRT lean runtime {version}.')
    assert [text.strip() for text in features] == ['13', 'False', 'False', 'False', 'False']


def test_the_api_is_the_recorded_one() -> None:
    path = FOLDER / 'regenerate.py'
    code = (
        f'import runpy, tensorrt_lean_bindings as trt\n'
        f'values = runpy.run_path({str(path)!r})\n'
        "print(values['to_text'](values['extract'](trt)), end='')\n"
    )
    recorded = (FOLDER / f'{LEAN}.json').read_text(encoding='utf-8')
    assert json.loads(output_of(run_with_lean('11.4', code))) == json.loads(recorded)


@pytest.mark.parametrize('version', LEAN_VERSIONS)
def test_a_missing_device_is_reported_without_a_crash(version: str) -> None:
    # No device is visible to CUDA, also on a machine that has one.
    output = output_of(run_with_lean(version, START, CUDA_VISIBLE_DEVICES=''))
    assert f'TensorRT lean runtime {version}' in output
    # 35: no driver (or one that is too old), 100: no device.
    assert any(f'CUDA initialization failure with error: {code}' in output for code in (35, 100))
    assert 'check the NVIDIA driver with nvidia-smi' in output


@pytest.mark.parametrize('version', LEAN_VERSIONS)
def test_without_the_check_the_process_crashes(version: str) -> None:
    # If this fails, NVIDIA has fixed it, and the double of Runtime should follow.
    code = LIBRARIES + 'runtime = library.trt.Runtime(logger)\ndel runtime\n'
    result = run_with_lean(version, code, CUDA_VISIBLE_DEVICES='')
    assert result.returncode < 0
    assert 'Segmentation fault' in result.stderr


@pytest.mark.parametrize('version', LEAN_VERSIONS)
def test_a_prebuilt_plan_is_refused_with_the_reason(version: str, tmp_path: Path) -> None:
    plan = tmp_path / 'model.engine'
    plan.write_bytes(b'no plan')
    plan.chmod(0o600)
    code = (
        'from trt_detector.config import DetectorConfig\n'
        'from trt_detector.errors import DetectorError\n'
        'from trt_detector.factory import create_detector\n'
        'try:\n'
        f'    create_detector(DetectorConfig(model_path={str(plan)!r}, backend="tensorrt_lean"))\n'
        'except DetectorError as error:\n'
        '    print(type(error).__name__, error)\n'
    )
    output = output_of(run_with_lean(version, code, CUDA_VISIBLE_DEVICES=''))
    # The driver is asked before the library.
    assert output.startswith('BackendUnavailableError')
    assert 'NVIDIA driver' in output or 'no GPU is visible' in output
