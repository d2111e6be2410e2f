# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test how lost images are counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from trt_detector.image.loss_counter import LossCounter


def info(number: int, publisher: bytes = b'a') -> dict[str, Any]:
    """Create message info as rclpy gives it with Fast DDS."""
    return {'publication_sequence_number': number, 'publisher_gid': {'data': publisher}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Provide the time of the counters, to be set."""
    clock = SimpleNamespace(now_s=100.0)
    monkeypatch.setattr('trt_detector.image.loss_counter.time.monotonic', lambda: clock.now_s)
    return clock


def lose_seven_in_silence(clock: SimpleNamespace) -> LossCounter:
    """Count one image, then only an event."""
    counter = LossCounter()
    counter.add_image(info(1), 0)
    clock.now_s += 5
    counter.add_event(7)
    return counter


def test_sequence_numbers_of_each_publisher_are_exact() -> None:
    counter = LossCounter()
    for number, publisher in [(7, b'a'), (1, b'b'), (8, b'a'), (3, b'b'), (12, b'a'), (4, b'b')]:
        counter.add_image(info(number, publisher), 0)
    # Of a: 9, 10 and 11; of b: 2.
    assert (counter.lost, counter.method) == (4, 'sequence numbers')


def test_new_subscription_does_not_count_what_was_published_before() -> None:
    counter = LossCounter()
    counter.add_image(info(1), 0)
    counter.add_image(info(3), 0)
    counter.restart()
    counter.add_image(info(50), 0)
    assert counter.lost == 1


def test_loss_is_recent_until_two_images_arrive_one_after_the_other() -> None:
    counter = LossCounter()
    counter.add_event(2)
    assert counter.lost_recently == 2
    recent = []
    for number in (1, 2, 5, 6, 7):
        counter.add_image(info(number), 0)
        recent.append(counter.lost_recently)
    # 3 and 4 are missing between the second and the third image.
    assert recent == [2, 0, 2, 0, 0]
    counter.add_image(info(9), 0)
    counter.restart()
    assert (counter.lost_recently, counter.lost) == (0, 5)


def test_numbers_without_the_publisher_are_not_used() -> None:
    counter = LossCounter()
    for number in (1, 500, 2, 501):
        counter.add_image({'publication_sequence_number': number, 'publisher_gid': None}, 0)
    assert (counter.lost, counter.method) == (0, 'header stamps')


def test_events_count_if_no_image_arrives() -> None:
    counter = LossCounter()
    counter.add_event(3)
    counter.add_event(4)
    assert (counter.lost, counter.method) == (7, 'events')


def test_the_same_loss_is_counted_once() -> None:
    counter = LossCounter()
    counter.add_image(info(1), 0)
    counter.add_event(3)
    # The next image tells how many they were.
    assert counter.lost == 0
    counter.add_image(info(5), 0)
    assert counter.lost == 3


def test_images_in_another_order_are_not_lost() -> None:
    counter = LossCounter()
    for number in (5, 4, 5, 5, 6):
        counter.add_image(info(number), 0)
    assert counter.lost == 0


def test_events_count_while_no_image_arrives(clock: SimpleNamespace) -> None:
    counter = lose_seven_in_silence(clock)
    assert counter.lost == 7
    # The gap is exact and replaces the events.
    counter.add_image(info(7), 0)
    assert counter.lost == 5
    clock.now_s += 5
    counter.add_event(2)
    counter.add_image(info(40, b'other'), 0)
    assert counter.lost == 7


def test_what_was_lost_in_silence_stays_lost_in_a_new_subscription(
    clock: SimpleNamespace,
) -> None:
    counter = lose_seven_in_silence(clock)
    counter.restart()
    assert counter.lost == 7
    counter.add_image(info(50), 0)
    assert counter.lost == 7


def _add_stamps(counter: LossCounter, spacings_ms: list[int], start_ms: int = 10**9) -> int:
    """Add an image and those that follow; return the last stamp in milliseconds."""
    for spacing_ms in (0, *spacings_ms):
        start_ms += spacing_ms
        counter.add_image({}, start_ms * 10**6)
    return start_ms


@pytest.mark.parametrize(
    ('spacings_ms', 'lost'),
    [
        # Two of three images are missing after every second one.
        ([33, 99] * 20, None),
        # Two images at once are none that was lost, nor one that was found.
        ([*[33] * 20, 1, 32, *[33] * 5], 0),
        # Before eight spacings nobody knows the period of the camera.
        ([10, 50], 0),
    ],
)
def test_stamps_tell_the_period_of_the_camera(spacings_ms: list[int], lost: int | None) -> None:
    counter = LossCounter()
    _add_stamps(counter, spacings_ms)
    if lost is None:
        # From the eighth spacing on.
        lost = sum(spacing_ms // 33 - 1 for spacing_ms in spacings_ms[7:])
    assert counter.lost == lost


def test_a_pause_between_two_subscriptions_is_no_gap() -> None:
    counter = LossCounter()
    last_ms = _add_stamps(counter, [33] * 20)
    counter.restart()
    _add_stamps(counter, [33] * 20, last_ms + 3300)
    assert counter.lost == 0


@pytest.mark.parametrize('jitter_ns', [0, 3_000_000])
def test_gaps_between_stamps_without_sequence_numbers(jitter_ns: int) -> None:
    counter = LossCounter()
    missing = {40, 41, 42, 60, 77}
    for number in range(100):
        if number not in missing:
            counter.add_image({}, 10**18 + number * 33_333_333 + (number % 3) * jitter_ns)
    assert (counter.lost, counter.method) == (len(missing), 'header stamps')


@pytest.mark.parametrize('stamps', [[0] * 50, [-5, 3, -(2**62), 2**62] * 10, range(50, 0, -1)])
def test_senseless_stamps_count_nothing_absurd(stamps: list[int]) -> None:
    counter = LossCounter()
    for stamp in stamps:
        counter.add_image({}, stamp)
    assert counter.lost >= 0
