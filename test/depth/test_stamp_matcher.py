# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the matching of stamps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from trt_detector.depth.stamp_matcher import Match, StampMatcher

MS = 1_000_000


class Stream:
    """A matcher with messages named by their stamps in milliseconds."""

    def __init__(self, tolerance_ms: int = 20, capacity: int = 30, size: int = 1) -> None:
        self.matcher = StampMatcher(tolerance_ms * MS, capacity)
        self.size = size
        self.pairs: list[tuple[int, int | None]] = []
        self.now_s = 0.0

    def detections(self, stamp_ms: int) -> None:
        self._take(self.matcher.add_detections(stamp_ms * MS, stamp_ms, self.now_s))

    def depth(self, stamp_ms: int) -> None:
        message = SimpleNamespace(data=range(self.size), name=stamp_ms)
        self._take(self.matcher.add_depth(stamp_ms * MS, message, self.now_s))

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self._take(self.matcher.decide(self.now_s))

    def _take(self, matches: list[Match]) -> None:
        for match in matches:
            depth: Any = match.depth
            self.pairs.append((match.detections, None if depth is None else depth.name))


def test_equal_stamps_match_at_once_in_either_order() -> None:
    stream = Stream()
    stream.depth(1000)
    stream.detections(1000)
    assert stream.pairs == [(1000, 1000)]
    stream.detections(1033)
    assert len(stream.pairs) == 1
    stream.depth(1033)
    assert stream.pairs[1:] == [(1033, 1033)]


def test_the_nearest_within_the_tolerance_matches() -> None:
    stream = Stream()
    for stamp_ms in (1000, 1030, 1060):
        stream.depth(stamp_ms)
    for stamp_ms in (1014, 1016, 1045):
        stream.detections(stamp_ms)
    assert stream.pairs == [(1014, 1000), (1016, 1030), (1045, 1030)]


def test_an_older_depth_image_has_to_wait_for_a_nearer_one() -> None:
    stream = Stream()
    stream.depth(1000)
    stream.detections(1018)
    assert stream.pairs == []
    stream.depth(1020)
    assert stream.pairs == [(1018, 1020)]


def test_an_older_depth_image_is_used_if_no_nearer_one_comes() -> None:
    stream = Stream()
    stream.depth(1000)
    stream.detections(1018)
    stream.wait(0.1)
    assert stream.pairs == []
    stream.wait(0.2)
    assert stream.pairs == [(1018, 1000)]


def test_detections_are_given_up_when_depth_images_are_too_new() -> None:
    stream = Stream()
    stream.depth(900)
    stream.detections(1000)
    stream.depth(1015)
    assert stream.pairs == [(1000, 1015)]
    stream.detections(1100)
    stream.depth(1121)
    assert stream.pairs[1:] == [(1100, None)]


def test_detections_without_any_depth_image_wait_until_there_are_too_many() -> None:
    stream = Stream(capacity=3)
    for stamp_ms in range(1000, 1050, 10):
        stream.detections(stamp_ms)
    stream.wait(100.0)
    assert stream.pairs == [(1000, None), (1010, None)]


def test_depth_images_are_bounded_by_number_and_bytes() -> None:
    stream = Stream(capacity=5)
    for stamp_ms in range(1000, 1200, 10):
        stream.depth(stamp_ms)
    assert len(stream.matcher._depths) == 5
    large = Stream(capacity=100, size=100 * 1024 * 1024)
    for stamp_ms in range(1000, 1100, 10):
        large.depth(stamp_ms)
    assert len(large.matcher._depths) == 2
    large.detections(1090)
    assert large.pairs == [(1090, 1090)]


def test_one_depth_image_serves_several_detections() -> None:
    stream = Stream()
    stream.depth(1000)
    stream.depth(1100)
    for stamp_ms in (995, 1000, 1010):
        stream.detections(stamp_ms)
    assert stream.pairs == [(995, 1000), (1000, 1000), (1010, 1000)]


def test_messages_that_are_late_are_sorted_in() -> None:
    stream = Stream()
    for stamp_ms in (1000, 1060, 1030):
        stream.depth(stamp_ms)
    stream.detections(1031)
    stream.detections(1001)
    assert stream.pairs == [(1031, 1030), (1001, 1000)]
    assert stream.matcher.jumps == 0


def test_a_second_depth_image_of_a_stamp_replaces_the_first() -> None:
    stream = Stream(size=1)
    stream.depth(1000)
    stream.size = 2
    stream.depth(1000)
    assert [entry.size for entry in stream.matcher._depths] == [2]


@pytest.mark.parametrize('first', ['depth', 'detections'])
def test_stamps_that_go_back_begin_anew(first: str) -> None:
    stream = Stream()
    for stamp_ms in (90_000, 90_033):
        stream.depth(stamp_ms)
        stream.detections(stamp_ms)
    stream.detections(90_066)
    if first == 'depth':
        stream.depth(1000)
        stream.detections(1000)
    else:
        stream.detections(1000)
        stream.depth(1000)
    assert stream.pairs == [
        (90_000, 90_000), (90_033, 90_033), (90_066, None), (1000, 1000),
    ]  # fmt: skip
    assert stream.matcher.jumps == 1


def test_one_wrong_stamp_in_the_future_costs_no_more_than_itself() -> None:
    stream = Stream()
    stream.depth(1000)
    stream.depth(9_000_000)
    stream.depth(1033)
    stream.detections(1033)
    stream.depth(1066)
    stream.detections(1066)
    assert stream.pairs == [(1033, 1033), (1066, 1066)]


def test_drain_gives_up_what_waits() -> None:
    stream = Stream()
    stream.detections(1000)
    assert [match.detections for match in stream.matcher.drain()] == [1000]
    assert stream.matcher.drain() == []


@pytest.mark.parametrize('seed', range(5))
def test_every_detection_is_matched_with_the_nearest_exactly_once(seed: int) -> None:
    """Compare with a search over all depth images, for jittered cameras and delays."""
    rng = np.random.default_rng(seed)
    depth_ms = np.cumsum(rng.integers(25, 42, 100)) + 1000
    found_ms = rng.choice(np.arange(depth_ms[0], depth_ms[-1]), 60, replace=False)
    events = [(stamp + rng.integers(0, 30), 0, int(stamp)) for stamp in depth_ms]
    events += [(stamp + rng.integers(0, 200), 1, int(stamp)) for stamp in found_ms]
    stream = Stream(tolerance_ms=12)
    for at_ms, kind, stamp_ms in sorted(events):
        stream.wait(at_ms / 1000 - stream.now_s)
        (stream.depth, stream.detections)[kind](stamp_ms)
    stream.wait(1.0)
    assert sorted(stamp for stamp, _ in stream.pairs) == sorted(found_ms.tolist())
    for stamp_ms, depth in stream.pairs:
        gaps = np.abs(depth_ms - stamp_ms)
        if gaps.min() > 12:
            assert depth is None
        else:
            assert depth is not None
            assert abs(depth - stamp_ms) == gaps.min()


def test_one_restart_is_counted_once_also_if_detections_are_late() -> None:
    stream = Stream()
    for stamp_ms in (90_000, 90_033, 1000, 1033):
        stream.depth(stamp_ms)
    # The last detections of the time before come after the first depth images of the new time.
    for stamp_ms in (90_033, 1000, 1033):
        stream.detections(stamp_ms)
    assert stream.pairs == [(90_033, None), (1000, 1000), (1033, 1033)]
    assert stream.matcher.jumps == 1
