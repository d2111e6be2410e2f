# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the decision when memory for the largest image has become too large."""

from __future__ import annotations

from trt_detector.values.recent_peak import RecentPeak


def test_memory_is_returned_after_a_window_of_images_half_as_large() -> None:
    size = RecentPeak(window=3)
    assert [size.note(100) for _ in range(3)] == [False] * 3
    assert [size.note(value) for value in (50, 10, 40)] == [False, False, True]
    assert size.kept == 50
    assert [size.note(20) for _ in range(3)] == [False, False, True]
    assert size.kept == 20


def test_one_large_image_in_a_window_keeps_its_memory() -> None:
    size = RecentPeak(window=3)
    assert not any(size.note(value) for value in (100, 1, 1, 1, 51, 1, 60, 1, 1))
    assert size.kept == 100


def test_a_larger_image_raises_the_size_at_once() -> None:
    size = RecentPeak(window=2)
    assert [size.note(value) for value in (10, 10, 30)] == [False] * 3
    assert size.kept == 30
