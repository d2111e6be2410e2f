# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that detectors of one process upload an image once, and get what they get alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import replace
import gc
from pathlib import Path
import threading
from typing import Any

from doubles.machine import machine
import pytest
from support.detectors import (
    assert_same,
    config,
    device,
    on_cpu,
    pictures,
    require_cuda_provider,
)
from support.images import make_image
from support.requirements import require_tensorrt_on_gpu
from trt_detector.config import DetectorConfig
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.gpu.context import ContextScope, load_cuda, make_stream
from trt_detector.gpu.uploads import shared_uploads
from trt_detector.gpu.uploads.image_upload import ImageUpload
from trt_detector.gpu.uploads.shared_uploads import SharedUploads
from trt_detector.image.image import Image
from trt_detector.image.shared_values import SharedValues
from trt_detector.pipeline import Detector
from trt_detector.preprocess import Letterbox, PreprocessSpec
from trt_detector.values.detections import Detections


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List that every copy of an image to the device is added to."""
    sent: list[int] = []
    send = ImageUpload.send

    def count(upload: ImageUpload, stream: Any) -> None:
        sent.append(1)
        send(upload, stream)

    monkeypatch.setattr(ImageUpload, 'send', count)
    return sent


def share(image: Image) -> Image:
    """Return the image as several detectors get it."""
    return replace(image, shared=SharedValues())


@contextmanager
def two_detectors(
    kind: str, model: Path, folder: Path, **changes: Any
) -> Iterator[tuple[Any, Detector, Detector]]:
    """Open two detectors on the double of a GPU; all memory must be free at the end."""
    with device(kind) as (cuda, backend):
        with ExitStack() as undo:
            first, second = (
                undo.enter_context(
                    create_detector(config(model, folder, backend=backend, **changes))
                )
                for _ in range(2)
            )
            yield cuda, first, second
        gc.collect()
        cuda.assert_clean()
        assert not shared_uploads._OPEN


@pytest.mark.parametrize('mapped_memory', ['off', 'on'])
def test_each_image_is_uploaded_once_and_detected_in_as_on_the_cpu(
    kind: str, mapped_memory: str, model: Path, tmp_path: Path, uploads: list[int]
) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with two_detectors(kind, model, tmp_path, mapped_memory=mapped_memory) as (_, first, second):
        uploads.clear()
        found = []
        shared = [share(image) for image in images]
        for detector in (first, second):
            found += [detector.detect([image]).detections[0] for image in shared]
        assert len(uploads) == len(images)
        # An image keeps the event of its upload.
        del shared
        uploads.clear()
        for detector in (second, first):
            detector.detect([share(image) for image in images[:3]])
        assert len(uploads) == 6, 'equal images that are not shared were taken for one'
    for one, other in zip(found, expected * 2, strict=True):
        assert_same(one, other)


def test_memory_is_not_written_while_another_batch_reads_it(
    kind: str, model: Path, tmp_path: Path, uploads: list[int]
) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    found: list[tuple[Detections, Detections]] = []
    with two_detectors(kind, model, tmp_path) as (_, first, second):
        uploads.clear()
        waiting: list[Any] = []

        def collect() -> None:
            pending = waiting.pop(0)
            # The second one first: it has to wait for the copy that the first one began.
            other = second.collect(pending[1]).detections[0]
            found.append((first.collect(pending[0]).detections[0], other))

        for image in images * 3:
            # The batches in flight are the only ones that keep the image.
            shared = share(image)
            waiting.append((first.submit([shared]), second.submit([shared])))
            del shared
            if len(waiting) == first.depth:
                collect()
        while waiting:
            collect()
        (memory,) = shared_uploads._OPEN.values()
        assert len(memory._all) == first.depth, 'memory was not used again'
        assert len(uploads) == 3 * len(images)
    for (one, two), wanted in zip(found, expected * 3, strict=True):
        assert_same(one, wanted)
        assert_same(two, wanted)


def test_image_that_waits_for_a_slow_detector_keeps_its_upload(
    model: Path, tmp_path: Path, uploads: list[int]
) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with two_detectors('onnxruntime', model, tmp_path) as (cuda, quick, slow):
        shared = [share(image) for image in images]
        for image in shared:
            quick.detect([image])
        uploads.clear()
        found = [slow.detect([image]).detections[0] for image in shared]
        assert not uploads
        del shared, image
        in_use = cuda.taken_bytes
        quick.detect([share(images[0])])
        assert cuda.taken_bytes < in_use, 'surplus memory was not freed'
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one, wanted)


def test_batch_of_shared_images(model: Path, tmp_path: Path, uploads: list[int]) -> None:
    images = pictures()[:3]
    expected = on_cpu(model, tmp_path, images)
    with two_detectors('onnxruntime', model, tmp_path) as (_, first, second):
        uploads.clear()
        shared = [share(image) for image in images]
        found = [*first.detect(shared).detections, *second.detect(shared[::-1]).detections[::-1]]
        assert len(uploads) == 3
    for one, wanted in zip(found, expected * 2, strict=True):
        assert_same(one, wanted)


def test_detectors_that_read_other_rows_upload_their_own(uploads: list[int]) -> None:
    image = share(make_image('bgr8', 120, 300))
    with machine(None):
        cuda = load_cuda()
        scope = ContextScope(cuda, 0)
        stream = make_stream(cuda)
        memory = SharedUploads.join(cuda, 0, mapped=False)
        # Less than half of the rows: only those that the resize reads are copied.
        sizes = [(64, 64), (300, 300), (32, 32), (200, 200), (640, 64)]
        got = [
            memory.get(image, Letterbox.fit((120, 300), size, PreprocessSpec()), stream)
            for size in sizes
        ]
        assert [upload.image.gathered for upload in got] == [True, False, True, False, True]
        assert got[1] is got[3]
        assert got[0] is got[4]
        # All rows, for the tiles of a large image.
        assert memory.get(image, None, stream) is got[1]
        assert len(uploads) == 3
        memory.leave()
        del stream
        scope.close()


def test_failed_upload_is_tried_again_by_the_next_detector(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pictures()[0]
    (expected,) = on_cpu(model, tmp_path, [image])
    with two_detectors('onnxruntime', model, tmp_path) as (_, first, second):
        shared = share(image)
        with monkeypatch.context() as patch:

            def fail(*_: Any) -> None:
                raise EngineError('no memory')

            patch.setattr(ImageUpload, 'begin', fail)
            with pytest.raises(EngineError, match='no memory'):
                first.detect([shared])
        found = [detector.detect([shared]).detections[0] for detector in (second, first)]
    for one in found:
        assert_same(one, expected)


def test_image_may_outlive_the_detectors(model: Path, tmp_path: Path) -> None:
    shared = share(pictures()[0])
    (expected,) = on_cpu(model, tmp_path, [shared])
    for _ in range(2):
        with two_detectors('onnxruntime', model, tmp_path) as (_, first, second):
            assert_same(first.detect([shared]).detections[0], expected)
            assert_same(second.detect([shared]).detections[0], expected)


def test_images_of_one_detector_use_no_shared_memory(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_uploads, 'ImageUpload', None)
    images = pictures()
    with two_detectors('onnxruntime', model, tmp_path) as (_, first, _second):
        for image in images:
            first.detect([image])


def detect_in_threads(values: DetectorConfig, images: list[Image]) -> list[list[Detections]]:
    """Detect in shared images with two detectors, each in a thread of its own."""
    # Each image is released with the last batch that reads it, so that memory is used again.
    shared = [share(image) for image in images]
    queues = [shared, list(shared)]
    del shared
    found: list[list[Detections]] = [[], []]
    ready = threading.Barrier(2)

    def work(number: int) -> None:
        with create_detector(values) as detector:
            ready.wait(60)
            waiting: list[Any] = []
            while queues[number] or waiting:
                if queues[number] and len(waiting) < detector.depth:
                    waiting.append(detector.submit([queues[number].pop(0)]))
                else:
                    found[number].append(detector.collect(waiting.pop(0)).detections[0])
            ready.wait(60)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not shared_uploads._OPEN
    return found


def check_threads(values: DetectorConfig, rounds: int, uploads: list[int], folder: Path) -> None:
    """Compare with the CPU, and count the uploads beside those of the warm-up."""
    images = [*pictures(), make_image('bgr8', 1280, 720), make_image('nv12', 640, 2160)]
    expected = on_cpu(Path(values.model_path), folder, images)
    detect_in_threads(values, [])
    warm_up = len(uploads)
    found = detect_in_threads(values, images * rounds)
    assert len(uploads) == 2 * warm_up + rounds * len(images)
    for detections in found:
        for one, wanted in zip(detections, expected * rounds, strict=True):
            assert_same(one, wanted)


def test_detectors_in_threads_share_uploads(
    kind: str, model: Path, tmp_path: Path, uploads: list[int]
) -> None:
    with device(kind) as (_, backend):
        values = config(model, tmp_path, backend=backend, batch_size=1)
        check_threads(values, 2, uploads, tmp_path)


@pytest.mark.gpu
@pytest.mark.parametrize('mapped_memory', ['off', 'on'])
@pytest.mark.parametrize('backend', ['onnxruntime', 'tensorrt'])
def test_detectors_in_threads_share_uploads_on_a_gpu(
    backend: str, mapped_memory: str, model: Path, tmp_path: Path, uploads: list[int]
) -> None:
    if backend == 'onnxruntime':
        require_cuda_provider()
    else:
        backend = require_tensorrt_on_gpu()
    values = config(model, tmp_path, backend=backend, batch_size=1, mapped_memory=mapped_memory)
    check_threads(values, 20, uploads, tmp_path)
