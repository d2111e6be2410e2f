# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of benchmark_node, on measurements that are written down by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trt_detector.tools.benchmark_node.child_process import BenchmarkError, Memory
from trt_detector.tools.benchmark_node.figures import (
    count_images,
    percentiles,
    SentImages,
    summarize_bare,
    summarize_rounds,
    summarize_window,
    Window,
)  # fmt: skip

MS = 1_000_000
# Two seconds that begin at 1 s.
WINDOW = Window(1000 * MS, 3000 * MS, 0.3, 0.1, 0.5, Memory(100.0, 120.0, 80.0))


def sent(*stamps_ms: int) -> SentImages:
    """Return the images of a camera, each published in 2 ms."""
    return SentImages(dict.fromkeys((stamp * MS for stamp in stamps_ms), 2.0))


def arrived(**arrivals_ms: int) -> dict[int, tuple[int, int]]:
    """Return arrivals with 3 detections, e.g. _1000=1020."""
    return {int(name[1:]) * MS: (at * MS, 3) for name, at in arrivals_ms.items()}


def test_images_of_the_measurement_are_counted_and_timed() -> None:
    # One image before, one after, one without an answer, one whose answer comes after the end.
    cameras = [sent(900, 1000, 1500, 2000, 2900, 3100)]
    found = arrived(_900=920, _1000=1030, _2000=2050, _2900=3010, _3100=3110)
    row = summarize_window(WINDOW, cameras, [found], repeated=[])
    assert (row['sent'], row['answered'], row['dropped']) == (4, 3, 1)
    assert row['raw']['latency_ms'] == [30.0, 50.0, 110.0]
    assert row['latency_ms']['p50'] == 50.0
    assert row['latency_ms']['max'] == 110.0
    # Two arrived within the two seconds.
    assert (row['images'], row['images_per_s'], row['slowest_camera_per_s']) == (2, 1.0, 1.0)
    # The detections of 1000 are replaced at 2050.
    assert row['age_ms']['max'] == 1050.0
    assert (row['user_ms_per_image'], row['system_ms_per_image']) == (150.0, 50.0)
    assert (row['cpu_ms_per_image'], row['cores'], row['other_cores']) == (200.0, 0.2, 0.25)
    assert (row['rss_mib'], row['peak_rss_mib'], row['pss_mib']) == (100.0, 120.0, 80.0)
    assert row['detections_per_image'] == 3.0
    assert row['cameras_sent'] == {
        'images_per_s': 2.0,
        'publish_ms': {'p50': 2.0, 'p90': 2.0, 'p99': 2.0, 'max': 2.0},
    }


def test_cameras_are_told_apart_and_the_slowest_is_named() -> None:
    cameras = [sent(1000, 2000), sent(1000, 2000)]
    found = [arrived(_1000=1010, _2000=2010), arrived(_2000=2090)]
    row = summarize_window(WINDOW, cameras, found, repeated=[])
    assert (row['sent'], row['answered'], row['images']) == (4, 3, 3)
    assert row['slowest_camera_per_s'] == 0.5
    assert row['unmatched'] == 0


def test_cameras_with_one_topic_are_matched_by_their_stamps() -> None:
    shared = arrived(_1000=1010, _1001=1020)
    row = summarize_window(WINDOW, [sent(1000), sent(1001)], [shared, shared], repeated=[])
    assert (row['answered'], row['images'], row['unmatched']) == (2, 2, 0)
    assert sorted(row['raw']['latency_ms']) == [10.0, 19.0]


def test_a_node_that_invents_stamps_is_refused() -> None:
    with pytest.raises(BenchmarkError, match='must copy the header'):
        summarize_window(WINDOW, [sent(1000)], [arrived(_1007=1010)], repeated=[])


def test_no_answer_in_time_is_a_result() -> None:
    row = summarize_window(WINDOW, [sent(1000)], [{}], repeated=[])
    assert (row['sent'], row['dropped'], row['images_per_s']) == (1, 1, 0.0)
    assert row['latency_ms'] is row['age_ms'] is row['cpu_ms_per_image'] is None


def test_runs_of_the_bare_model_are_those_of_the_measurement() -> None:
    runs = [[900 * MS, 9.0, 2], [1000 * MS, 5.0, 2], [2999 * MS, 7.0, 2], [3000 * MS, 8.0, 2]]
    row = summarize_bare(WINDOW, [sent(1000)], {'runs': runs, 'batch_size': 2, 'ran': {}})
    assert row['raw']['run_ms'] == [5.0, 7.0]
    assert (row['images'], row['images_per_s'], row['cpu_ms_per_image']) == (4, 2.0, 100.0)


