# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that one bad image of a batch never affects another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from support.ros_graph import image_message
from trt_detector.errors import DecodeError, EngineError
from trt_detector.regions.camera_regions import CameraRegions
from trt_detector.ros import batch_processor
from trt_detector.ros.batch_processor import BatchProcessor
from trt_detector.ros.image_queue import QueuedImage
from trt_detector.ros.monitoring.statistics import SessionStatistics
from trt_detector.values.batch_result import BatchResult, StageTimes
from trt_detector.values.detections import Detections
from trt_detector.values.recent_peak import RecentPeak

BAD_WIDTH = 66


class Recorder:
    """Node, logger, clock and publisher of the processor; records what is published."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.errors: list[str] = []

    def get_logger(self) -> Any:
        return SimpleNamespace(error=self._log, warning=self._log)

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=10**18))

    def publish(self, header: Any, _detections: Any) -> None:
        self.published.append(header.stamp.sec)

    def _log(self, text: str, **_: Any) -> None:
        self.errors.append(text)


class Detector:
    """
    Detector that finds nothing.

    :param submit: called with the images of each submitted batch; may raise.
    :param collect: called with the images of each collected batch; may raise.
    """

    def __init__(
        self,
        submit: Callable[[Sequence[Any]], None] = lambda _: None,
        collect: Callable[[Sequence[Any]], None] = lambda _: None,
    ) -> None:
        self._submit, self._collect = submit, collect

    def has_run(self, _count: int) -> bool:
        return True

    def submit(self, images: Sequence[Any]) -> Sequence[Any]:
        self._submit(images)
        return images

    def wait(self, pending: Sequence[Any]) -> None:
        self._collect(pending)

    def collect(self, pending: Sequence[Any]) -> BatchResult:
        self._collect(pending)
        return BatchResult(tuple(Detections.empty() for _ in pending), StageTimes(1.0, 1.0, 1.0))

    def detect(self, images: Sequence[Any]) -> BatchResult:
        return self.collect(self.submit(images))


def refuse_bad_width(images: Sequence[Any]) -> None:
    if any(image.width == BAD_WIDTH for image in images):
        raise ValueError('this width is not supported')


def make_processor(cameras: int) -> tuple[BatchProcessor, Recorder, SessionStatistics]:
    """Create a processor whose cameras share a recorder."""
    recorder, statistics = Recorder(), SessionStatistics(cameras)
    topics = [SimpleNamespace(image=f'/camera{number}') for number in range(cameras)]
    processor = BatchProcessor(recorder, topics, statistics, recorder.errors.append)  # type: ignore[arg-type]
    processor.publishers = [recorder] * cameras  # type: ignore[list-item]
    return processor, recorder, statistics


def process(processor: BatchProcessor, detector: Any, messages: Sequence[Any]) -> None:
    """Take one message of each camera through the three steps of a batch."""
    queued = [QueuedImage(camera, message, 0) for camera, message in enumerate(messages)]
    batch = processor.begin(detector, queued)
    if batch is not None:
        processor.wait(detector, batch)
        processor.end(detector, batch)


def counts_of(statistics: SessionStatistics, cameras: int) -> list[tuple[int, int, int]]:
    """List published, malformed and failed images of each camera."""
    counts = [statistics.counts(camera) for camera in range(cameras)]
    return [(count.published, count.malformed, count.failed) for count in counts]


@pytest.mark.parametrize('stamp', [(-5, 0), (-(2**31), 0), (2**31 - 1, 2**32 - 1), (0, 0)])
def test_any_stamp_is_published(stamp: tuple[int, int]) -> None:
    processor, recorder, statistics = make_processor(2)
    process(processor, Detector(), [image_message(stamp=stamp), image_message(stamp=(7, 0))])
    assert recorder.published == [stamp[0], 7]
    assert counts_of(statistics, 2) == [(1, 0, 0), (1, 0, 0)]
    assert recorder.errors == []


def contradict_head(images: Sequence[Any]) -> None:
    if any(image.width == BAD_WIDTH for image in images):
        raise DecodeError('scores of 0 to 47.5; expected 0 to 1')


def test_image_whose_outputs_contradict_the_head_fails_alone() -> None:
    processor, recorder, statistics = make_processor(2)
    messages = [image_message(width, stamp=(width, 0)) for width in (64, BAD_WIDTH)]
    process(processor, Detector(collect=contradict_head), messages)
    assert recorder.published == [64]
    assert counts_of(statistics, 2) == [(1, 0, 0), (0, 0, 1)]
    assert any('DecodeError: scores of 0 to 47.5' in text for text in recorder.errors)


@pytest.mark.parametrize('step', ['submit', 'collect'])
def test_image_that_the_detector_refuses_fails_alone(step: str) -> None:
    processor, recorder, statistics = make_processor(3)
    messages = [image_message(width, stamp=(width, 0)) for width in (64, BAD_WIDTH, 68)]
    process(processor, Detector(**{step: refuse_bad_width}), messages)
    assert recorder.published == [64, 68]
    assert counts_of(statistics, 3) == [(1, 0, 0), (0, 0, 1), (1, 0, 0)]
    assert any('1 image(s) of /camera1: ValueError' in text for text in recorder.errors)


def test_failed_inference_is_not_repeated_for_each_image() -> None:
    calls = []

    def fail(images: Sequence[Any]) -> None:
        calls.append(len(images))
        raise EngineError('CUDA is gone')

    processor, recorder, statistics = make_processor(2)
    process(processor, Detector(submit=fail), [image_message(), image_message()])
    assert calls == [2]
    assert recorder.published == []
    assert counts_of(statistics, 2) == [(0, 0, 1), (0, 0, 1)]
    assert any('2 image(s) of /camera0, /camera1' in text for text in recorder.errors)


def test_exception_while_reading_or_publishing_fails_one_image() -> None:
    processor, recorder, statistics = make_processor(3)
    broken = SimpleNamespace(publish=lambda *_: (_ for _ in ()).throw(OSError('no publisher')))
    processor.publishers = [broken, recorder, recorder]  # type: ignore[list-item]
    messages = [image_message(), image_message(stamp=(8, 0)), SimpleNamespace()]
    process(processor, Detector(), messages)
    assert recorder.published == [8]
    assert counts_of(statistics, 3) == [(0, 0, 1), (1, 0, 0), (0, 0, 1)]


def test_failed_statistics_do_not_fail_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    processor, recorder, statistics = make_processor(2)

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(statistics, 'add_times', fail)
    process(processor, Detector(), [image_message(), image_message()])
    assert recorder.published == [5, 5]
    assert counts_of(statistics, 2) == [(1, 0, 0), (1, 0, 0)]
    assert 'ZeroDivisionError' in recorder.errors[0]


def test_malformed_images_of_one_camera_do_not_hide_those_of_another() -> None:
    processor, recorder, statistics = make_processor(2)
    narrow, empty = image_message(), image_message()
    narrow.step, empty.data = 7, b''
    for _ in range(3):
        process(processor, Detector(), [narrow, empty])
    logged = [text for text in recorder.errors if text.startswith('dropped')]
    assert [text.partition(': ')[0] for text in logged] == [
        'dropped an image of /camera0',
        'dropped an image of /camera1',
    ]
    assert statistics.counts(0).error.startswith('step is 7; ')
    assert statistics.counts(1).error != statistics.counts(0).error


def test_every_reason_of_malformed_images_is_logged_once() -> None:
    processor, recorder, _ = make_processor(1)
    narrow, empty = image_message(), image_message()
    empty.data = b''
    for step in (7, 8, 9):
        narrow.step = step
        process(processor, Detector(), [narrow])
        process(processor, Detector(), [empty])
    logged = [text for text in recorder.errors if text.startswith('dropped')]
    assert len(logged) == 2
    assert 'step is 7; ' in logged[0]
    assert 'step is 7; ' not in logged[1]


def jpeg_message(stamp_s: int, *, damaged: bool = False) -> Any:
    """Return a JPEG message; a damaged one has a header, and no quantization table."""
    data = bytearray(cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))[1].tobytes())
    if damaged:
        data[data.index(b'\xff\xdb') + 1] = 0xEF
    message = CompressedImage(format='jpeg', data=bytes(data))
    message.header.stamp.sec = stamp_s
    return message


def decode(images: Sequence[Any]) -> None:
    for image in images:
        image.decode(2)


@pytest.mark.parametrize('regions', [None, [CameraRegions()] * 2])
def test_jpeg_that_cannot_be_decoded_is_malformed_and_no_failed_inference(
    regions: list[CameraRegions] | None,
) -> None:
    processor, recorder, statistics = make_processor(2)
    processor.regions = regions
    for _ in range(12):
        process(processor, Detector(decode), [jpeg_message(1), jpeg_message(2, damaged=True)])
        process(processor, Detector(decode), [jpeg_message(3, damaged=True)])
    assert recorder.published == [1] * 12
    assert counts_of(statistics, 2) == [(12, 12, 0), (0, 12, 0)]
    assert statistics.counts(1).error.startswith('OpenCV cannot decode')
    assert processor.watch._failures == 0


def test_arbitrary_reasons_do_not_flood_the_log() -> None:
    processor, recorder, _ = make_processor(1)
    message = image_message()
    for letter in 'abcdefghijklmnop':
        message.encoding = letter
        process(processor, Detector(), [message])
    logged = [text for text in recorder.errors if text.startswith('dropped')]
    assert len(logged) == 5


@pytest.mark.parametrize(('stamp', 'expected'), [((0, 0), 1), ((-5, 0), 1), ((7, 0), 0)])
def test_images_without_a_stamp_are_counted(stamp: tuple[int, int], expected: int) -> None:
    processor, _, statistics = make_processor(1)
    process(processor, Detector(), [image_message(stamp=stamp)])
    assert statistics.counts(0).unstamped == expected


def test_memory_is_returned_after_a_while_of_smaller_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    returned = []
    monkeypatch.setattr(batch_processor, 'release_memory', lambda: returned.append(count))
    monkeypatch.setattr(batch_processor, 'RecentPeak', partial(RecentPeak, window=4))
    processor, recorder, _ = make_processor(1)
    for count in range(12):
        process(processor, Detector(), [image_message(640 if count < 4 else 64)])
    assert returned == [7]
    assert len(recorder.published) == 12
