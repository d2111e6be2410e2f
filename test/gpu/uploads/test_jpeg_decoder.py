# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG images that are decoded on the device: the same results as on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import gc
import logging
from pathlib import Path
import sys

import cv2
from doubles.nvimgcodec_double import nvimgcodec
import numpy as np
import pytest
from support.detectors import (
    assert_same,
    config,
    device,
    on_cpu,
    require_cuda_provider,
)
from support.images import make_image
from trt_detector.errors import ImageError
from trt_detector.factory import create_detector
from trt_detector.image.compressed import open_compressed
from trt_detector.image.image import Image
from trt_detector.image.shared_values import SharedValues
from trt_detector.values.detections import Detections


def jpeg(encoding: str, width: int, height: int, seed: int = 0) -> Image:
    """Return a JPEG of smooth noise."""
    pixels = cv2.blur(make_image('bgr8', width, height, seed=seed).to_bgr(), (9, 9))
    gray = encoding in ('mono8', 'bayer_rggb8')
    data = cv2.imencode('.jpg', pixels[..., 0] if gray else pixels)[1]
    order = '' if gray else encoding
    return open_compressed(data, f'{encoding}; jpeg compressed {order}')


def jpegs() -> list[Image]:
    """Return images of every encoding that the device decodes, of small and odd sizes."""
    return [
        jpeg('bgr8', 130, 90),
        jpeg('rgb8', 71, 133),
        jpeg('mono8', 305, 200),
        jpeg('bgr8', 64, 64),
        jpeg('bgr8', 521, 391),
        jpeg('mono8', 33, 97),
    ]


def at_full_size(images: Sequence[Image]) -> list[Image]:
    """Return images that are decoded already, as the device decodes them: in full."""
    return [image.decode() for image in images]


def test_detections_equal_those_in_the_pixels(kind: str, model: Path, tmp_path: Path) -> None:
    images = jpegs()
    expected = on_cpu(model, tmp_path, at_full_size(images))
    with device(kind) as (cuda, backend), nvimgcodec() as codec:
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            found, waiting = [], [detector.submit([image]) for image in images[:2]]
            for image in images[2:]:
                waiting.append(detector.submit([image]))
                found.append(detector.collect(waiting.pop(0)).detections[0])
            found += [detector.collect(pending).detections[0] for pending in waiting]
            assert codec.batches == [1] * len(images)
            found += detector.detect(images[:3]).detections
            # The device decodes images of one kind together.
            assert codec.batches[len(images) :] == [2, 1]
        gc.collect()
        cuda.assert_clean()
    for one, wanted in zip(found, expected + expected[:3], strict=True):
        assert_same(one, wanted)


def detect_in(images: list[Image], model: Path, folder: Path) -> list[Detections]:
    """Detect in a batch of images on the double of a GPU."""
    with device('onnxruntime') as (cuda, backend):
        with create_detector(config(model, folder, backend=backend)) as detector:
            found = list(detector.detect(images).detections)
        gc.collect()
        cuda.assert_clean()
    return found


def test_images_that_the_device_refuses_are_decoded_on_the_cpu(
    model: Path, tmp_path: Path
) -> None:
    images = [jpeg('bgr8', 200, 140, seed) for seed in range(3)]
    expected = on_cpu(model, tmp_path, at_full_size(images))
    with nvimgcodec(refused=2) as codec:
        found = detect_in([jpeg('bgr8', 200, 140, seed) for seed in range(3)], model, tmp_path)
        assert codec.batches == [3]
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one, wanted)


