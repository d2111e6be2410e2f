# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detection in tiles on doubles of a GPU machine, and on a GPU: as on the CPU, from one upload."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from doubles.machine import machine_with_real_cuda
import numpy as np
import pytest
from support.detectors import config, device, means_model, pictures, require_cuda_provider
from support.images import arrive, make_image, make_memory
from support.requirements import require_cuda
from trt_detector.factory import create_detector
from trt_detector.gpu.device_preprocessor import DevicePreprocessor
from trt_detector.gpu.kernels.letterbox import KERNEL_ENCODINGS
from trt_detector.gpu.uploads.image_upload import ImageUpload
from trt_detector.image.image import Image
from trt_detector.pipeline.tiled_detector import TiledDetector
from trt_detector.values.detections import Detections

TILES = {'tiling': '3x2', 'tile_overlap': 0.2, 'iou_threshold': 0.9}
# The images are small: the tiles are larger than the input, and smaller.
IMAGES = [*pictures(), make_image('nv21', 402, 398, 6), make_image('bgr8', 37, 51)]


def _on_cpu(path: Path, folder: Path, images: list[Image], **values: Any) -> list[Detections]:
    """Return what the CPU finds in the tiles of each image."""
    parameters = config(
        path, folder, backend='onnxruntime', onnxruntime_provider='cpu', **TILES, **values
    )
    with create_detector(parameters) as detector:
        assert isinstance(detector, TiledDetector)
        assert not isinstance(detector._runner.preprocessor, DevicePreprocessor)
        return [detector.detect([image]).detections[0] for image in images]


def _assert_near(found: Detections, expected: Detections, tolerance: float = 3.0) -> None:
    """
    Compare boxes in any order: one gray level can change the order of scores.

    :param tolerance: in pixels of the image.
    """
    assert len(expected) > 8
    assert len(found) == len(expected)
    left = list(range(len(found)))
    for box, score in zip(expected.boxes_xyxy, expected.scores, strict=True):
        off = np.abs(found.boxes_xyxy[left] - box).max(axis=1)
        off += 10 * np.abs(found.scores[left] - score)
        nearest = int(off.argmin())
        assert off[nearest] < tolerance
        left.pop(nearest)


@pytest.mark.parametrize('batch_size', [1, 3, 7])
def test_tiles_give_on_the_device_what_they_give_on_the_cpu(
    kind: str, batch_size: int, tmp_path: Path
) -> None:
    model = means_model(tmp_path)
    expected = _on_cpu(model, tmp_path, IMAGES)
    with device(kind) as (cuda, backend):
        values = config(model, tmp_path, backend=backend, **TILES | {'batch_size': batch_size})
        with create_detector(values) as detector:
            assert isinstance(detector._runner.preprocessor, DevicePreprocessor)
            found = [detector.detect([image]).detections[0] for image in IMAGES]
        gc.collect()
        cuda.assert_clean()
    for one, wanted in zip(found, expected, strict=True):
        _assert_near(one, wanted)


@pytest.mark.parametrize('encoding', sorted(KERNEL_ENCODINGS))
def test_a_tile_is_preprocessed_as_an_image_of_its_own(encoding: str, tmp_path: Path) -> None:
    # The same parts, cut out by hand and detected in without tiles.
    model = means_model(tmp_path)
    image = make_image(encoding, 300, 210, 5)
    with (
        device('tensorrt-10.13') as (_, backend),
        create_detector(config(model, tmp_path, backend=backend, batch_size=7)) as plain,
        create_detector(
            config(model, tmp_path, backend=backend, **TILES | {'batch_size': 7})
        ) as tiled,
    ):
        height, width = tiled.input_size
        boxes = tiled._grid.find_parts((image.width, image.height), (width, height))
        slot = plain._runner.slots.acquire()
        tiled_slot = tiled._runner.slots.acquire()
        by_hand = [
            plain._runner.preprocessor(image.crop(box), target)
            for box, target in zip(boxes, slot.targets(len(boxes)), strict=True)
        ]
        slot.start(len(boxes), 0.0)
        expected = [output.copy() for output in slot.finish()]
        targets = tiled_slot.targets(len(boxes))
        fitted = tiled._runner.preprocessor.fill_parts(image, boxes, targets)
        tiled_slot.start(len(boxes), 0.0)
        found = tiled_slot.finish()
        assert list(fitted) == by_hand
        for one, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, wanted, atol=1e-5)
        plain._runner.slots.release(slot)
        tiled._runner.slots.release(tiled_slot)


