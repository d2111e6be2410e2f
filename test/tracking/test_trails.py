# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Trails of tracks: length, stamps, and memory."""

from __future__ import annotations

import numpy as np
import pytest
from trt_detector.tracking.trails import TRAIL_S, Trails
from trt_detector.values.detections import Detections


def at(positions: dict[int, float]) -> Detections:
    """Make boxes of 10x20 pixels whose centers have these x by track id."""
    boxes = np.array([[x - 5, 40, x + 5, 60] for x in positions.values()], np.float32)
    return Detections(
        boxes.reshape(-1, 4),
        np.full(len(positions), 0.9, np.float32),
        np.zeros(len(positions), np.int32),
        track_ids=np.array(list(positions), np.int64),
    )


def test_a_trail_has_the_positions_of_the_last_seconds() -> None:
    trails = Trails()
    for number in range(31):
        rows = trails.update(at({7: number, 9: 100 - number}), 10**9 + number * 10**8)
    kept = range(30 - round(TRAIL_S * 10), 31)
    assert rows == {
        0: [(number, 50.0) for number in kept],
        1: [(100.0 - number, 50.0) for number in kept],
    }


def test_detections_without_a_track_have_no_trail() -> None:
    trails = Trails()
    for number in range(3):
        assert trails.update(at({0: number}), 10**9 + number) == {}
    assert trails.update(Detections.empty(), 2 * 10**9) == {}
    assert len(trails) == 0


def test_a_gap_is_bridged_until_the_trail_ended_too_long_ago() -> None:
    trails = Trails()
    trails.update(at({1: 5}), 10**9)
    trails.update(Detections.empty(), 2 * 10**9)
    assert trails.update(at({1: 8}), 3 * 10**9) == {0: [(5.0, 50.0), (8.0, 50.0)]}
    assert trails.update(at({1: 9}), 6 * 10**9) == {}


@pytest.mark.parametrize('stamp_ns', [5 * 10**9, 10**9])
def test_a_stamp_that_goes_back_begins_anew(stamp_ns: int) -> None:
    trails = Trails()
    trails.update(at({1: 5, 2: 6}), 5 * 10**9)
    rows = trails.update(at({1: 8}), stamp_ns)
    assert len(rows) == (stamp_ns == 5 * 10**9)


def test_images_without_stamps_have_the_time_of_their_arrival() -> None:
    trails = Trails()
    trails.update(at({1: 5}), 0)
    assert trails.update(at({1: 8}), -1) == {0: [(5.0, 50.0), (8.0, 50.0)]}


def test_memory_is_bounded() -> None:
    trails = Trails()
    for number in range(400):
        rows = trails.update(at({1: number}), 10**9 + number)
    assert len(rows[0]) == 120
    assert rows[0][-1] == (399.0, 50.0)
    for number in range(20):
        ids = range(1 + number * 400, 1 + (number + 1) * 400)
        rows = trails.update(at(dict.fromkeys(ids, 3.0)), 2 * 10**9 + number)
    assert len(trails) == 1000
    assert trails.update(at({1: 1.0}), 3 * 10**9) == {}
    assert len(trails.update(at({8000: 4.0}), 3 * 10**9)[0]) == 2


def test_a_trail_that_goes_on_does_not_keep_those_that_ended() -> None:
    trails = Trails()
    trails.update(at({1: 0, 2: 0}), 10**9)
    for number in range(2, 62):
        trails.update(at({1: number}), number * 10**9)
    assert len(trails) == 1