def test_an_image_that_nothing_decodes_is_refused(model: Path, tmp_path: Path) -> None:
    data = bytearray(cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    data[data.index(b'\xff\xdb') + 1] = 0xEF
    good = jpeg('bgr8', 200, 140)
    (expected,) = on_cpu(model, tmp_path, [good])
    with device('onnxruntime') as (cuda, backend), nvimgcodec():
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            for _ in range(4):
                with pytest.raises(ImageError, match='OpenCV cannot decode'):
                    detector.detect([good, open_compressed(data)])
            (found,) = detector.detect([jpeg('bgr8', 200, 140)]).detections
        gc.collect()
        cuda.assert_clean()
    assert_same(found, expected)


def test_images_of_several_detectors_and_bayer_patterns_are_decoded_on_the_cpu(
    model: Path, tmp_path: Path
) -> None:
    images = [
        replace(jpeg('bgr8', 200, 140), shared=SharedValues()),
        jpeg('bayer_rggb8', 200, 140),
        make_image('bgr8', 200, 140),
    ]
    expected = on_cpu(model, tmp_path, images)
    with nvimgcodec() as codec:
        found = detect_in(images, model, tmp_path)
        assert codec.batches == []
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one, wanted)


@pytest.mark.parametrize('installed', [False, True])
def test_without_a_working_decoder_the_cpu_decodes(
    installed: bool,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    images = [jpeg('bgr8', 200, 140), jpeg('mono8', 200, 140)]
    expected = on_cpu(model, tmp_path, images)
    caplog.set_level(logging.INFO)
    with nvimgcodec(fails=True):
        if not installed:
            monkeypatch.setitem(sys.modules, 'nvidia.nvimgcodec', None)
            monkeypatch.delattr(sys.modules['nvidia'], 'nvimgcodec')
        found = detect_in(images, model, tmp_path)
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one, wanted)
    told = [r for r in caplog.records if 'JPEG images are decoded on the CPU' in r.getMessage()]
    assert [r.levelno for r in told] == [logging.WARNING if installed else logging.INFO]


def test_a_decoder_that_breaks_is_not_used_again(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = [jpeg('bgr8', 200, 140), jpeg('mono8', 200, 140)]
    expected = on_cpu(model, tmp_path, at_full_size(images))
    with device('onnxruntime') as (cuda, backend), nvimgcodec(breaks=True) as codec:
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            found = [one for _ in range(3) for one in detector.detect(images).detections]
        gc.collect()
        cuda.assert_clean()
        assert codec.batches == [1]
    for one, wanted in zip(found, expected * 3, strict=True):
        assert_same(one, wanted)
    told = [record for record in caplog.records if 'now decoded on the CPU' in record.getMessage()]
    assert len(told) == 1


@pytest.mark.gpu
@pytest.mark.parametrize('batch', [1, 3])
def test_gpu_decodes(
    batch: int, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require_cuda_provider()
    pytest.importorskip(
        'nvidia.nvimgcodec', reason='no nvImageCodec: pip install nvidia-nvimgcodec-cu13[nvjpeg]'
    )
    images = [jpeg('bgr8', 1920, 1080), *jpegs()] * 5
    expected = on_cpu(model, tmp_path, at_full_size(images))
    caplog.set_level(logging.INFO)
    with create_detector(config(model, tmp_path, backend='onnxruntime')) as detector:
        found, waiting = [], []
        for first in range(0, len(images), batch):
            waiting.append(detector.submit(images[first : first + batch]))
            if len(waiting) == detector.depth:
                found += detector.collect(waiting.pop(0)).detections
        for pending in waiting:
            found += detector.collect(pending).detections
    assert any('decoded on the GPU by nvImageCodec' in r.getMessage() for r in caplog.records)
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one, wanted)


@pytest.mark.gpu
def test_gpu_leaves_damaged_images_to_the_cpu(model: Path, tmp_path: Path) -> None:
    require_cuda_provider()
    pytest.importorskip(
        'nvidia.nvimgcodec', reason='no nvImageCodec: pip install nvidia-nvimgcodec-cu13[nvjpeg]'
    )
    data = bytearray(cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    data[data.index(b'\xff\xdb') + 1] = 0xEF
    good = jpeg('bgr8', 1280, 720)
    (expected,) = on_cpu(model, tmp_path, at_full_size([good]))
    with create_detector(config(model, tmp_path, backend='onnxruntime')) as detector:
        for _ in range(4):
            with pytest.raises(ImageError, match='OpenCV cannot decode'):
                detector.detect([good, open_compressed(data)])
            (found,) = detector.detect([good]).detections
            assert_same(found, expected)
