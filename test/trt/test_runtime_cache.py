# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT for RTX on doubles: kernels are compiled once, and CUDA graphs are captured."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from doubles.machine import machine
from doubles.trt_double import World
import pytest
from support.detectors import assert_same, collect_all, config, means_model, on_cpu, pictures
from trt_detector.factory import create_detector
from trt_detector.trt import runtime_cache
from trt_detector.trt.builder import build_plan

RTX = 'tensorrt_rtx-1.7'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Path of a model whose output depends on every pixel."""
    return means_model(tmp_path)


def start(model: Path, folder: Path) -> World:
    """Open a detector, detect and close it; return the machine after that."""
    with machine(RTX) as world:
        with create_detector(config(model, folder, backend='tensorrt_rtx')) as detector:
            collect_all(detector, pictures())
        gc.collect()
        world.cuda.assert_clean()
    return world


def kernels_file(folder: Path) -> Path:
    """Return the only file of kernels."""
    (path,) = folder.rglob('*.engine.kernels')
    return path


def test_kernels_are_compiled_at_the_first_start_only(model: Path, tmp_path: Path) -> None:
    assert start(model, tmp_path).compiled_kernels > 0
    path = kernels_file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.stat().st_mtime_ns
    assert start(model, tmp_path).compiled_kernels == 0
    # Nothing new: the file is not written again.
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize('content', [b'kernels 1.6.0\nx', b'damaged', b''])
def test_a_file_that_does_not_fit_is_replaced(content: bytes, model: Path, tmp_path: Path) -> None:
    first = start(model, tmp_path)
    path = kernels_file(tmp_path)
    genuine = path.read_bytes()
    path.write_bytes(content)
    assert start(model, tmp_path).compiled_kernels == first.compiled_kernels
    assert path.read_bytes() == genuine


def test_a_file_that_another_user_can_write_is_not_used(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(model, tmp_path)
    kernels_file(tmp_path).chmod(0o666)
    assert start(model, tmp_path).compiled_kernels == first.compiled_kernels
    assert 'has mode 0666' in caplog.text


def test_a_folder_that_cannot_be_written_only_costs_the_kernels(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(13, 'Permission denied', str(path))

    caplog.set_level('INFO', 'trt_detector')
    monkeypatch.setattr(runtime_cache, 'write_atomic', refuse)
    start(model, tmp_path)
    assert 'kernels are not kept' in caplog.text
    assert not list(tmp_path.rglob('*.kernels'))


def test_cuda_graphs_of_rtx_give_the_detections_of_the_cpu(model: Path, tmp_path: Path) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with machine(RTX) as world:
        with create_detector(config(model, tmp_path, backend='tensorrt_rtx')) as detector:
            assert detector.info.cuda_graph is not None
            assert detector.info.cuda_graph.used, detector.info.cuda_graph.reason
            found = collect_all(detector, images)
        assert 'REQUIRE_USER_ALLOCATION' in world.builds[0]['flags']
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def test_a_network_that_takes_memory_while_it_runs_is_not_captured(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything: Any = type('Everything', (), {'__rand__': lambda *_: True})()
    monkeypatch.setattr(build_plan, '_DATA_DEPENDENT', everything)
    with machine(RTX) as world:
        with create_detector(config(model, tmp_path, backend='tensorrt_rtx')) as detector:
            assert detector.info.cuda_graph is not None
            assert 'it takes memory while it runs' in detector.info.cuda_graph.reason
            collect_all(detector, pictures())
        assert 'REQUIRE_USER_ALLOCATION' not in world.builds[0]['flags']
