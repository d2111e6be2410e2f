# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that the device reads images from the memory that they arrived in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import replace
import gc
from pathlib import Path
from typing import Any
import weakref

import numpy as np
import pytest
from support.detectors import (
    assert_same,
    config,
    device,
    means_model,
    on_cpu,
    require_cuda_provider,
)
from support.images import arrive, make_image, make_memory
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.image.shared_values import SharedValues
from trt_detector.pipeline import Detector

KINDS = ['tensorrt-8.6', 'tensorrt-10.3, cuda_python', 'onnxruntime']


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Path of a model whose output depends on every pixel."""
    return means_model(tmp_path)


@contextmanager
def one_detector(
    kind: str, model: Path, folder: Path, **changes: Any
) -> Iterator[tuple[Any, Detector]]:
    """Open a detector on the double of a GPU; all must be free at the end."""
    with device(kind) as (cuda, backend):
        with create_detector(config(model, folder, backend=backend, **changes)) as detector:
            yield cuda, detector
        gc.collect()
        cuda.assert_clean()


@pytest.mark.parametrize('mapped_memory', ['off', 'on'])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
    ('encoding', 'size', 'padding'),
    [
        ('bgr8', (640, 480), 0), ('bgra8', (200, 150), 8), ('rgb8', (320, 331), 1),
        ('mono8', (90, 70), 3), ('nv12', (640, 480), 0), ('yuv422', (1280, 720), 0),
    ],
)  # fmt: skip
def test_the_device_reads_the_memory_of_the_message(
    kind: str, mapped_memory: str, encoding: str, size: tuple[int, int], padding: int,
    model: Path, tmp_path: Path,
) -> None:  # fmt: skip
    images = [make_image(encoding, *size, padding, seed=seed) for seed in range(4)]
    expected = on_cpu(model, tmp_path, images)
    with one_detector(kind, model, tmp_path, mapped_memory=mapped_memory) as (cuda, detector):
        memory = make_memory(images[0])
        before = len(cuda.host_blocks)
        found = [detector.detect([arrive(image, memory)]).detections[0] for image in images]
        # The memory is locked once; mapped or not, no image needs page-locked memory of a slot.
        most = 1 if mapped_memory == 'on' else 1 + detector.depth
        assert 1 <= len(cuda.host_blocks) - before <= most
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize('kind', KINDS)
def test_an_image_that_is_converted_first_needs_no_lock(
    kind: str, model: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(1).integers(0, 2**16, (48, 64), np.uint16)
    image = Image.from_array(pixels, 'mono16')
    (expected,) = on_cpu(model, tmp_path, [image])
    with one_detector(kind, model, tmp_path) as (_, detector):
        (found,) = detector.detect([arrive(image, make_memory(image))]).detections
    assert_same(found, expected)


@pytest.mark.parametrize('kind', KINDS)
def test_the_image_is_kept_until_the_device_has_read_it(
    kind: str, model: Path, tmp_path: Path
) -> None:
    image = make_image('bgr8', 640, 480, seed=3)
    (expected,) = on_cpu(model, tmp_path, [image])
    with one_detector(kind, model, tmp_path) as (_, detector):
        memory = make_memory(image)
        arrived = arrive(replace(image, data=np.zeros_like(image.data)), memory)
        pending = detector.submit([arrived])
        reference = weakref.ref(arrived.data)
        # The copy reads it only when it runs.
        arrived.data[:] = image.data
        del arrived
        gc.collect()
        assert reference() is not None
        found = detector.collect(pending).detections[0]
        del pending
        gc.collect()
        assert reference() is None
    assert_same(found, expected)


@pytest.mark.parametrize('kind', KINDS)
def test_memory_that_cannot_be_locked_is_copied(kind: str, model: Path, tmp_path: Path) -> None:
    image = make_image('bgr8', 640, 480, seed=3)
    (expected,) = on_cpu(model, tmp_path, [image])
    with one_detector(kind, model, tmp_path) as (cuda, detector):
        cuda.registration_limit_bytes = 1000
        memory = make_memory(image)
        pending = detector.submit([arrive(image, memory)])
        np.frombuffer(memory.map, np.uint8)[:] = 0
        found = detector.collect(pending).detections[0]
    assert_same(found, expected)


@pytest.mark.parametrize('kind', KINDS)
def test_memory_is_unlocked_once_no_image_comes_there(
    kind: str, model: Path, tmp_path: Path
) -> None:
    image = make_image('bgr8', 64, 48, seed=3)
    with one_detector(kind, model, tmp_path) as (_, detector):
        references = []
        for _ in range(5):
            memory = make_memory(image)
            detector.detect([arrive(image, memory)])
            memory.retired = True
            references.append(weakref.ref(memory))
            del memory
        gc.collect()
        assert [reference() is None for reference in references] == [True] * 4 + [False]


@pytest.mark.parametrize('mapped_memory', ['off', 'on'])
@pytest.mark.parametrize('kind', KINDS)
def test_detectors_share_images_in_locked_memory(
    kind: str, mapped_memory: str, model: Path, tmp_path: Path
) -> None:
    images = [make_image('bgr8', 640, 480, seed=seed) for seed in range(6)]
    expected = on_cpu(model, tmp_path, images)
    memory = make_memory(images[0])
    with device(kind) as (cuda, backend):
        with ExitStack() as undo:
            parameters = config(model, tmp_path, backend=backend, mapped_memory=mapped_memory)
            first, second = (undo.enter_context(create_detector(parameters)) for _ in range(2))
            for image, wanted in zip(images, expected, strict=True):
                shared = replace(arrive(image, memory), shared=SharedValues())
                pending = first.submit([shared]), second.submit([shared])
                reference = weakref.ref(shared.data)
                del shared
                for detector, handle in zip((first, second), pending, strict=True):
                    assert_same(detector.collect(handle).detections[0], wanted)
                del pending, handle
                gc.collect()
                assert reference() is None
        gc.collect()
        cuda.assert_clean()


@pytest.mark.gpu
@pytest.mark.parametrize('mapped_memory', ['off', 'on'])
@pytest.mark.parametrize('size', [(640, 480), (320, 331), (90, 70), (1920, 1080), (3840, 2160)])
def test_gpu_reads_the_memory_of_the_message(
    mapped_memory: str, size: tuple[int, int], model: Path, tmp_path: Path
) -> None:
    require_cuda_provider()
    images = [make_image('bgr8', *size, 4, seed=seed) for seed in range(3)]
    parameters = config(model, tmp_path, backend='onnxruntime', mapped_memory=mapped_memory)
    with create_detector(parameters) as detector:
        memory = make_memory(images[0])
        for image in images:
            expected = detector.detect([image]).detections[0]
            found = detector.detect([arrive(image, memory)]).detections[0]
            assert len(found)
            np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
            np.testing.assert_array_equal(found.scores, expected.scores)
