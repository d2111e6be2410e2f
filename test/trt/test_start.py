# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A TensorRT whose CUDA cannot start: no crash, and the reason is reported."""

from __future__ import annotations

import logging
from pathlib import Path
import sys

from doubles.api_records import load_record, PERSONALITIES, RECORDS
from doubles.machine import machine
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.errors import BackendUnavailableError
from trt_detector.factory import create_detector
from trt_detector.gpu.device_info import read_device
from trt_detector.tools import doctor
from trt_detector.trt.backend import open_engine
from trt_detector.trt.library import find_library, load_library
from trt_detector.trt.logger import LogLines, make_logger
from trt_detector.trt.start import create_builder, create_runtime


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model with a dynamic batch."""
    return networks.yolo(tmp_path / 'yolo.onnx')


@pytest.mark.parametrize('personality', RECORDS)
def test_a_runtime_that_cannot_start_is_never_used_or_deleted(personality: str) -> None:
    with machine(personality, cuda_error=35):
        library = load_library(load_record(personality).module)
        lines = LogLines()
        with pytest.raises(BackendUnavailableError) as caught:
            create_runtime(library, make_logger(library, lines), lines)
    assert 'CUDA initialization failure with error: 35' in str(caught.value)
    assert library.label in str(caught.value)
    assert 'nvidia-smi' in str(caught.value)


# TensorRT for RTX builds without CUDA: see test_rtx_builder.
@pytest.mark.parametrize('personality', [name for name in PERSONALITIES if 'rtx' not in name])
def test_a_builder_that_cannot_start_is_never_used_or_deleted(personality: str) -> None:
    with machine(personality, cuda_error=100):
        library = load_library(load_record(personality).module)
        lines = LogLines()
        with pytest.raises(BackendUnavailableError, match='failure with error: 100'):
            create_builder(library, make_logger(library, lines), lines)


@pytest.mark.parametrize('how', ['use', 'deletion'])
def test_the_double_reports_what_crashes_the_process(how: str) -> None:
    context = machine('tensorrt-10.16', cuda_error=35)
    world = context.__enter__()
    library = load_library('tensorrt')
    runtime = library.trt.Runtime(make_logger(library, LogLines()))
    if how == 'use':
        with pytest.raises(SystemError, match='segmentation fault'):
            runtime.deserialize_cuda_engine(b'')
        runtime._crashes = False
    else:
        # Python prints an exception of __del__ instead of raising it.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, 'unraisablehook', lambda _: None)
            del runtime
    assert len(world.crashes) == 1
    world.crashes.clear()
    context.__exit__(None, None, None)


def test_errors_of_another_engine_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with machine('tensorrt-10.16') as world:
        lines = LogLines()
        library = load_library('tensorrt')
        logger = make_logger(library, lines)
        world.cuda.stack().append(object())
        genuine = LogLines.clear

        def clear(self: LogLines) -> None:
            genuine(self)
            import threading

            other = threading.Thread(target=self.add, args=('ERROR', 'of another thread'))
            other.start()
            other.join()

        monkeypatch.setattr(LogLines, 'clear', clear)
        assert create_runtime(library, logger, lines) is not None
        assert lines.errors() == ('of another thread',)


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_backend_auto_falls_back_with_the_reason(
    personality: str, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = DetectorConfig(
        model_path=str(model), engine_cache_dir=str(model.parent / 'plans'), warmup_iterations=0
    )
    caplog.set_level(logging.INFO, 'trt_detector')
    with machine(personality, cuda_error=35), create_detector(config) as detector:
        assert detector.info.backend == 'onnxruntime'
        reason = detector.info.report()['tensorrt']
    assert 'CUDA initialization failure with error: 35' in reason
    assert f'TensorRT is not used: {reason.removeprefix("not used: ")}' in caplog.text


def test_a_backend_that_was_chosen_is_refused(model: Path) -> None:
    config = DetectorConfig(model_path=str(model), backend='tensorrt', warmup_iterations=0)
    refused = pytest.raises(BackendUnavailableError, match='failure with error: 35')
    with machine('tensorrt-10.16', cuda_error=35), refused:
        create_detector(config)


def install_library(folder: Path, name: str, package: str) -> None:
    """Write a TensorRT module of one version, in a folder of Python packages."""
    module = folder / name
    module.mkdir(parents=True)
    (module / '__init__.py').write_text('__version__ = "11.4.0.106"')
    (folder / f'{package}-11.4.0.106.dist-info').mkdir()


def test_a_driver_that_is_older_than_the_library_is_refused_before_the_library_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_library(tmp_path, 'tensorrt', 'tensorrt_cu13_libs')
    monkeypatch.syspath_prepend(str(tmp_path))
    with machine(None, cuda_version=12080):
        monkeypatch.delitem(sys.modules, 'tensorrt')
        assert load_library('tensorrt').cuda_major == 13
        with pytest.raises(BackendUnavailableError) as caught:
            find_library('tensorrt', read_device())
        doctor.main([])
    assert 'built for CUDA 13, but the NVIDIA driver supports CUDA 12.8 only' in str(caught.value)
    assert 'built for CUDA 13, but the NVIDIA driver supports CUDA 12.8' in capsys.readouterr().out


def test_a_newer_driver_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_library(tmp_path, 'tensorrt', 'tensorrt_cu12_libs')
    monkeypatch.syspath_prepend(str(tmp_path))
    with machine(None, cuda_version=13000):
        monkeypatch.delitem(sys.modules, 'tensorrt')
        assert find_library('tensorrt', read_device()).cuda_major == 12


def test_the_debian_package_tells_the_cuda_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'dist-packages'
    (folder / 'tensorrt').mkdir(parents=True)
    (folder / 'tensorrt' / '__init__.py').write_text('__version__ = "10.3.0"')
    program = tmp_path / 'dpkg-query'
    program.write_text('#!/bin/sh\necho 10.3.0.30-1+cuda12.5\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')
    monkeypatch.syspath_prepend(str(folder))
    with machine(None):
        monkeypatch.delitem(sys.modules, 'tensorrt')
        assert load_library('tensorrt').cuda_major == 12


def test_auto_tries_the_next_library(model: Path) -> None:
    config = DetectorConfig(model_path=str(model), engine_cache_dir=str(model.parent / 'plans'))
    with machine('tensorrt-10.16', cuda_error=35):
        from trt_detector.model_info import read_model_info

        with pytest.raises(BackendUnavailableError) as caught:
            open_engine(config, read_model_info(model), batch_size=1)
    assert 'failure with error: 35' in str(caught.value)
    assert 'tensorrt_rtx cannot be imported' in str(caught.value)
