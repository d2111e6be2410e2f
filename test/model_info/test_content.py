# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A start reads and hashes the ONNX file once, and frees its bytes when the engine is open."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.model_info import prepare_model, read_model_info
from trt_detector.plan import BuiltPlan, PlanStore

SIZE = 16 << 20


@pytest.fixture
def large_model(tmp_path: Path) -> Path:
    """Return a model with 16 MiB of weights that nothing reads."""
    path = lamp_detector(tmp_path / 'm.onnx')
    model = onnx.load(path)
    weights = np.random.default_rng(1).random((1, SIZE // 4), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, 'ballast'))
    onnx.save(model, path)
    return path


def count_read_bytes() -> int:
    """Return the bytes that this process has read by system calls."""
    fields = dict(line.split(': ') for line in Path('/proc/self/io').read_text().splitlines())
    return int(fields['rchar'])


def test_a_start_reads_the_model_once(large_model: Path) -> None:
    config = DetectorConfig(
        model_path=str(large_model), backend='onnxruntime', warmup_iterations=0
    )
    # The first start imports libraries, which reads their files.
    create_detector(config).close()
    before = count_read_bytes()
    create_detector(config).close()
    # The first bytes are looked at before, to tell what the file is: 1 MiB each time.
    assert SIZE <= count_read_bytes() - before < 1.5 * SIZE


def test_a_start_reads_a_stored_plan_once(tmp_path: Path) -> None:
    from support.plans import make_key

    plan = BuiltPlan(np.random.default_rng(1).bytes(SIZE), 'fp16')
    PlanStore(tmp_path).load_or_build(make_key(), lambda: plan, log=print)
    before = count_read_bytes()
    stored = PlanStore(tmp_path).load_or_build(make_key(), lambda: plan, log=print)
    assert (stored.from_cache, stored.data) == (True, plan.data)
    assert SIZE <= count_read_bytes() - before < 1.2 * SIZE


def test_what_runs_is_what_was_described(large_model: Path) -> None:
    info = read_model_info(large_model)
    large_model.write_bytes(b'replaced')
    data = prepare_model(info)
    assert hashlib.sha256(data).hexdigest() == info.sha256


def test_the_bytes_are_freed_when_the_engine_is_open(
    large_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = []

    def keep(*arguments: object) -> object:
        described.append(read_model_info(*arguments))  # type: ignore[arg-type]
        return described[-1]

    monkeypatch.setattr('trt_detector.factory.create.read_model_info', keep)
    config = DetectorConfig(
        model_path=str(large_model), backend='onnxruntime', warmup_iterations=0
    )
    with create_detector(config):
        assert [info.content.data for info in described] == [None]


def test_external_data_is_compared_again_before_it_is_used(large_model: Path) -> None:
    path = large_model.with_name('external.onnx')
    onnx.save(
        onnx.load(large_model), path, save_as_external_data=True, location='w.bin',
        size_threshold=4096,
    )  # fmt: skip
    # Runtimes read such files themselves.
    assert read_model_info(path).content.data is None
