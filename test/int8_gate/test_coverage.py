# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration caches that cover a part of the network: refused below half, else a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from doubles.machine import machine
import onnx
import pytest
from support.int8 import MODEL
from trt_detector.config import DetectorConfig
from trt_detector.errors import CalibrationCacheError
from trt_detector.factory import create_detector
from trt_detector.pipeline import Detector
from trt_detector.tools import build_engine

# Any scale will do: nothing is detected here.
SCALE = '3c010a14'
# TensorRT 10 reads the cache by its calibrator; the others get Q/DQ nodes.
BACKENDS = ('onnxruntime', 'tensorrt-10.3', 'tensorrt-11.4')


def plain_inputs() -> list[str]:
    """List the inputs of the convolutions of the demo model that may run in INT8."""
    graph = onnx.load(MODEL).graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    read = {name: node for node in graph.node for name in node.input}
    found = []
    for node in graph.node:
        if node.op_type != 'Conv' or weights[node.input[1]][1] == 1:
            continue
        # The convolution of the box distribution follows a softmax; the output convolutions are
        # those that end a branch.
        if node.name.count('/') == 4 and node.name.endswith('.2/Conv'):
            continue
        found.append(node.input[0])
    assert read
    return found


def write(path: Path, names: list[str]) -> Path:
    """Write a calibration cache with entries for these tensors."""
    lines = ['TRT-100300-EntropyCalibration2', *(f'{name}: {SCALE}' for name in names)]
    path.write_text('\n'.join(lines) + '\n')
    return path


def settings(cache: Path, backend: str, **changes: Any) -> dict[str, Any]:
    return {
        'model_path': str(MODEL),
        'backend': backend.split('-')[0],
        'precision': 'int8',
        'calib_cache_path': str(cache),
        'engine_cache_dir': str(cache.parent / 'plans'),
        'warmup_iterations': 0,
        **changes,
    }


def opened(cache: Path, backend: str, **changes: Any) -> Detector:
    config = DetectorConfig.from_mapping(settings(cache, backend, **changes))
    if backend == 'onnxruntime':
        return create_detector(config)
    with machine(backend):
        return create_detector(config)


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_cache_that_covers_one_convolution_is_refused(backend: str, tmp_path: Path) -> None:
    inputs = plain_inputs()
    cache = write(tmp_path / 'one.calib', inputs[:1])
    with pytest.raises(CalibrationCacheError) as caught:
        opened(cache, backend)
    text = str(caught.value)
    assert f'covers {inputs.count(inputs[0])} of {len(inputs)} convolutions' in text
    assert 'expected at least 50%' in text
    assert 'quantize_exclude' in text
    # Nothing was built, nothing was stored.
    assert not list(tmp_path.glob('plans/*/*.engine'))


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_cache_without_some_convolutions_warns_at_each_start(
    backend: str, tmp_path: Path
) -> None:
    inputs = plain_inputs()
    left_out = inputs[-1]
    cache = write(tmp_path / 'most.calib', [n for n in dict.fromkeys(inputs) if n != left_out])
    expected = f'{inputs.count(left_out)} of {len(inputs)} convolutions run in floating point'
    # The second start loads the stored plan.
    for _ in range(2):
        with opened(cache, backend) as detector:
            assert detector.info.precision == 'int8'
            found = [text for text in detector.info.warnings if expected in text]
            assert len(found) == 1
            assert left_out in found[0]
            assert 'not calibrated' not in detector.info.report()


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_complete_cache_does_not_warn(backend: str, tmp_path: Path) -> None:
    cache = write(tmp_path / 'all.calib', list(dict.fromkeys(plain_inputs())))
    with opened(cache, backend) as detector:
        assert not [text for text in detector.info.warnings if 'calibration cache' in text]


@pytest.mark.parametrize('backend', BACKENDS)
def test_convolutions_that_are_excluded_are_not_counted(backend: str, tmp_path: Path) -> None:
    inputs = plain_inputs()
    stem = [
        node.input[0] for node in onnx.load(MODEL).graph.node if node.name.startswith('/stem/')
    ]
    kept = [name for name in dict.fromkeys(inputs) if name not in stem]
    cache = write(tmp_path / 'kept.calib', kept)
    with opened(cache, backend, quantize_exclude=['/stem/*']) as detector:
        assert not [text for text in detector.info.warnings if 'calibration cache' in text]


@pytest.mark.parametrize('options', [[], ['--portable']])
def test_build_engine_tells_the_share(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = plain_inputs()
    cache = write(tmp_path / 'most.calib', list(dict.fromkeys(inputs))[:-1])
    arguments = ['--model', str(MODEL), '--calib-cache-path', str(cache), '--json', *options]
    arguments += ['--output', str(tmp_path / 'x.engine'), '--engine-cache-dir', str(tmp_path)]
    with machine('tensorrt-10.3'):
        assert build_engine.main(arguments) == 0
    captured = capsys.readouterr()
    warnings = json.loads(captured.out)['warnings']
    assert [text for text in warnings if f'of {len(inputs)} convolutions run in float' in text]
    assert f'of {len(inputs)} convolutions run in floating point' in captured.err
