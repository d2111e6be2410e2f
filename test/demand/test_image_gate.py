# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the gate before the image queue."""

from __future__ import annotations

from collections.abc import Iterable
import itertools
import random

from hypothesis import given
from hypothesis import strategies as st
import pytest
from trt_detector.demand import DetectRequest, image_gate, ImageGate, RequestAnswer

SECOND_NS = 10**9


class Clock:
    """Stand-in for the module time."""

    def __init__(self) -> None:
        self.now_ns = 5 * SECOND_NS

    def monotonic_ns(self) -> int:
        return self.now_ns


def admitted_at(rate_hz: float, arrivals_s: Iterable[float]) -> list[float]:
    """Return the times of the images that a rate lets pass."""
    clock, passed = Clock(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_gate, 'time', clock)
        gate = ImageGate(1)
        gate.configure(paused=False, rates_hz=[rate_hz])
        for arrival_s in arrivals_s:
            clock.now_ns = round((5 + arrival_s) * SECOND_NS)
            if gate.admit(0):
                passed.append(arrival_s)
    return passed


@pytest.mark.parametrize('rate_hz', [1.0, 7.0, 10.0, 15.0, 20.0, 29.0])
def test_a_camera_with_jitter_gets_the_whole_rate(rate_hz: float) -> None:
    # "At least one period since the last one" would let 7.5 of 10 Hz pass: every third image of
    # 30 Hz is a little too early about half of the time.
    jitter = random.Random(3)
    arrivals_s = [i / 30 + jitter.uniform(-0.003, 0.003) for i in range(30 * 60)]
    assert abs(len(admitted_at(rate_hz, arrivals_s)) - 60 * rate_hz) <= 2


def test_a_rate_above_that_of_the_camera_drops_nothing() -> None:
    arrivals_s = [i / 30 for i in range(300)]
    assert admitted_at(40.0, arrivals_s) == arrivals_s


@given(rate_hz=st.floats(0.5, 50), gaps_s=st.lists(st.floats(0.001, 3.0), min_size=2, max_size=60))
def test_no_time_has_more_images_than_the_rate(rate_hz: float, gaps_s: list[float]) -> None:
    # A silent camera must not save up turns for a burst.
    passed = admitted_at(rate_hz, itertools.accumulate(gaps_s))
    for first, last in itertools.combinations(range(len(passed)), 2):
        seconds = passed[last] - passed[first]
        assert last - first <= seconds * rate_hz + 1 + 1e-6


def test_each_camera_has_a_rate_of_its_own() -> None:
    gate = ImageGate(3)
    gate.configure(paused=False, rates_hz=[0.0, 0.001, 0.0])
    assert [gate.admit(camera) for camera in (0, 1, 2)] == [True, True, True]
    assert [gate.admit(camera) for camera in (0, 1, 2)] == [True, False, True]
    assert not gate.is_open
    gate.configure(paused=False, rates_hz=[0.0, 0.0, 0.0])
    assert gate.is_open


def test_setting_the_same_rate_again_is_no_new_turn() -> None:
    gate = ImageGate(1)
    gate.configure(paused=False, rates_hz=[0.001])
    assert gate.admit(0)
    gate.configure(paused=False, rates_hz=[0.001])
    assert not gate.admit(0)


def test_a_paused_gate_admits_one_image_for_all_requests_of_its_camera() -> None:
    gate = ImageGate(2)
    gate.configure(paused=True, rates_hz=[0.0, 0.0])
    assert not gate.admit(0)
    requests = [DetectRequest(1), DetectRequest(1)]
    for request in requests:
        gate.add(request)
    assert [gate.admit(0), gate.admit(1), gate.admit(1)] == [False, True, False]
    gate.forget_admitted([0])
    assert not gate.admit(1)
    gate.forget_admitted([1])
    assert gate.admit(1), 'the admitted image was dropped from the queue'
    answer = RequestAnswer(problem='broken')
    gate.answer(0, requests[1].created_ns, answer)
    assert requests[0].wait(0) is None
    gate.answer(1, requests[0].created_ns - 1, answer)
    assert requests[0].wait(0) is None, 'the image is older than the request'
    gate.answer(1, requests[1].created_ns, answer)
    assert [request.wait(0) for request in requests] == [answer, answer]
    for request in requests:
        gate.remove(request)
    assert not gate.has_requests


def test_only_the_first_answer_counts() -> None:
    request = DetectRequest(0)
    assert request.wait(0) is None
    first = RequestAnswer(problem='unreadable')
    request.answer(first)
    request.answer(RequestAnswer())
    assert request.wait(0) is first


def test_images_that_nobody_wants_pass_for_requests_only() -> None:
    gate = ImageGate(1)
    gate.set_wanted(0, False)
    assert not gate.is_open
    assert not gate.admit(0)
    gate.add(DetectRequest(0))
    assert gate.is_requested(0)
    assert [gate.admit(0), gate.admit(0)] == [True, False]