@pytest.mark.parametrize(('batch_size', 'uploads'), [(7, 1), (14, 1), (4, 2)])
def test_a_run_uploads_an_image_once(
    batch_size: int, uploads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = means_model(tmp_path)
    begin, begun = ImageUpload.begin, []

    def note(self: ImageUpload, image: Image, letterbox: Any) -> Any:
        begun.append((image.width, image.height))
        return begin(self, image, letterbox)

    with (
        device('onnxruntime') as (_, backend),
        create_detector(
            config(model, tmp_path, backend=backend, **TILES | {'batch_size': batch_size})
        ) as detector,
    ):
        monkeypatch.setattr(ImageUpload, 'begin', note)
        detector.detect([make_image('bgr8', 400, 300)])
    assert begun == [(400, 300)] * uploads


def test_image_in_memory_of_a_message_is_copied_by_the_device(tmp_path: Path) -> None:
    model = means_model(tmp_path)
    image = make_image('bgr8', 400, 300, 4)
    (expected,) = _on_cpu(model, tmp_path, [image])
    with device('onnxruntime') as (_, backend):
        values = config(model, tmp_path, backend=backend, **TILES | {'batch_size': 7})
        with create_detector(values) as detector:
            (found,) = detector.detect([arrive(image, make_memory(image))]).detections
    _assert_near(found, expected)


def test_frames_follow_each_other_if_one_run_holds_an_image(tmp_path: Path) -> None:
    model = means_model(tmp_path)
    images = [make_image('bgr8', 300, 200, seed=n) for n in range(5)]
    expected = _on_cpu(model, tmp_path, images)
    with (
        device('tensorrt-10.13') as (_, backend),
        create_detector(
            config(model, tmp_path, backend=backend, **TILES | {'batch_size': 7})
        ) as detector,
    ):
        assert detector.depth == 3
        waiting = [detector.submit([image]) for image in images[:3]]
        found = []
        for image in images[3:]:
            found.append(detector.collect(waiting.pop(0)))
            waiting.append(detector.submit([image]))
        found += [detector.collect(pending) for pending in waiting]
    for result, wanted in zip(found, expected, strict=True):
        _assert_near(result.detections[0], wanted)


def test_the_device_times_all_runs(tmp_path: Path) -> None:
    model = means_model(tmp_path)
    with (
        device('onnxruntime') as (_, backend),
        create_detector(
            config(model, tmp_path, backend=backend, **TILES | {'batch_size': 3})
        ) as detector,
    ):
        assert detector.time_stages()
        result = detector.detect([make_image('bgr8', 300, 200)])
    assert set(result.device_ms) == {'upload', 'kernel', 'network', 'download'}


@pytest.mark.gpu
@pytest.mark.parametrize('batch_size', [0, 1, 3, 7, 14])
def test_tiles_on_a_gpu_with_onnxruntime(batch_size: int, tmp_path: Path) -> None:
    require_cuda_provider()
    model = means_model(tmp_path)
    expected = _on_cpu(model, tmp_path, IMAGES)
    values = config(model, tmp_path, backend='onnxruntime', **TILES | {'batch_size': batch_size})
    with create_detector(values) as detector:
        assert isinstance(detector._runner.preprocessor, DevicePreprocessor)
        assert detector.run_size in ({1, 7} if not batch_size else {batch_size})
        for _ in range(3):
            for image, wanted in zip(IMAGES, expected, strict=True):
                _assert_near(detector.detect([image]).detections[0], wanted)


@pytest.mark.gpu
def test_large_images_on_a_gpu(tmp_path: Path) -> None:
    require_cuda()
    model = means_model(tmp_path)
    images = [make_image(encoding, 3840, 2160, seed=3) for encoding in ('bgr8', 'nv12', 'yuv422')]
    expected = _on_cpu(model, tmp_path, images)
    with machine_with_real_cuda('tensorrt-10.3'):
        values = config(model, tmp_path, backend='tensorrt', **TILES | {'batch_size': 7})
        with create_detector(values) as detector:
            assert isinstance(detector._runner.preprocessor, DevicePreprocessor)
            for image, wanted in zip(images, expected, strict=True):
                for one in (image, arrive(image, make_memory(image))):
                    (found,) = detector.detect([one]).detections
                    _assert_near(found, wanted, tolerance=60)
