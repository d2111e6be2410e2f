# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A short soak run, and its judgment of made-up numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any
import xml.etree.ElementTree as ET

import pytest
from support.ros_graph import next_domain, ROOT
from trt_detector.errors import ImageError
from trt_detector.process.shared_memory import find_segments
from trt_detector.ros.messages import read_image

from soak.accounting import check_sums, check_window
from soak.images import ImageSource
from soak.plot import draw_plot
from soak.processes import CameraProcess, CameraSetup
from soak.verdict import judge_resources, LIMITS, summarize

GOOD = {
    'received': 10, 'published': 6, 'dropped': 1, 'malformed': 3, 'failed': 0, 'lost': 2,
}  # fmt: skip
NOTHING = dict.fromkeys(GOOD, 0)


@pytest.mark.slow
def test_short_run_passes(tmp_path: Path) -> None:
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(next_domain())}
    environment['PYTHONPATH'] = f'{ROOT}:{ROOT / "test"}:{environment.get("PYTHONPATH", "")}'
    command = [sys.executable, '-m', 'soak.run', '--minutes', '0.3', '--seed', '1']
    done = subprocess.run(
        [*command, '--output', str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f'{done.stdout}{done.stderr}'
    result = json.loads((tmp_path / 'soak.json').read_text())
    images = result['images in them']
    assert images['sent'] > images['malformed'] > 0
    assert images['published'] > 0
    assert result['samples']
    ET.parse(tmp_path / 'soak.svg')


def test_sums_that_add_up_have_no_fault() -> None:
    assert check_sums('/left', GOOD, 6) == []
    assert check_window('/left', NOTHING, GOOD, {'sent': 12, 'malformed': 3}) == []


@pytest.mark.parametrize(
    ('changes', 'arrays', 'word'),
    [
        ({'dropped': 0}, 6, 'received is not'),
        ({'dropped': 0, 'failed': 1}, 6, 'failed'),
        ({}, 5, 'arrays'),
        ({}, 7, 'arrays'),
    ],
)
def test_each_wrong_sum_is_found(changes: dict[str, int], arrays: int, word: str) -> None:
    (fault,) = check_sums('/left', {**GOOD, **changes}, arrays)
    assert '/left' in fault
    assert word in fault


@pytest.mark.parametrize(
    ('sent', 'malformed', 'word'),
    [(11, 3, 'received + lost'), (13, 3, 'received + lost'), (12, 2, 'malformed'),
     (12, 7, 'malformed')],
)  # fmt: skip
def test_each_wrong_window_is_found(sent: int, malformed: int, word: str) -> None:
    (fault,) = check_window('/left', NOTHING, GOOD, {'sent': sent, 'malformed': malformed})
    assert word in fault


@pytest.mark.parametrize('name', sorted(LIMITS))
def test_each_resource_is_judged(name: str) -> None:
    start = {'rss_mib': 100.0, 'anon_mib': 90.0, 'threads': 20.0, 'fds': 30.0, 'cpu_percent': 10.0}
    assert judge_resources(start, {**start, name: start[name] + LIMITS[name]}) == []
    (fault,) = judge_resources(start, {**start, name: start[name] + LIMITS[name] + 1})
    assert name in fault


def test_summary_of_samples() -> None:
    samples = [
        {'at_s': 1.0, 'rss_mib': 5.0, 'anon_mib': 4.0, 'threads': 2, 'fds': 7, 'cpu_s': 1.0},
        {'at_s': 2.0, 'rss_mib': 900.0, 'anon_mib': 4.0, 'threads': 2, 'fds': 7, 'cpu_s': 1.0},
        {'at_s': 5.0, 'rss_mib': 6.0, 'anon_mib': 4.0, 'threads': 3, 'fds': 8, 'cpu_s': 2.0},
    ]
    summary = summarize(samples)
    assert summary == {
        'rss_mib': 6.0,
        'anon_mib': 4.0,
        'threads': 2,
        'fds': 7,
        'cpu_percent': 25.0,
    }


@pytest.mark.parametrize('compressed', [False, True])
def test_images_are_what_they_claim(compressed: bool) -> None:
    source = ImageSource(compressed=compressed, seed='3')
    seen = set()
    for _ in range(150):
        message, malformed = source.make_mixed(0.5)
        seen.add(malformed)
        if malformed:
            with pytest.raises(ImageError):
                read_image(message)
        else:
            assert read_image(message).width > 0
    assert seen == {False, True}


def test_seed_decides_the_images() -> None:
    def draw(seed: str) -> list[Any]:
        source = ImageSource(compressed=False, seed=seed)
        return [source.make_mixed(0.5)[0] for _ in range(5)]

    assert draw('a') == draw('a')
    assert draw('a') != draw('b')


def test_plot_has_a_line_per_resource_and_a_mark_per_event() -> None:
    samples = [
        {'at_s': at, 'rss_mib': 1.0, 'anon_mib': 1.0, 'threads': 2, 'fds': 3} for at in (0.0, 60.0)
    ]
    root = ET.fromstring(draw_plot('a < b', samples, [{'at_s': 30.0, 'kind': 'kill camera'}]))
    tag = '{http://www.w3.org/2000/svg}'
    assert len(root.findall(f'{tag}polyline')) == 4
    marks = [line for line in root.findall(f'{tag}line') if line.get('stroke') == '#2563eb']
    assert len(marks) == 4


def test_killed_process_leaves_no_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', str(next_domain()))
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}:{ROOT / "test"}:{os.environ.get("PYTHONPATH", "")}')
    camera = CameraProcess(CameraSetup('/left/image_raw', 'reliable', 1.0), 'seed')
    try:
        camera.command('p')
        segments = find_segments(camera.pid)
        assert segments
        assert all(path.exists() for path in segments)
    finally:
        camera.kill()
    assert not [path for path in segments if path.exists()]
