# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that the inference thread fills all batch slots of the detector."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from trt_detector.config import DetectorConfig
from trt_detector.ros.image_queue import ImageQueue, QueuedImage
from trt_detector.ros.inference_thread import InferenceThread

WAIT_S = 20.0


class Trace:
    """
    Processor that records the calls of the inference thread.

    :param last: batch that ends the test.
    :param refused: batches for which begin() returns None.
    """

    def __init__(self, last: str, refused: tuple[str, ...] = ()) -> None:
        self.lines: list[str] = []
        self.done = threading.Event()
        self._last, self._refused = last, refused

    def begin(self, detector: Any, queued_images: list[QueuedImage]) -> Any:
        """Record the messages of a batch."""
        batch = '+'.join(queued_image.message for queued_image in queued_images)
        self.lines.append(f'begin {batch}')
        return None if batch in self._refused else batch

    def wait(self, detector: Any, work: Any) -> None:
        """Record the wait."""
        self.lines.append(f'wait {work}')

    def end(self, detector: Any, work: Any) -> None:
        """Record the end."""
        self.lines.append(f'end {work}')
        if work == self._last:
            self.done.set()


def serve(
    trace: Trace, messages: str, *, depth: int, batch_size: int = 1, cameras: int | None = None
) -> ImageQueue:
    """Let an inference thread process messages that are all queued when it starts."""
    image_queue = ImageQueue(cameras or len(messages))
    image_queue.open()
    for camera, message in enumerate(messages):
        image_queue.put(camera, message)
    detector = SimpleNamespace(batch_size=batch_size, depth=depth, close=lambda: None)
    thread = InferenceThread(
        DetectorConfig(), image_queue, lambda *_, **__: detector,  # type: ignore[arg-type]
        trace, lambda _: None,
    )  # fmt: skip
    thread.open()
    assert trace.done.wait(WAIT_S), trace.lines
    assert image_queue.wait_idle(WAIT_S)
    assert thread.close(WAIT_S)
    return image_queue


def test_batch_begins_before_the_previous_one_ends() -> None:
    trace = Trace(last='d')
    serve(trace, 'abcd', depth=2)
    assert trace.lines == [
        'begin a', 'wait a', 'begin b', 'end a', 'wait b', 'begin c', 'end b', 'wait c', 'begin d',
        'end c', 'wait d', 'end d',
    ]  # fmt: skip


def test_batch_begins_before_a_finished_one_is_decoded() -> None:
    trace = Trace(last='d')
    serve(trace, 'abcd', depth=3)
    assert trace.lines == [
        'begin a', 'begin b', 'wait a', 'begin c', 'end a', 'wait b', 'begin d', 'end b',
        'wait c', 'end c', 'end d',
    ]  # fmt: skip


def test_depth_1_processes_one_batch_at_a_time() -> None:
    trace = Trace(last='c')
    serve(trace, 'abc', depth=1)
    assert trace.lines == ['begin a', 'end a', 'begin b', 'end b', 'begin c', 'end c']


def test_result_does_not_wait_for_the_next_image() -> None:
    trace = Trace(last='a')
    serve(trace, 'a', depth=2)
    assert trace.lines == ['begin a', 'wait a', 'end a']


def test_refused_batch_is_not_ended() -> None:
    trace = Trace(last='d', refused=('a', 'c'))
    serve(trace, 'abcd', depth=2)
    assert trace.lines == [
        'begin a', 'begin b', 'wait b', 'begin c', 'wait b', 'begin d', 'end b', 'wait d', 'end d',
    ]  # fmt: skip


def test_batches_are_filled() -> None:
    trace = Trace(last='c')
    serve(trace, 'abc', depth=2, batch_size=2)
    assert trace.lines == ['begin a+b', 'wait a+b', 'begin c', 'end a+b', 'wait c', 'end c']


@pytest.mark.parametrize('closed', [False, True])
def test_busy_take_does_not_wait(closed: bool) -> None:
    image_queue = ImageQueue(1)
    image_queue.open()
    image_queue.put(0, 'a')
    assert len(image_queue.take(1)) == 1
    if closed:
        image_queue.close()
    assert image_queue.take(1, busy=True) == []
    assert not image_queue.wait_idle(0.0), 'messages are still in progress'
