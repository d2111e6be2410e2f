# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the queue of images."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from trt_detector.ros import image_queue as image_queue_module
from trt_detector.ros.image_queue import ImageQueue


def open_queue(cameras: int) -> ImageQueue:
    image_queue = ImageQueue(cameras)
    image_queue.open()
    return image_queue


def test_queue_keeps_the_newest_image_and_counts_dropped_ones() -> None:
    image_queue = open_queue(1)
    assert [image_queue.put(0, name) for name in 'abc'] == [0, 1, 1]
    assert [queued_image.message for queued_image in image_queue.take(1)] == ['c']


def test_queue_serves_cameras_round_robin() -> None:
    image_queue = open_queue(3)
    served = []
    for _ in range(3):
        for camera in range(3):
            image_queue.put(camera, 'image')
        served.append([queued_image.camera for queued_image in image_queue.take(2)])
    assert served == [[0, 1], [2, 0], [1, 2]]


def test_closed_queue_refuses_and_drops_images() -> None:
    image_queue = ImageQueue(2)
    assert image_queue.put(0, 'too early') == 1
    image_queue.open()
    image_queue.put(1, 'waiting')
    assert image_queue.stop_accepting() == [1]
    assert image_queue.stop_accepting() == [], 'dropped once'
    assert image_queue.put(0, 'too late') == 1
    image_queue.close()
    assert image_queue.take(2) == []
    image_queue.open()
    assert image_queue.put(0, 'after the end') == 1


def test_close_refuses_images_and_wakes_the_taker() -> None:
    image_queue = open_queue(1)
    thread, messages = take_in_thread(image_queue, 1)
    wait_until_asleep(image_queue)
    image_queue.close()
    thread.join(20)
    assert not thread.is_alive()
    assert image_queue.put(0, 'too late') == 1
    assert messages == []


def test_a_queue_without_a_wait_serves_a_busy_caller_at_once() -> None:
    image_queue = open_queue(2)
    image_queue.put(0, 'a')
    assert [image.message for image in image_queue.take(2, busy=True)] == ['a']


def test_queue_is_idle_only_after_the_next_take() -> None:
    image_queue = open_queue(1)
    assert image_queue.wait_idle(0), 'nothing was taken'
    image_queue.put(0, 'image')
    image_queue.take(1)
    assert not image_queue.wait_idle(0.05)
    threading.Thread(target=image_queue.take, args=(1,), daemon=True).start()
    assert image_queue.wait_idle(20)
    image_queue.close()


def test_the_next_take_wakes_who_waits_for_idleness() -> None:
    image_queue = open_queue(1)
    image_queue.put(0, 'image')
    image_queue.take(1)
    waiter = threading.Thread(target=image_queue.wait_idle, args=(3600.0,), daemon=True)
    waiter.start()
    wait_until_asleep(image_queue)
    take_in_thread(image_queue, 1)
    waiter.join(20)
    assert not waiter.is_alive()
    image_queue.close()


def wait_until_asleep(image_queue: ImageQueue) -> None:
    """Wait until a thread waits for a change of the queue."""
    end = time.monotonic() + 20
    while not image_queue._changed._waiters:  # type: ignore[attr-defined]
        assert time.monotonic() < end
        time.sleep(0.01)


def take_in_thread(image_queue: ImageQueue, limit: int) -> tuple[threading.Thread, list[str]]:
    """Take a batch in a thread; the messages are appended to the returned list."""
    messages: list[str] = []

    def take() -> None:
        messages.extend(image.message for image in image_queue.take(limit))

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread, messages


def test_batch_waits_for_the_late_camera() -> None:
    image_queue = ImageQueue(3, batch_wait_s=60.0)
    image_queue.open()
    thread, messages = take_in_thread(image_queue, 3)
    for camera, message in enumerate('abc'):
        assert messages == []
        assert image_queue.take(3, busy=True) == [], 'a busy caller does not wait'
        image_queue.put(camera, message)
    thread.join(20)
    assert messages == ['a', 'b', 'c']


def test_the_late_camera_is_let_in_while_a_batch_waits() -> None:
    image_queue = ImageQueue(2, batch_wait_s=60.0)
    image_queue.open()
    image_queue.put(0, 'a')
    thread, messages = take_in_thread(image_queue, 2)
    wait_until_asleep(image_queue)
    image_queue.put(1, 'b')
    thread.join(20)
    assert messages == ['a', 'b']


def test_full_batch_does_not_wait_for_more_cameras() -> None:
    image_queue = ImageQueue(3, batch_wait_s=60.0)
    image_queue.open()
    image_queue.put(0, 'a')
    image_queue.put(2, 'c')
    assert [image.message for image in image_queue.take(2)] == ['a', 'c']


def test_batch_without_the_silent_camera_is_taken_in_the_end() -> None:
    image_queue = ImageQueue(2, batch_wait_s=0.1)
    image_queue.open()
    thread, messages = take_in_thread(image_queue, 2)
    # Each image replaces the one before it; the wait is that of the first.
    while thread.is_alive():
        image_queue.put(0, 'a')
        time.sleep(0.01)
    assert messages == ['a']


def test_camera_that_sends_nothing_is_waited_for_once() -> None:
    image_queue = ImageQueue(3, batch_wait_s=0.5)
    image_queue.open()
    image_queue.put(0, 'a')
    image_queue.put(1, 'b')
    assert len(image_queue.take(3)) == 2
    # A busy caller gets a batch only if no camera is waited for.
    image_queue.put(0, 'c')
    assert image_queue.take(3, busy=True) == [], 'camera 1 has sent an image'
    image_queue.put(1, 'd')
    assert {image.message for image in image_queue.take(3, busy=True)} == {'c', 'd'}
    image_queue.put(2, 'e')
    image_queue.put(0, 'f')
    assert image_queue.take(3, busy=True) == [], 'all cameras have sent an image by now'
    image_queue.put(1, 'g')
    assert {image.message for image in image_queue.take(3, busy=True)} == {'e', 'f', 'g'}


def test_most_cameras_silent_are_waited_for_once() -> None:
    image_queue = ImageQueue(4, batch_wait_s=0.1)
    image_queue.open()
    image_queue.put(0, 'a')
    assert len(image_queue.take(2)) == 1
    image_queue.put(0, 'b')
    assert [image.message for image in image_queue.take(2, busy=True)] == ['b']


def test_an_image_left_over_waits_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    clock = SimpleNamespace(monotonic=lambda: now, monotonic_ns=lambda: int(now * 1e9))
    monkeypatch.setattr(image_queue_module, 'time', clock)
    image_queue = ImageQueue(3, batch_wait_s=2.0)
    image_queue.open()
    for camera, message in enumerate('abc'):
        image_queue.put(camera, message)
    now = 103.0
    assert [image.message for image in image_queue.take(2)] == ['a', 'b']
    now = 104.5
    assert image_queue.take(2, busy=True) == [], 'the others have time until 105'
    now = 105.0
    assert [image.message for image in image_queue.take(2, busy=True)] == ['c']


def test_images_dropped_while_a_batch_waits_do_not_end_the_taker() -> None:
    image_queue = ImageQueue(2, batch_wait_s=0.05)
    image_queue.open()
    thread, messages = take_in_thread(image_queue, 2)
    image_queue.put(0, 'a')
    image_queue.stop_accepting()
    thread.join(0.2)
    assert thread.is_alive() or messages == ['a']
    image_queue.open()
    image_queue.put(1, 'b')
    thread.join(20)
    assert messages in (['b'], ['a'])
    image_queue.close()
