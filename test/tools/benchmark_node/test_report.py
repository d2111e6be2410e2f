# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Table and saturation of benchmark_node."""

from __future__ import annotations

from typing import Any

import pytest
from trt_detector.tools.benchmark_node.report import (
    as_text,
    find_saturation,
    LIMIT,
    share_of_limit,
)  # fmt: skip


def make_row(node: str, rate_hz: float, **values: Any) -> dict[str, Any]:
    """Return a row of the summary."""
    costs = dict.fromkeys(('cpu_ms_per_image', 'cores', 'rss_mib', 'other_cores'), 1.0)
    load = {'size': '640x480', 'cameras': 1, 'rate_hz': rate_hz, 'node': node}
    return {**load, **costs, 'images_per_s': rate_hz, 'seconds': 10.0, **values}


def answered(sent: int, dropped: int, p99: float = 9.0) -> dict[str, Any]:
    """Return the counts of a row."""
    latency = {'p50': 5.0, 'p90': 7.0, 'p99': p99, 'max': 10.0}
    return {
        'sent': sent, 'answered': sent - dropped, 'dropped': dropped, 'latency_ms': latency,
    }  # fmt: skip


SUMMARY = [
    make_row('a', 10.0, **answered(100, 0, 8.0)),
    make_row('a', 20.0, **answered(200, 2, 9.5)),
    make_row('a', 40.0, **answered(400, 5), images_per_s=39.0),
    make_row('b', 10.0, **answered(100, 30)),
    make_row(LIMIT, 40.0, images_per_s=52.0, run_ms=None),
]  # fmt: skip


def of_node(name: str) -> list[dict[str, Any]]:
    """Return the rows of a node."""
    return [row for row in SUMMARY if row['node'] == name]


def test_saturation_is_the_highest_rate_with_one_percent_of_drops() -> None:
    best = find_saturation(of_node('a'))
    assert best is not None
    assert best['rate_hz'] == 20.0
    assert find_saturation(of_node('b')) is None


def test_rates_above_one_with_drops_do_not_count() -> None:
    # One of several rounds went on.
    rows = [*of_node('a'), make_row('a', 50.0, **answered(500, 0))]
    best = find_saturation(rows)
    assert best is not None
    assert best['rate_hz'] == 20.0


def describe(*rows: dict[str, Any]) -> list[str]:
    """Return the lines of a sweep below the table."""
    machine = {'cpu': 'CPU', 'processors': 2, 'gpu': '', 'load_average': 0.5}
    settings = {'model': 'm.onnx', 'sweep': True}
    text = as_text({'summary': rows, 'rows': [], 'machine': machine, 'settings': settings})
    return text.rpartition('\n\n')[2].splitlines()


def test_saturation_is_that_of_each_size_and_number_of_cameras() -> None:
    small, large = (make_row('a', rate_hz, **answered(100, 0)) for rate_hz in (40.0, 20.0))
    large |= {'size': '1920x1080', 'cameras': 2, 'seconds': 2.5}
    lines = describe(small | {'seconds': 2.5}, large)
    assert [line.partition(' per')[0] for line in lines] == [
        'a, 640x480: up to 40 images/s', 'a, 2 x 1920x1080: up to 20 images/s',
    ]  # fmt: skip


def test_a_rate_that_the_cameras_do_not_reach_is_not_claimed() -> None:
    (line,) = describe(make_row('a', 2000.0, seconds=0.5, **answered(600, 0)))
    assert 'up to 1200 images/s per camera, all that cameras sent,' in line


def test_a_sweep_without_images_is_told() -> None:
    empty = {**answered(0, 0), 'latency_ms': None, 'seconds': 1.0}
    (line,) = describe(make_row('a', 0.1, **empty))
    assert 'no image was sent and answered in time' in line


def test_share_of_the_limit_is_given_for_overload_only() -> None:
    assert share_of_limit(SUMMARY[0], SUMMARY) is None
    assert share_of_limit(SUMMARY[2], SUMMARY) == 39.0 / 52.0
    # A sweep measures the limit at one rate.
    assert share_of_limit(SUMMARY[3], SUMMARY) == 10.0 / 52.0
    # The limit of the same rate goes before.
    own = make_row(LIMIT, 10.0, images_per_s=20.0)
    assert share_of_limit(SUMMARY[3], [*SUMMARY, own]) == 0.5
    assert share_of_limit(SUMMARY[3], SUMMARY[:4]) is None


@pytest.mark.parametrize('sweep', [False, True])
def test_table_has_a_line_per_row_and_says_what_was_not_measured(sweep: bool) -> None:
    failed = {
        'size': '640x480', 'cameras': 4, 'rate_hz': 5.0, 'node': 'c', 'failed': 'no detections',
    }  # fmt: skip
    text = as_text({
        'summary': SUMMARY,
        'rows': [failed],
        'machine': {'cpu': 'CPU', 'processors': 2, 'gpu': '', 'load_average': 0.5},
        'settings': {'model': 'm.onnx', 'sweep': sweep},
    })  # fmt: skip
    table = [line.split('|')[1:-1] for line in text.splitlines() if line.startswith('|')]
    cells = [[cell.strip() for cell in line] for line in table]
    head, lines = cells[0], cells[2:]
    assert [line[1] for line in lines] == ['a', 'a', 'a', 'b', LIMIT]
    assert lines[2][head.index('p99')] == '9.0'
    assert lines[2][head.index('answered / sent')] == '395 / 400'
    assert lines[2][head.index('of limit')] == '0.75'
    assert lines[4][head.index('answered / sent')] == '-'
    assert 'not measured: c at 4 x 640x480 5 Hz: no detections' in text
    assert ('a, 640x480: up to 20 images/s' in text) is sweep
    assert ('p99 9.5 ms' in text) is sweep
