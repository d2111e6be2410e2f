# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that sessions can be cancelled, and that ONNX Runtime sends no telemetry."""

from __future__ import annotations

import ast
import os
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import onnxruntime
import pytest
from support.models import lamp_detector, slow_detector
import trt_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import BuildCancelledError
from trt_detector.factory import create_detector
from trt_detector.model_info.onnx_session import open_session, SessionOptions

PACKAGE = Path(trt_detector.__file__).parent


def test_session_in_the_making_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, flagged = threading.Event(), threading.Event()

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
        def set_load_cancellation_flag(self, value: bool) -> None:
            assert value
            flagged.set()

    def make_session(*_: Any, **__: Any) -> Any:
        # A large model: ONNX Runtime looks at the flag between its steps.
        cancel.set()
        assert flagged.wait(20)
        raise RuntimeError('MODEL_LOAD_CANCELED')

    monkeypatch.setattr(onnxruntime, 'SessionOptions', Options)
    monkeypatch.setattr(onnxruntime, 'InferenceSession', make_session)
    with pytest.raises(BuildCancelledError, match='session was cancelled'):
        open_session(b'model', SessionOptions(cancel=cancel))


def test_threads_fit_the_cores_that_the_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lamp_detector(tmp_path / 'lamp.onnx').read_bytes()
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {0})
    monkeypatch.setattr(os, 'cpu_count', lambda: 16)
    for wanted, expected in ((0, 1), (3, 3)):
        session = open_session(model, SessionOptions(threads=wanted))
        assert session.get_session_options().intra_op_num_threads == expected


def test_session_that_is_made_in_spite_of_the_cancellation_is_dropped(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    model = lamp_detector(tmp_path / 'lamp.onnx').read_bytes()
    with pytest.raises(BuildCancelledError):
        open_session(model, SessionOptions(cancel=cancel))


def test_warm_up_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = threading.Event()
    run = onnxruntime.InferenceSession.run

    def run_and_cancel(*arguments: Any) -> Any:
        cancel.set()
        return run(*arguments)

    monkeypatch.setattr(onnxruntime.InferenceSession, 'run', run_and_cancel)
    config = DetectorConfig(
        model_path=str(slow_detector(tmp_path / 'slow.onnx')), backend='onnxruntime'
    )
    with pytest.raises(BuildCancelledError, match='warm-up was cancelled'):
        create_detector(config, cancel=cancel)


def test_only_one_module_imports_onnxruntime() -> None:
    found = []
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if 'onnxruntime' in names:
                found.append(path.name)
    assert found == ['onnx_session.py']


def test_telemetry_is_off_in_a_process_that_detects(tmp_path: Path) -> None:
    model = lamp_detector(tmp_path / 'lamp.onnx')
    code = f"""
import onnxruntime
calls = []
disable, session = onnxruntime.disable_telemetry_events, onnxruntime.InferenceSession
onnxruntime.disable_telemetry_events = lambda: (calls.append('off'), disable())
onnxruntime.InferenceSession = lambda *a, **k: (calls.append('session'), session(*a, **k))[1]
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
create_detector(DetectorConfig(model_path={str(model)!r}, backend='onnxruntime')).close()
print(calls.index('off') < calls.index('session'))
"""
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == 'True', done.stderr
