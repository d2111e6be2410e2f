# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Begin and end of a measurement, with a listener that is filled by hand, and steps of a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import threading
from typing import Any

import pytest
from trt_detector.tools.benchmark_node import measure
from trt_detector.tools.benchmark_node.child_process import BenchmarkError
from trt_detector.tools.benchmark_node.contender import Case, OtherNode
from trt_detector.tools.benchmark_node.listener import Listener
from trt_detector.tools.benchmark_node.setup import Setup

CASE = Case((640, 480), 10.0, 1)


def make_setup(listener: Listener, folder: Path) -> Setup:
    """Return settings for a measurement of a second."""
    return Setup(listener, threading.Event(), folder, {}, 1.0, 0.1, 1.0, ())


def test_what_a_node_publishes_before_the_cameras_does_not_begin_the_measurement(
    tmp_path: Path,
) -> None:
    log, listener = tmp_path / 'camera.jsonl', Listener()
    listener.arrivals = [{1: (1000, 0)}]
    assert not measure._have_answers([log], listener)
    log.write_text(json.dumps({'stamp_ns': 2000, 'publish_ms': 1.0}) + '\n', encoding='utf-8')
    assert not measure._have_answers([log], listener)
    # With another stamp: that it is wrong is told later.
    listener.arrivals[0][5] = (2001, 0)
    assert measure._have_answers([log], listener)


def test_late_detections_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, '_DRAIN_S', 0.01)
    listener = Listener()
    listener.arrivals = [{1000: (1100, 0)}, {1000: (1100, 0), 3000: (3100, 0)}]

    def arrive() -> None:
        listener.arrivals[0][2500] = (9000, 0)

    timer = threading.Timer(0.3, arrive)
    timer.start()
    measure._drain(2000, make_setup(listener, tmp_path))
    assert 2500 in listener.arrivals[0]
    timer.join()


def test_the_wait_for_late_detections_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, '_DRAIN_S', 0.01)
    monkeypatch.setattr(measure, '_LONGEST_DRAIN_S', 0.1)
    listener = Listener()
    listener.arrivals = [{}]
    measure._drain(2000, make_setup(listener, tmp_path))
    assert listener.arrivals == [{}]


def test_a_step_of_a_sweep_that_fails_is_told_with_its_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def start(*_: Any) -> Iterator[tuple[list[Any], Any]]:
        yield [], None

    def measure_load(_processes: Any, _command: Any, case: Case, _setup: Any) -> dict[str, Any]:
        if case.rate_hz > CASE.rate_hz:
            raise BenchmarkError('it died')
        return {'sent': 10, 'dropped': 0, 'seconds': 1.0}

    monkeypatch.setattr(measure, '_start', start)
    monkeypatch.setattr(measure, '_measure_load', measure_load)
    setup = make_setup(Listener(), tmp_path)
    steps = list(measure.sweep(OtherNode('a', 'true', '/a'), CASE, setup))
    assert [(case.rate_hz, figures.get('failed')) for case, figures in steps] == [
        (10.0, None), (12.5, 'it died'),
    ]  # fmt: skip
