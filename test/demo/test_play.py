# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Demo and its camera, started as a user does."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import cv2
import numpy as np
from play.report import score_detections
import pytest
from support.ros_graph import MODEL, next_domain, PICTURES, ROOT

pytestmark = pytest.mark.skipif(
    not (MODEL.is_file() and PICTURES.is_dir()),
    reason='the model or the pictures of the demonstration are missing: see demo/README.md',
)


def start(module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a module in a ROS domain of its own."""
    return subprocess.Popen(
        [sys.executable, '-m', module, *arguments],
        cwd=ROOT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(next_domain()), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(module: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """Return exit code and output of a module."""
    process = start(module, *arguments, **environment)
    output, _ = process.communicate(timeout=200)
    return process.returncode, output


@pytest.mark.slow
def test_demo_shows_scores_and_keeps_what_it_found(tmp_path: Path) -> None:
    pytest.importorskip('faster_coco_eval', reason='pip install faster-coco-eval')
    code, output = run('demo.play', '--frames', '60', '--output', str(tmp_path))
    assert code == 0, output
    summary = json.loads((tmp_path / 'summary.json').read_text(encoding='utf-8'))
    assert summary['frames_published'] == 60
    assert summary['arrays_received'] >= 55
    assert summary['frames_dropped'] == 60 - summary['arrays_received']
    assert summary['map50'] >= 0.85
    assert 0 < summary['map50_95'] < summary['map50']
    assert summary['backend'] == 'onnxruntime'
    assert summary['model'] == MODEL.name
    assert 0 < summary['latency_ms']['p50'] <= summary['latency_ms']['p99']
    lines = (tmp_path / 'detections.jsonl').read_text(encoding='utf-8').splitlines()
    assert len(lines) == summary['arrays_received']
    entry = json.loads(lines[0])
    assert entry['topic'] == '/demo/detector/detections'
    assert entry['frame_id'] == 'camera'
    keys = {'class_id', 'score', 'center_x', 'center_y', 'size_x', 'size_y'}
    assert entry['detections']
    assert set(entry['detections'][0]) == keys
    stems = {path.stem for path in PICTURES.iterdir() if path.suffix in ('.jpg', '.png')}
    drawn = {path.stem for path in (tmp_path / 'pictures').iterdir()}
    assert drawn == stems
    for stem in sorted(stems)[:3]:
        source = cv2.imread(str(next(PICTURES.glob(f'{stem}.*'))))
        picture = cv2.imread(str(tmp_path / 'pictures' / f'{stem}.jpg'))
        assert picture is not None
        assert picture.shape == source.shape
        assert np.abs(picture.astype(int) - source).max() > 60, 'nothing is drawn'


@pytest.mark.slow
def test_parameters_of_the_user_count_and_ctrl_c_ends_with_a_summary(tmp_path: Path) -> None:
    config = tmp_path / 'mine.yaml'
    config.write_text('/**: {ros__parameters: {class_id_format: index, autostart: true}}\n')
    output = tmp_path / 'out'
    process = start(
        'demo.play', '--config', str(config), '--output', str(output),
        '--seconds', '120',
    )  # fmt: skip
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        columns = line.split()
        if len(columns) == 7 and columns[0][0].isdigit() and int(columns[2]) >= 5:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, ''.join(seen) + rest
    lines = (output / 'detections.jsonl').read_text(encoding='utf-8').splitlines()
    found = [each['class_id'] for line in lines for each in json.loads(line)['detections']]
    assert found
    assert all(class_id.isdigit() for class_id in found)
    summary = json.loads((output / 'summary.json').read_text(encoding='utf-8'))
    assert summary['arrays_received'] >= 5


def test_demo_says_why_the_node_cannot_be_configured(tmp_path: Path) -> None:
    config = tmp_path / 'wrong.yaml'
    config.write_text('/**: {ros__parameters: {model_path: /no/such.onnx}}\n')
    code, output = run('demo.play', '--config', str(config), '--frames', '5')
    assert code == 1
    assert 'demo: cannot configure: cannot read the model /no/such.onnx' in output
    assert 'Traceback' not in output


def test_a_window_without_a_display_is_refused_with_the_reason() -> None:
    hidden = {'DISPLAY': '', 'WAYLAND_DISPLAY': '', 'SDL_VIDEODRIVER': ''}
    code, output = run('demo.play', '--show', **hidden)
    assert code == 1
    assert 'demo: --show needs a display' in output


def test_camera_gives_up_when_nobody_subscribes() -> None:
    code, output = run(
        'trt_detector.tools.play_images.main',
        '--images',
        str(PICTURES),
        '--wait-for-subscriber',
        '0.2',
    )
    assert code == 1
    assert 'no subscriber on /image_raw within 0.2 s' in output


@pytest.mark.parametrize('options', [(), ('--compressed',), ('--encoding', 'nv12')])
def test_camera_plays_counts_and_logs(tmp_path: Path, options: tuple[str, ...]) -> None:
    log = tmp_path / 'log.jsonl'
    paths = sorted(PICTURES.glob('*640x480*'))[:2]
    began_ns = time.time_ns()
    code, output = run(
        'trt_detector.tools.play_images.main', '--images', *map(str, paths), '--rate', '50',
        '--count', '5', '--log', str(log), '--json', str(tmp_path / 'result.json'), *options,
    )  # fmt: skip
    assert code == 0, output
    topic = '/image_raw/compressed' if '--compressed' in options else '/image_raw'
    assert f'published 5 images on {topic}' in output
    result = json.loads((tmp_path / 'result.json').read_text(encoding='utf-8'))
    assert result == {'published': 5, 'topic': topic}
    entries = [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()]
    assert [Path(entry['file']) for entry in entries] == [*paths, *paths, paths[0]]
    stamps = [entry['stamp_ns'] for entry in entries]
    assert stamps == sorted(set(stamps))
    assert began_ns < stamps[0] < stamps[-1] < time.time_ns()


def test_camera_without_pictures_says_so(tmp_path: Path) -> None:
    code, output = run('trt_detector.tools.play_images.main', '--images', str(tmp_path))
    assert code == 1
    assert 'holds no picture' in output


def found_box(kind: str, x: float, score: float = 0.9) -> dict[str, Any]:
    """Return a detection of 10x10 pixels."""
    return {
        'class_id': kind, 'score': score,
        'center_x': x + 5, 'center_y': 5, 'size_x': 10, 'size_y': 10,
    }  # fmt: skip


def test_score_of_a_known_case() -> None:
    pytest.importorskip('faster_coco_eval', reason='pip install faster-coco-eval')
    box = {'iscrowd': 0, 'bbox': [0, 0, 10, 10], 'area': 100}
    truth = {
        'images': [
            {'id': n, 'file_name': f'{n}.png', 'width': 99, 'height': 99} for n in (1, 2, 3)
        ],
        'categories': [{'id': 0, 'name': 'cone'}, {'id': 1, 'name': 'ball'}],
        'annotations': [
            {'id': 1, 'image_id': 1, 'category_id': 0, **box},
            {'id': 2, 'image_id': 2, 'category_id': 1, **box},
            {'id': 3, 'image_id': 3, 'category_id': 1, **box},
        ],
    }
    # Picture 3 was not shown: what is in it does not count.
    right = {'1.png': (found_box('cone', 0),), '2.png': (found_box('1', 0),)}
    assert score_detections(truth, right) == (1.0, 1.0)
    half = {'1.png': (found_box('cone', 0),), '2.png': (found_box('ball', 50),)}
    assert score_detections(truth, half) == pytest.approx((0.5, 0.5))
    assert score_detections(truth, {'1.png': (), '2.png': ()}) == (0.0, 0.0)
    assert score_detections(truth, {'other.png': ()}) is None
