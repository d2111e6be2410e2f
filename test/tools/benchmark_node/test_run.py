# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Short runs of benchmark_node: figures are complete and add up, and nothing is left running."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.ros_graph import MODEL, next_domain, PICTURES, ROOT
from trt_detector.process.shared_memory import find_segments
from trt_detector.tools.benchmark_node.main import main

RAW = MODEL.with_name('demo_raw.onnx')
NAIVE = ROOT / 'docs' / 'benchmarks' / 'naive_node.py'
COSTS = {
    'seconds', 'images', 'images_per_s', 'cpu_ms_per_image', 'user_ms_per_image',
    'system_ms_per_image', 'cores', 'other_cores', 'rss_mib', 'peak_rss_mib', 'pss_mib',
    'cameras_sent', 'raw', 'size', 'rate_hz', 'cameras', 'round', 'node',
}  # fmt: skip
OF_NODE = COSTS | {
    'sent', 'answered', 'dropped', 'repeated', 'unmatched', 'latency_ms', 'age_ms',
    'slowest_camera_per_s', 'detections_per_image',
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    not (RAW.is_file() and PICTURES.is_dir()),
    reason='the model or the pictures of the demonstration are missing: see demo/README.md',
)


def start(folder: Path, *options: str, mark: str = '') -> subprocess.Popen[str]:
    """Start the tool in a domain that no other test uses, with its files in a folder."""
    command = [sys.executable, '-m', 'trt_detector', 'benchmark_node', '--size', '320x240']
    return subprocess.Popen(
        [*command, '--domain', str(next_domain()), *options],
        cwd=ROOT,
        env={**os.environ, 'BENCHMARK_MARK': mark, 'TMPDIR': str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def new_mark() -> str:
    """Return a text that no other process has in its environment."""
    return f'{os.getpid()}-{time.monotonic_ns()}'


def find_marked(mark: str) -> list[int]:
    """Find the processes whose environment has the mark."""
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
def test_nodes_cameras_and_bare_model_are_measured_side_by_side(tmp_path: Path) -> None:
    file, plot, mark = tmp_path / 'report.json', tmp_path / 'plot.svg', new_mark()
    naive = f'{sys.executable} {NAIVE} --model {RAW} --topic {{image}}'
    with start(
        tmp_path, '--seconds', '1', '--warm-up', '0.3', '--rounds', '1', '--rate', '5',
        '--cameras', '2', '--nodes', '2', '--variant', 'batch_size=1;~/debug_image',
        '--against', naive, '--topic', '/benchmark/naive/detections', '--bare', 'paced',
        '--json', str(file), '--svg', str(plot), mark=mark,
    ) as process:  # fmt: skip
        output, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    assert find_marked(mark) == []
    report = json.loads(file.read_text(encoding='utf-8'))
    names = [
        'trt_detector, 2 nodes', 'trt_detector, batch_size=1, ~/debug_image', 'benchmark/naive',
        'bare model, paced',
    ]  # fmt: skip
    read = report['rows'][1].pop('read')
    assert set(read) == {'/camera_0/debug_image', '/camera_1/debug_image'}
    assert min(read.values()) >= 1
    assert [row['node'] for row in report['rows']] == names
    for row in report['rows']:
        check_row(row)
    assert [row['node'] for row in report['summary']] == names
    table = [line for line in output.splitlines() if line.startswith('|')]
    assert [line.split('|')[2].strip() for line in table[2:]] == names
    assert len({len(line) for line in table}) == 1
    ET.fromstring(plot.read_text(encoding='utf-8'))


def check_row(row: dict[str, Any]) -> None:
    """Check one measurement of two cameras."""
    is_bare = row['node'].startswith('bare')
    extra = {'ran', 'stages_ms'} if row['node'].startswith('trt_detector') else set()
    assert set(row) == (COSTS | {'run_ms', 'batch_size', 'ran'} if is_bare else OF_NODE | extra)
    assert (row['size'], row['rate_hz'], row['cameras']) == ('320x240', 5.0, 2)
    assert row['images_per_s'] == pytest.approx(row['images'] / row['seconds'], rel=1e-3)
    assert row['rss_mib'] > 0
    assert row['peak_rss_mib'] >= row['rss_mib']
    times = row['run_ms'] if is_bare else row['latency_ms']
    values = row['raw']['run_ms' if is_bare else 'latency_ms']
    if values:
        assert times['p50'] <= times['p90'] <= times['p99'] <= times['max']
        assert times['max'] == pytest.approx(max(values), abs=0.01)
    if not is_bare:
        assert row['sent'] == row['answered'] + row['dropped']
        assert len(values) == row['answered']
        # The middleware delivered two messages twice in one of many runs; test_listener.py tests
        # that they are counted.
        assert 0 <= row['repeated'] <= row['answered']
        assert row['unmatched'] == 0
        sent = row['cameras_sent']['images_per_s'] * row['seconds']
        assert row['sent'] == pytest.approx(sent, abs=0.1)


@pytest.mark.slow
def test_sweep_ends_when_images_drop_or_the_camera_is_at_its_limit(tmp_path: Path) -> None:
    file = tmp_path / 'report.json'
    # A rate that no detector on a CPU answers, so that the first step is the last one.
    with start(
        tmp_path, '--seconds', '1', '--warm-up', '0.3', '--rounds', '1', '--rate', '2000',
        '--sweep', '--json', str(file),
    ) as process:  # fmt: skip
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    rows = json.loads(file.read_text(encoding='utf-8'))['rows']
    assert [(row['node'], row['rate_hz']) for row in rows] == [
        ('trt_detector', 2000.0), ('bare model', 2000.0),
    ]  # fmt: skip
    assert rows[0]['dropped'] > 0
    assert 'images drop at the first rate already' in output


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_every_process(tmp_path: Path, number: signal.Signals) -> None:
    file, mark = tmp_path / 'report.json', new_mark()
    with start(tmp_path, '--seconds', '60', '--json', str(file), mark=mark) as process:
        deadline_s = time.monotonic() + 120
        # The tool, a node and the camera.
        while len(find_marked(mark)) < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        # What SIGKILL leaves behind would fill the shared memory.
        segments = find_segments(process.pid) if number == signal.SIGKILL else []
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    for path in segments:
        path.unlink(missing_ok=True)
    if number == signal.SIGKILL:
        deadline_s = time.monotonic() + 60
        while find_marked(mark):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        return
    assert process.returncode == 130, errors
    assert 'interrupted' in errors
    assert find_marked(mark) == []
    assert json.loads(file.read_text(encoding='utf-8'))['failure'] == 'interrupted'


@pytest.mark.slow
def test_a_node_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    file = tmp_path / 'report.json'
    with start(
        tmp_path, '--seconds', '1', '--warm-up', '0.3', '--bare', 'none', '--json', str(file),
        '--against', f'{sys.executable} -c "raise SystemExit(\'no camera\')"',
        '--topic', '/other/detections',
    ) as process:  # fmt: skip
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    rows = json.loads(file.read_text(encoding='utf-8'))['rows']
    # It is not tried again in the second round.
    assert [row['node'] for row in rows] == ['trt_detector', 'other', 'trt_detector']
    assert 'other ended with code 1' in rows[1]['failed']
    assert 'no camera' in rows[1]['failed']
    assert 'not measured: other at 320x240 10 Hz' in output


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--param', 'score_treshold=0.5'], "did you mean 'score_threshold'?"),
        (['--param', 'score_threshold'], 'is not NAME=VALUE'),
        (['--param', 'image_topics=[a]'], 'the benchmark sets it'),
        (['--nodes', '2'], 'each node needs a camera'),
        (['--against', 'true'], 'name the topic of the detections of each'),
        (['--against', 'no_such_program', '--topic', '/a'], "no program 'no_such_program'"),
        (['--against', '"true', '--topic', '/a'], 'No closing quotation'),
        (['--nodes', '1', '1'], 'the same name'),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--model', '/no/such.onnx'], "model_path is '/no/such.onnx', which does not exist"),
        (['--json', '/proc/no/report.json'], '/proc/no'),
        (['--svg', '/proc'], 'cannot write /proc'),
    ],
)
def test_missing_files_are_found_before_anything_starts(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 1
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    'options',
    [
        ['--size', '640'], ['--rate', '0'], ['--rate', 'nan'], ['--cameras', '0'],
        ['--seconds', '-1'], ['--domain', '233'], ['--rounds', '1.5'],
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
