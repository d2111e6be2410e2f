# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmark of the whole node beside the baseline node, short and at a small size."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from support.ros_graph import MODEL, next_domain, PICTURES, ROOT
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image

SCRIPT = ROOT / 'docs' / 'benchmarks' / 'node.py'
RAW = MODEL.with_name('demo_raw.onnx')

pytestmark = pytest.mark.skipif(
    not (MODEL.is_file() and PICTURES.is_dir()),
    reason='the model or the pictures of the demonstration are missing: see demo/README.md',
)


def start(*options: str, mark: str = '') -> subprocess.Popen[str]:
    """Start the benchmark in a ROS domain of its own."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), '--sizes', '320x240', '--warm-up', '0.5', *options],
        cwd=ROOT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(next_domain()), 'BENCHMARK_MARK': mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def living(mark: str) -> list[int]:
    """Return the processes whose environment has the mark."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            environment = (folder / 'environ').read_bytes()
        except OSError:
            continue
        if f'BENCHMARK_MARK={mark}\0'.encode() in environment:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_both_nodes_are_measured_alike(tmp_path: Path) -> None:
    file = tmp_path / 'node.json'
    with start('--seconds', '1', '--rounds', '2', '--json', str(file)) as process:
        output, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    report = json.loads(file.read_text(encoding='utf-8'))
    order = [(row['round'], row['node']) for row in report['rows']]
    assert order == [(0, 'trt_detector'), (0, 'naive'), (1, 'naive'), (1, 'trt_detector')]
    for row in [*report['rows'], *report['summary']]:
        assert row['size'] == '320x240'
        assert 0 < row['answered'] <= row['sent']
        latency = row['latency_ms']
        assert 0 < latency['p50'] <= latency['p90'] <= latency['p99'] <= latency['max']
        assert row['cpu_ms_a_frame'] > 0
        assert row['peak_rss_mib'] > 50
        assert row['detections_a_frame'] > 0
        assert ('total ms p50' in row['own_ms']) is (row['node'] == 'trt_detector')
    assert all(len(r['raw']['latency_ms']) == r['answered'] for r in report['rows'])
    assert report['machine']['versions']['numpy'] == np.__version__
    assert report['settings']['provider'] == 'cpu'
    lines = output.splitlines()
    assert [line.split(' | ')[1] for line in lines[-2:]] == ['trt_detector', 'naive']
    assert len({line.count('|') for line in lines[-4:]}) == 1


@pytest.mark.slow
def test_an_interrupt_ends_every_process(tmp_path: Path) -> None:
    mark = f'{os.getpid()}-{time.monotonic_ns()}'
    file = tmp_path / 'node.json'
    with start('--seconds', '60', '--json', str(file), mark=mark) as process:
        deadline_s = time.monotonic() + 120
        # The benchmark, a node and the camera.
        while len(living(mark)) < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert 'interrupted' in errors
    assert living(mark) == []
    assert json.loads(file.read_text(encoding='utf-8'))['failure'] == 'interrupted'


def test_the_naive_node_finds_what_is_there() -> None:
    """Else its times would say nothing."""
    module: Any = load(SCRIPT.with_name('naive_node.py'))
    picture = Image.from_file(min(PICTURES.glob('*1280x720*'))).to_bgr()
    for model in (MODEL, RAW):
        boxes, scores, classes = module.Naive(str(model), 'cpu').detect(picture)
        config = DetectorConfig(
            model_path=str(model), backend='onnxruntime', resize_mode='stretch'
        )
        with create_detector(config) as detector:
            found = detector.detect([Image.from_array(picture)]).detections[0]
        order, wanted = np.argsort(-scores), np.argsort(-found.scores)
        assert len(found) > 0
        np.testing.assert_allclose(scores[order], found.scores[wanted], atol=0.02)
        np.testing.assert_array_equal(classes[order], found.class_ids[wanted])
        boxes = np.clip(boxes, 0, picture.shape[1::-1] * 2)
        np.testing.assert_allclose(boxes[order], found.boxes_xyxy[wanted], atol=1.0)


def load(path: Path) -> Any:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
