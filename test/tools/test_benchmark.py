# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The tool benchmark: real runs with few iterations, and one combination on doubles."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any
import xml.etree.ElementTree as ET

from doubles.machine import machine
from doubles.nvml_double import DISCRETE, make_nvml
import numpy as np
import onnx
import pytest
from support import networks
from support.quantized import min_max_cache
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.tools import benchmark
from trt_detector.tools.benchmark.measure import Job, measure
from trt_detector.tools.benchmark.modes import make_modes

ROOT = Path(__file__).parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_raw.onnx'
PICTURES = ROOT / 'demo' / 'pictures'
PERCENTILES = ('min', 'p50', 'p90', 'p95', 'p99', 'max')
DEVICE_STAGES = ('upload', 'kernel', 'network', 'download')


def run(*arguments: Any) -> int:
    """Run the tool with ONNX Runtime and few iterations."""
    few = ['--backend', 'onnxruntime', '--iterations', '12', '--warm-up', '1']
    return benchmark.main([*few, *map(str, arguments)])


@pytest.fixture(scope='module')
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sweep the demo model over FP32, FP16 and INT8, at batches of one and two."""
    folder = tmp_path_factory.mktemp('benchmark')
    model = onnx.load(MODEL)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    shape = (1, *(dim.dim_value for dim in dims[1:]))
    noise = np.random.default_rng(1).random(shape, np.float32)
    cache = folder / 'x.calib'
    cache.write_bytes(min_max_cache(model, noise).to_bytes())
    assert run('--model', MODEL, '--images', *sorted(PICTURES.glob('*640x480.jpg')), '--sweep',
               '--compare', '--batch-sizes', 1, 2, '--calib-cache-path', cache,
               '--inference-threads', 1, '--json', folder / 'r.json',
               '--svg', folder / 'r.svg') == 0  # fmt: skip
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / 'r.json').read_text())['rows']
    return rows


def check_figures(mode: dict[str, Any], batches: int, batch_size: int) -> None:
    """Check what holds of all figures whatever the machine."""
    assert mode['batches'] == batches
    assert mode['images_per_s'] * mode['ms_per_image'] == pytest.approx(1000)
    for times in (mode['latency_ms'], *mode['stages']):
        ordered = [times[name] for name in PERCENTILES]
        assert ordered == sorted(ordered)
        assert ordered[0] >= 0
        assert times['min'] <= times['mean'] <= times['max']
    assert mode['latency_ms']['min'] > 0
    if any(stage['stage'] == 'infer' for stage in mode['stages']):
        host = {s['stage']: s['mean'] for s in mode['stages'] if s['clock'] == 'host clock'}
        parts = host['preprocess'] + host['infer'] + host['decode']
        assert parts <= host['whole'] + 1e-6
        assert host['whole'] <= mode['ms_per_image'] * batch_size + 1e-6


def test_every_combination_of_a_sweep_is_in_the_report(swept: Path) -> None:
    asked = [tuple(row['asked'].values()) for row in rows_of(swept)]
    assert asked == [
        (precision, size, fraction)
        for precision in ('fp32', 'fp16', 'int8')
        for size in (1, 2)
        for fraction in (0.25, 0.9)
    ]
    ran = [(r['ran']['precision'], *r['asked'].values()) for r in rows_of(swept) if 'ran' in r]
    assert ran == [
        ('fp32', 'fp32', 1, 0.25),
        ('fp32', 'fp32', 2, 0.25),
        ('int8', 'int8', 1, 0.25),
        ('int8', 'int8', 2, 0.25),
    ]


def test_refused_combinations_have_a_reason(swept: Path) -> None:
    for row in rows_of(swept):
        if row['asked']['precision'] == 'fp16':
            assert 'asked for fp16, but fp32 runs' in row['refused']
        elif row['asked']['workspace_fraction'] == 0.9:
            assert 'no build workspace: the result is the same as for 0.25' in row['refused']
        else:
            assert 'refused' not in row


def test_figures_of_a_sweep_are_plausible(swept: Path) -> None:
    for row in rows_of(swept):
        if 'refused' in row:
            continue
        assert row['ran']['backend'] == 'onnxruntime'
        assert row['clocks'] == ['host clock']
        assert list(row['modes']) == ['detector', 'baseline']
        for mode in row['modes'].values():
            check_figures(mode, 12, row['asked']['batch_size'])
            assert [s['stage'] for s in mode['stages']] == [
                'preprocess', 'infer', 'decode', 'whole'
            ]  # fmt: skip
        # The weights alone have to be somewhere.
        assert row['memory']['resident_bytes'] > row['engine_bytes'] > 0
        assert row['memory']['peak_resident_bytes'] >= row['memory']['resident_bytes']
        if row['ran']['precision'] == 'fp32':
            assert row['engine_bytes'] == MODEL.stat().st_size
        else:
            assert row['engine_bytes'] == int(row['ran']['details']['engine bytes'])


def test_the_plot_has_a_bar_for_each_way(swept: Path) -> None:
    drawing = ET.parse(swept / 'r.svg').getroot()
    name = '{http://www.w3.org/2000/svg}'
    charts = drawing.findall(f'{name}svg')
    bars = [len(chart.findall(f'{name}rect')) for chart in charts]
    titles = [chart.findtext(f'{name}text') or '' for chart in charts]
    memory = [title for title in titles if 'GPU memory' in title]
    assert len(titles) == 4 + len(memory)
    assert bars == [8, 8, *[4] * (len(bars) - 2)]
    tops = [float(chart.get('y') or -1) for chart in charts]
    heights = [float(chart.get('height') or 0) for chart in charts]
    assert tops == [sum(heights[:i]) for i in range(len(charts))]


def test_int8_without_a_cache_and_a_fixed_batch_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = networks.yolo(tmp_path / 'fixed.onnx', batch=2)
    report = tmp_path / 'r.json'
    assert run('--model', model, '--precisions', 'int8', 'auto', '--batch-sizes', 1, 2,
               '--picture-size', '80x60', '--json', report) == 0  # fmt: skip
    text = capsys.readouterr().out
    first, second, third, fourth = json.loads(report.read_text())['rows']
    assert 'fixed batch of 2' in first['refused']
    assert 'needs --calib-cache-path' in second['refused']
    assert 'fixed batch of 2' in third['refused']
    check_figures(fourth['modes']['detector'], 12, 2)
    for row in (first, second, third):
        assert row['refused'] in text
    assert 'No CUDA events on onnxruntime: host clock only.' in text


def test_errors_of_all_combinations_end_the_tool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run('--model', MODEL, '--score-threshold', 2) == 1
    assert 'score_threshold is 2' in capsys.readouterr().err
    assert run('--model', MODEL, '--images', tmp_path) == 1
    assert 'holds no picture' in capsys.readouterr().err
    assert run('--model', MODEL, '--workspace-fractions', 3) == 1
    assert 'workspace_fraction is 3' in capsys.readouterr().err
    assert run('--model', tmp_path / 'none.onnx', '--batch-sizes', 1) == 1
    assert 'none.onnx' in capsys.readouterr().out


def test_a_process_that_dies_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\necho cannot go on >&2\nkill -9 $$\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(python))
    report = tmp_path / 'r.json'
    assert run('--model', MODEL, '--batch-sizes', 1, 2, '--json', report) == 1
    reasons = [row['refused'] for row in json.loads(report.read_text())['rows']]
    assert reasons == ['its process ended with signal 9: cannot go on'] * 2


def test_the_baseline_prepares_the_input_that_the_network_expects(tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    picture = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    config = DetectorConfig(model_path=str(model), backend='onnxruntime', batch_size=1)
    with create_detector(config) as detector:
        prepared, _ = detector.prepare([Image.from_array(picture)])
        plain: Any = make_modes(detector, compare=True)[-1]
        # A square picture of the network's size is neither stretched nor padded.
        np.testing.assert_allclose(plain._prepare(picture), prepared[0], atol=1e-6)


@pytest.mark.parametrize('precision', ['fp32', 'int8'])
def test_one_combination_on_a_cuda_device(precision: str, tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    cache = networks.write_cache(tmp_path / 'yolo.cache', model)
    parameters = {
        'model_path': str(model), 'backend': 'tensorrt', 'precision': precision,
        'calib_cache_path': str(cache), 'batch_size': 2, 'workspace_fraction': 0.5,
        'engine_cache_dir': str(tmp_path / 'plans'),
    }  # fmt: skip
    job = Job(
        DetectorConfig.from_mapping(parameters),
        picture_size=(80, 60),
        iterations=3,
        warm_up=1,
        compare=True,
    )
    with machine('tensorrt-10.3') as world:
        sys.modules['pynvml'] = make_nvml(
            {**DISCRETE, 'nvmlDeviceGetCurrentClocksEventReasons': 0x20}
        )
        result = measure(Job.from_json(job.as_json()))
        world.cuda.assert_clean()
    assert 'refused' not in result, result
    assert result['device_state']['temperature_c'] == 61.0
    assert any('too hot' in warning for warning in result['ran']['warnings'])
    assert (result['ran']['backend'], result['ran']['precision']) == ('tensorrt', precision)
    assert result['clocks'] == ['host clock', 'CUDA events']
    assert list(result['modes']) == ['detector', 'detector, pipelined', 'baseline']
    for name, mode in result['modes'].items():
        check_figures(mode, 3, 2)
        timed = [s['stage'] for s in mode['stages'] if s['clock'] == 'CUDA events']
        assert tuple(timed) == (() if name == 'baseline' else DEVICE_STAGES)
    assert result['engine_bytes'] == Path(result['ran']['details']['plan']).stat().st_size
    json.dumps(result)


def test_tensorrt_without_a_cache_refuses_int8(tmp_path: Path) -> None:
    model = networks.yolo(tmp_path / 'yolo.onnx')
    parameters = {
        'model_path': str(model), 'backend': 'tensorrt', 'precision': 'int8', 'batch_size': 1,
        'engine_cache_dir': str(tmp_path / 'plans'),
    }  # fmt: skip
    with machine('tensorrt-10.3') as world:
        result = measure(Job(DetectorConfig.from_mapping(parameters), iterations=1))
        world.cuda.assert_clean()
    assert 'calib_cache_path' in result['refused']


def test_help_needs_no_gpu_library() -> None:
    blocked = dict.fromkeys(('tensorrt', 'tensorrt_rtx', 'pycuda', 'pynvml', 'rclpy'))
    code = (
        f'import sys; sys.modules.update({blocked!r})\n'
        'from trt_detector.tools.benchmark.main import main\nmain(["--help"])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, 'COLUMNS': '200'},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for option in ('--sweep', '--compare', '--workspace-fractions', '--precisions', '--svg'):
        assert option in done.stdout
