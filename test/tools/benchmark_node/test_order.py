# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Order of the measurements, with measurements that take no time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
import importlib
from pathlib import Path
import threading
from typing import Any

import pytest
from trt_detector.errors import ImageError
from trt_detector.tools.benchmark_node.child_process import BenchmarkError
from trt_detector.tools.benchmark_node.contender import Case, Contender
from trt_detector.tools.benchmark_node.report import LIMIT
from trt_detector.tools.benchmark_node.selection import list_contenders, PACED

COSTS = (
    'images_per_s', 'cpu_ms_per_image', 'user_ms_per_image', 'system_ms_per_image', 'cores',
    'other_cores', 'rss_mib', 'peak_rss_mib', 'pss_mib', 'seconds', 'sent', 'answered', 'dropped',
)  # fmt: skip
ROW = {
    'size': '640x480', 'rate_hz': 10.0, 'cameras': 1, 'node': 'a', **dict.fromkeys(COSTS, 1),
    'raw': {'latency_ms': [1.0], 'age_ms': []},
}  # fmt: skip
MACHINE = {'cpu': 'CPU', 'processors': 2, 'gpu': '', 'load_average': 0.5}

# The package has the function of this name.
main: Any = importlib.import_module('trt_detector.tools.benchmark_node.main')


def run(*options: str) -> list[dict[str, Any]]:
    """Measure everything that the options select."""
    arguments = main._parser().parse_args(['--size', '32x24', *options])
    contenders = list_contenders(arguments)
    return list(main._measure_all(arguments, contenders, threading.Event()))


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_measure(contender: Contender, case: Case, _setup: Any) -> dict[str, Any]:
        if contender.name == 'bad':
            raise BenchmarkError('why')
        return {}

    def fake_sweep(
        contender: Contender, case: Case, _setup: Any
    ) -> Iterator[tuple[Case, dict[str, Any]]]:
        yield case, {}
        yield replace(case, rate_hz=2 * case.rate_hz), {}
        if contender.name == 'bad':
            raise BenchmarkError('why')

    monkeypatch.setattr(main, 'measure', fake_measure)
    monkeypatch.setattr(main, 'sweep', fake_sweep)
    monkeypatch.setattr(main, 'Listener', nullcontext)


def test_rounds_alternate_under_each_load() -> None:
    rows = run(
        '--rounds', '2', '--rate', '5', '7', '--cameras', '2', '3', '--nodes', '1', '2'
    )  # fmt: skip
    names = ['trt_detector', 'trt_detector, 2 nodes', LIMIT, PACED]
    loads = [(2, 5.0), (2, 7.0), (3, 5.0), (3, 7.0)]
    assert [(row['cameras'], row['rate_hz'], row['round'], row['node']) for row in rows] == [
        (*load, number, name)
        for load in loads
        for number, order in ((0, names), (1, names[::-1]))
        for name in order
    ]


def test_a_sweep_measures_the_limit_last_and_at_the_highest_rate() -> None:
    rows = run('--rounds', '2', '--rate', '5', '--sweep', '--variant', 'batch_size=1')
    own, variant = 'trt_detector', 'trt_detector, batch_size=1'
    assert [(row['round'], row['node'], row['rate_hz']) for row in rows] == [
        (0, own, 5.0), (0, own, 10.0), (0, variant, 5.0), (0, variant, 10.0), (0, LIMIT, 10.0),
        (1, variant, 5.0), (1, variant, 10.0), (1, own, 5.0), (1, own, 10.0), (1, LIMIT, 10.0),
    ]  # fmt: skip


@pytest.mark.parametrize('sweep', [False, True])
def test_what_failed_is_not_tried_again_under_the_same_load(sweep: bool) -> None:
    options = ['--sweep'] if sweep else []
    rows = run('--rounds', '3', '--against', 'true', '--topic', 'bad', '--bare', 'none', *options)
    failed = [row for row in rows if 'failed' in row]
    assert [(row['node'], row['round'], row['failed']) for row in failed] == [('bad', 0, 'why')]
    assert {row['round'] for row in rows if row['node'] == 'trt_detector'} == {0, 1, 2}


@pytest.mark.parametrize(
    ('bare', 'names'),
    [('none', []), ('limit', [LIMIT]), ('paced', [PACED]), ('both', [LIMIT, PACED])],
)
def test_bare_loops_are_those_that_were_asked_for(bare: str, names: list[str]) -> None:
    rows = run('--rounds', '1', '--bare', bare)
    assert [row['node'] for row in rows] == ['trt_detector', *names]


def test_the_table_is_printed_if_a_file_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'plot.svg').mkdir()
    arguments = main._parser().parse_args(['--svg', str(tmp_path / 'plot.svg')])
    report = {'rows': [ROW], 'machine': MACHINE, 'settings': {'model': 'm.onnx', 'sweep': False}}
    assert main._write_report(arguments, report) == 1
    output, errors = capsys.readouterr()
    assert '| 640x480 10 Hz | a ' in output
    assert f'cannot write {tmp_path / "plot.svg"}' in errors


def test_an_error_at_the_start_leaves_an_older_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('isolate', 'use_shared_memory', 'describe_machine'):
        monkeypatch.setattr(main, name, lambda *_: [])
    file = tmp_path / 'report.json'
    file.write_text('older', encoding='utf-8')
    picture = tmp_path / 'missing.png'
    arguments = main._parser().parse_args(
        ['--json', str(file), '--picture', str(picture), '--domain', '1']
    )
    with pytest.raises(ImageError, match='cannot read'):
        main._run(arguments, list_contenders(arguments), threading.Event())
    assert file.read_text(encoding='utf-8') == 'older'
