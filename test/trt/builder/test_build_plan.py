# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Builds on doubles: profile sharing, DLA, timing caches, memory and TF32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import logging
from pathlib import Path
from typing import Any

from doubles.api_records import PERSONALITIES
from doubles.machine import GPU, machine
import numpy as np
import pytest
from support import networks
from trt_detector.config import DetectorConfig
from trt_detector.errors import BuildError, ConfigError
from trt_detector.model_info import read_model_info
from trt_detector.trt.backend import open_engine
from trt_detector.trt.engine import TensorRTEngine

BATCH = np.random.default_rng(3).random((2, 3, 64, 64), np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model with a dynamic batch."""
    return networks.yolo(tmp_path / 'yolo.onnx')


@contextmanager
def opened(model: Path, **values: Any) -> Iterator[TensorRTEngine]:
    """Open a model, its plans stored beside it, and close it again."""
    config = DetectorConfig.from_mapping({
        'model_path': str(model), 'engine_cache_dir': str(model.parent / 'plans'), **values
    })  # fmt: skip
    with open_engine(config, read_model_info(model), batch_size=2) as engine:
        assert isinstance(engine, TensorRTEngine)
        yield engine


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_a_second_execution_context_shares_the_profile(personality: str, model: Path) -> None:
    with machine(personality) as world, opened(model, precision='fp16') as engine:
        # As for a CUDA graph of two images.
        second = engine._make_context(2)
        assert second.bind_shape(BATCH.shape) == ((2, 7, 64),)
        is_old = world.record.version.startswith('8.')
        assert world.builds[0]['previews'] == (['PROFILE_SHARING_0806'] if is_old else [])


def test_the_dla_gets_one_fixed_shape_and_its_layers_are_reported(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with machine('tensorrt-10.3', dla_cores=1) as world:
        with opened(model, dla_core=0) as engine:
            assert engine.get_batch_size() == engine.smallest_batch == 2
            (one,) = engine.run(BATCH[:1])
            assert len(one) == 1
            entry = engine.info.report()['layers on the DLA']
        (header,) = world.builds
    assert header['profile']['images'] == [[2, 3, 64, 64]] * 3
    convolutions = sum(layer['op'] == 'DLA' for layer in header['layers'])
    assert convolutions > 3
    assert entry == f'{convolutions} of {len(header["layers"])}'
    assert 'runs every layer' not in caplog.text


def test_a_dla_that_runs_nothing_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from doubles import trt_double

    monkeypatch.setattr(trt_double, 'place_on_dla', lambda *_: None)
    model = networks.yolo(tmp_path / 'yolo.onnx')
    caplog.set_level(logging.WARNING)
    with machine('tensorrt-10.3', dla_cores=1), opened(model, dla_core=0) as engine:
        assert engine.info.report()['layers on the DLA'].startswith('0 of ')
    assert 'runs every layer of this plan on the GPU; set it to -1' in caplog.text


def test_a_range_of_shapes_for_the_dla_is_refused(model: Path) -> None:
    shapes = {'min_shape': [1, 3, 64, 64], 'max_shape': [4, 3, 64, 64]}
    refused = pytest.raises(ConfigError, match='a DLA runs one fixed shape only')
    with machine('tensorrt-10.3', dla_cores=1), refused, opened(model, dla_core=0, **shapes):
        pass


@pytest.mark.parametrize('stored', [b'timing 9.9.9 7', b'damaged'])
@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-10.16', 'tensorrt-11.4'])
def test_an_unusable_timing_cache_is_replaced(
    personality: str, stored: bytes, model: Path
) -> None:
    with machine(personality) as world:
        with opened(model):
            pass
        (path,) = model.parent.glob('plans/timing/*')
        path.write_bytes(stored)
        with opened(model, workspace_fraction=0.5):
            pass
        assert path.read_bytes() == f'timing {world.record.version} 1'.encode()


@pytest.mark.parametrize(
    'lines',
    [
        'Error Code 10: Internal Error (Could not find any implementation for node conv_1.)',
        (
            'Tactic Device request: 2168MB Available: 1024MB. Device memory is insufficient to '
            'use tactic.\nError Code 10: Internal Error'
        ),
        'Error Code 2: OutOfMemory (no further information)',
    ],
)
def test_a_build_that_lacks_memory_names_the_remedy(lines: str, model: Path) -> None:
    failed = pytest.raises(BuildError, match='close other programs that use the GPU, raise works')
    with machine('tensorrt-10.16', fail_build=lines), failed, opened(model):
        pass
    other = pytest.raises(BuildError)
    with machine('tensorrt-10.16', fail_build='Error Code 4'), other as caught, opened(model):
        pass
    assert 'close other programs' not in str(caught.value)


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_fp32_is_full_fp32(personality: str, model: Path) -> None:
    with machine(personality) as world, opened(model, precision='fp32') as engine:
        assert 'TF32' not in world.builds[0]['flags']
        assert engine.info.precision == 'fp32'
        assert 'tf32' not in engine.info.layer_precision


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_auto_may_run_tf32_and_says_so(
    personality: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trt_detector.gpu import device_info

    monkeypatch.setattr(device_info, 'has_fast_fp16', lambda _: False)
    with machine(personality) as world, opened(model) as engine:
        assert 'TF32' in world.builds[0]['flags']
        assert engine.info.precision == 'tf32'
        assert 'tf32' in engine.info.layer_precision
        assert any('set precision to fp32 for full FP32' in text for text in engine.info.warnings)
    with machine(personality) as world, opened(model, precision='fp32'):
        # The plan with TF32 is not taken for one without.
        assert len(world.builds) == 1


@pytest.mark.parametrize('personality', ['tensorrt-8.6', 'tensorrt-10.16'])
def test_layers_that_stay_in_float_write_float(personality: str, model: Path) -> None:
    cache = networks.write_cache(model.with_suffix('.cache'), model)
    with machine(personality) as world:
        with opened(model, precision='int8', calib_cache_path=str(cache)):
            pass
        precisions = {layer['name']: layer['precision'] for layer in world.builds[0]['layers']}
    # The double follows layer.precision only if set_output_type was called with the same type.
    head = [name for name in precisions if name.startswith('model.3.dfl')]
    assert head
    assert {precisions[name] for name in head} == {'Float'}


@pytest.mark.parametrize(
    'change',
    [
        {'gpus': [{**GPU, 'memory': GPU['memory'] - 40 * 2**20}]},
        {'cuda_version': 13020},
    ],
    ids=['memory size of another board', 'driver update'],
)
def test_what_does_not_change_a_plan_does_not_rebuild_it(
    change: dict[str, Any], model: Path
) -> None:
    with machine('tensorrt-10.3'), opened(model):
        pass
    with machine('tensorrt-10.3', **change) as world, opened(model, workspace_fraction=0.9):
        assert world.builds == []


def test_another_release_of_this_package_does_not_rebuild(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trt_detector

    with machine('tensorrt-10.3'), opened(model):
        pass
    monkeypatch.setattr(trt_detector, '__version__', '9.9.9')
    with machine('tensorrt-10.3') as world, opened(model):
        assert world.builds == []