def test_rounds_are_pooled_and_failures_left_out() -> None:
    load: dict[str, Any] = {'size': '640x480', 'rate_hz': 10.0, 'cameras': 1, 'node': 'a'}
    slow = arrived(_1000=1030, _2000=2050)
    rounds = [
        summarize_window(WINDOW, [sent(1000, 2000)], [slow], repeated=[]),
        summarize_window(WINDOW, [sent(1000, 2000)], [arrived(_1000=1010)], repeated=[]),
    ]
    rows = [load | row for row in rounds] + [load | {'node': 'b', 'failed': 'why'}]
    (entry,) = summarize_rounds(rows)
    assert {key: entry[key] for key in load} == load
    assert (entry['rounds'], entry['sent'], entry['answered'], entry['dropped']) == (2, 4, 3, 1)
    assert entry['latency_ms']['p50'] == 30.0
    assert entry['images_per_s'] == 0.75
    # Only the first round has two arrivals.
    assert entry['age_ms']['p50'] == 1050.0


def test_age_of_all_rounds_is_never_below_the_latency() -> None:
    load: dict[str, Any] = {'size': '640x480', 'rate_hz': 10.0, 'cameras': 1, 'node': 'a'}
    cameras = [sent(1000, 1100, 1200)]
    # The answers of the second round are 500 ms later.
    rows = [
        load | summarize_window(WINDOW, cameras, [arrived(_1000=a, _1100=b, _1200=c)], repeated=[])
        for a, b, c in ((1010, 1110, 1210), (1510, 1610, 1710))
    ]
    (entry,) = summarize_rounds(rows)
    # 110, 110, 610 and 610 ms: each image is replaced by the next one.
    assert entry['age_ms']['p50'] == 360.0
    assert entry['age_ms']['max'] == 610.0
    assert all(entry['age_ms'][key] >= entry['latency_ms'][key] for key in ('p90', 'p99', 'max'))


def test_age_of_a_node_that_catches_up_after_the_end_is_not_below_its_latency() -> None:
    cameras = [sent(1000, 2000, 2900, 3500)]
    found = arrived(_1000=1010, _2000=2010, _2900=4900, _3500=4910)
    row = summarize_window(WINDOW, cameras, [found], repeated=[])
    assert row['latency_ms']['max'] == 2000.0
    assert row['raw']['age_ms'] == [1010.0, 2900.0, 2010.0]


def test_an_older_answer_that_comes_later_replaces_nothing() -> None:
    cameras = [sent(1000, 1100, 1200)]
    found = arrived(_1100=1150, _1000=1160, _1200=1250)
    row = summarize_window(WINDOW, cameras, [found], repeated=[])
    assert row['raw']['age_ms'] == [150.0]
    assert row['answered'] == 3


def test_counts_are_those_of_the_measurement() -> None:
    # Before, in and after the measurement.
    found = arrived(_900=920, _1000=1010, _7=910, _8=1020, _9=3010)
    row = summarize_window(
        WINDOW, [sent(900, 1000)], [found], repeated=[900 * MS, 1000 * MS, 3000 * MS]
    )
    assert (row['sent'], row['repeated'], row['unmatched']) == (1, 1, 1)


def test_a_node_that_copies_stamps_is_accepted_if_nothing_arrives_in_time() -> None:
    row = summarize_window(WINDOW, [sent(900)], [arrived(_900=920, _7=930)], repeated=[])
    assert (row['sent'], row['images_per_s']) == (0, 0.0)


def test_percentiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).gamma(2.0, 10.0, 1000).tolist()
    ordered = sorted(values)
    result = percentiles(values)
    assert result is not None
    for key, share in (('p50', 0.5), ('p90', 0.9), ('p99', 0.99)):
        at = share * (len(ordered) - 1)
        low, high = ordered[int(at)], ordered[int(at) + 1]
        assert result[key] == pytest.approx(low + (high - low) * (at - int(at)), abs=1e-3)
    assert result['max'] == pytest.approx(ordered[-1], abs=1e-3)
    assert percentiles([]) is None


def test_log_of_a_camera_is_read(tmp_path: Path) -> None:
    log = tmp_path / 'camera.jsonl'
    assert count_images(log).publish_ms == {}
    lines = [{'stamp_ns': number, 'file': 'a.png', 'publish_ms': 0.5} for number in (3, 5, 7)]
    log.write_text(''.join(json.dumps(line) + '\n' for line in lines), encoding='utf-8')
    images = count_images(log)
    assert images.publish_ms == {3: 0.5, 5: 0.5, 7: 0.5}
    assert images.between(3, 7) == [3, 5]


def test_a_line_that_a_camera_is_writing_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / 'camera.jsonl'
    log.write_text('{"stamp_ns": 3, "publish_ms": 0.5}\n{"stamp_ns": 1', encoding='utf-8')
    assert count_images(log).publish_ms == {3: 0.5}
