# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detection on the device: the same results as on the CPU, several batches in flight."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
import gc
from pathlib import Path
import threading
from unittest import mock

import cv2
from doubles.machine import GPU, machine
from doubles.onnxruntime_double import cuda_provider
import numpy as np
import pytest
from support import device_memory, networks
from support.detectors import (
    assert_same,
    collect_all,
    config,
    device,
    on_cpu,
    pictures,
    require_cuda_provider,
)
from support.images import make_image
from support.models import lamp_detector
from trt_detector.errors import BackendUnavailableError, EngineError
from trt_detector.factory import create_detector
from trt_detector.gpu import device_preprocessor
from trt_detector.gpu.device_preprocessor import DevicePreprocessor
from trt_detector.gpu.kernels.source import KernelSource
from trt_detector.gpu.uploads import image_upload
from trt_detector.gpu.uploads.image_upload import rows_read
from trt_detector.image.compressed import open_compressed
from trt_detector.image.image import Image
from trt_detector.image.shared_values import SharedValues
from trt_detector.pipeline import Detector
from trt_detector.values.detections import Detections
from trt_detector.values.engine_info import CudaGraphUse
from trt_detector.values.recent_peak import RecentPeak


def test_detections_equal_those_of_the_cpu(kind: str, model: Path, tmp_path: Path) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with device(kind) as (cuda, backend):
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            assert isinstance(detector._runner.preprocessor, DevicePreprocessor)
            alone = [detector.detect([image]).detections[0] for image in images]
            together = [
                found
                for first in range(0, len(images), 3)
                for found in detector.detect(images[first : first + 3]).detections
            ]
        gc.collect()
        cuda.assert_clean()
    for found, batched, wanted in zip(alone, together, expected, strict=True):
        assert_same(found, wanted)
        assert_same(batched, wanted)


def jpegs() -> list[Image]:
    """Return JPEG images of several encodings that are decoded at 1, 1/2, 1/4 and 1/8."""
    kinds = [
        ('bgr8; jpeg compressed bgr8', 3, (521, 391)),
        ('rgb8; jpeg compressed rgb8', 3, (258, 130)),
        ('mono8; jpeg compressed ', 1, (305, 200)),
        ('bayer_rggb8; jpeg compressed ', 1, (512, 384)),
        ('jpeg', 3, (100, 90)),
    ]
    images = []
    for seed, (kind, channels, (width, height)) in enumerate(kinds):
        pixels = make_image('bgr8', width, height, seed=seed).to_bgr()
        smooth = cv2.blur(pixels, (9, 9))[..., :channels]
        images.append(open_compressed(cv2.imencode('.jpg', smooth)[1], kind))
    return images


@pytest.mark.parametrize('shared', [False, True])
def test_detections_in_jpegs_equal_those_of_the_cpu(
    kind: str, shared: bool, model: Path, tmp_path: Path
) -> None:
    expected = on_cpu(model, tmp_path, jpegs())
    images = jpegs()
    if shared:
        images = [replace(image, shared=SharedValues()) for image in images]
    with device(kind) as (cuda, backend):
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            places = [detector.submit([image]) for image in images[:3]]
            assert [place.letterboxes[0].reduction for place in places] == [8, 4, 4]
            found = [detector.collect(place).detections[0] for place in places]
            found += detector.detect(images[3:]).detections
        del images, places
        gc.collect()
        cuda.assert_clean()
    for one, wanted in zip(found, expected, strict=True):
        assert_same(one, wanted)


def test_batches_in_flight_do_not_disturb_each_other(
    kind: str, model: Path, tmp_path: Path
) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with device(kind) as (cuda, backend):
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            assert detector.depth == 3
            found, waiting = [], [detector.submit([image]) for image in images[:2]]
            for image in images[2:]:
                detector.wait(waiting[0])
                waiting.append(detector.submit([image]))
                with pytest.raises(EngineError, match='3 batches are in flight'):
                    detector.submit([image])
                found.append(detector.collect(waiting.pop(0)).detections[0])
            found += [detector.collect(pending).detections[0] for pending in waiting]
        gc.collect()
        cuda.assert_clean()
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def test_collect_waits_for_its_batch_only(model: Path, tmp_path: Path) -> None:
    with (
        device('onnxruntime') as (cuda, backend),
        create_detector(config(model, tmp_path, backend=backend)) as detector,
    ):
        first = detector.submit([make_image('bgr8', 100, 80)])
        second = detector.submit([make_image('bgr8', 80, 100)])
        queued = sum(len(record.queue) for record in cuda.streams.values())
        assert queued > 0, 'submit() waited'
        detector.collect(first)
        left = sum(len(record.queue) for record in cuda.streams.values())
        assert 0 < left < queued, 'the second batch ran before it was collected'
        detector.collect(second)
        assert not any(record.queue for record in cuda.streams.values())


def test_image_is_not_used_after_submit(kind: str, model: Path, tmp_path: Path) -> None:
    images = [make_image('bgr8', 60, 50), make_image('bgr8', 300, 400)]
    expected = on_cpu(model, tmp_path, images)
    with (
        device(kind) as (_, backend),
        create_detector(config(model, tmp_path, backend=backend)) as detector,
    ):
        pending = detector.submit(images)
        for image in images:
            image.data[:] = 255
        found = detector.collect(pending).detections
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def test_buffers_grow_once(kind: str, model: Path, tmp_path: Path) -> None:
    images = [make_image('bgr8', 300, 200), make_image('bgr8', 30, 20)]
    with (
        device(kind) as (cuda, backend),
        create_detector(config(model, tmp_path, backend=backend)) as detector,
    ):
        for image in images * detector.depth:
            detector.detect([image])
        taken = cuda.allocations
        for image in images * 2:
            detector.detect([image])
        assert cuda.allocations == taken


@pytest.mark.parametrize(
    ('integrated', 'setting', 'mapped', 'reason'),
    [
        (1, 'auto', True, 'mapped_memory is auto and Double 0 shares the system memory'),
        (0, 'auto', False, 'mapped_memory is auto and Double 0 has its own memory'),
        (1, 'off', False, 'mapped_memory is off'),
        (0, 'on', True, 'mapped_memory is on'),
    ],
)
def test_mapped_memory_follows_parameter_and_device(
    kind: str, integrated: int, setting: str, mapped: bool, reason: str,
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level('INFO')
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    with device(kind, gpus=[{**GPU, 'integrated': integrated}]) as (cuda, backend):
        values = config(model, tmp_path, backend=backend, mapped_memory=setting)
        with create_detector(values) as detector:
            detector.detect(images[:1])
            allocations, copies = cuda.allocations, cuda.copies
            found = [detector.detect([image]).detections[0] for image in images]
            # A larger image needs more page-locked memory, and device memory unless it is mapped.
            assert (cuda.allocations == allocations) is mapped
            assert cuda.copies - copies == (0 if mapped else 2 * len(images))
        gc.collect()
        cuda.assert_clean()
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert reason in caplog.text


@pytest.mark.parametrize('cuda_graph', [True, False])
def test_slot_is_usable_after_a_failed_batch(
    cuda_graph: bool, model: Path, tmp_path: Path
) -> None:
    image = make_image('bgr8', 90, 70)
    (expected,) = on_cpu(model, tmp_path, [image])
    with machine('tensorrt-10.3') as world:
        values = config(model, tmp_path, backend='tensorrt', cuda_graph=cuda_graph)
        with create_detector(values) as detector:
            world.fail_run, world.cuda.fail_launch = 'a fault', 700
            reason = 'cuGraphLaunch failed: an illegal memory' if cuda_graph else 'a fault'
            for _ in range(2 * detector.depth):
                with pytest.raises(EngineError, match=reason):
                    detector.detect([image])
            world.fail_run, world.cuda.fail_launch = '', 0
            assert_same(detector.detect([image]).detections[0], expected)
        gc.collect()
        world.cuda.assert_clean()


def test_out_of_memory_frees_all_allocations(kind: str, model: Path, tmp_path: Path) -> None:
    with device(kind) as (cuda, backend):
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            detector.detect([make_image('bgr8', 90, 70)])
        gc.collect()
        cuda.limit_bytes = 200_000
        with pytest.raises(EngineError, match='of device memory for'):
            create_detector(config(model, tmp_path, backend=backend))
        gc.collect()
        cuda.assert_clean()


def test_cpu_preprocesses_if_the_kernel_does_not_load(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KernelSource, 'compile', lambda *_: b'.entry letterbox also refused')
    image = make_image('bgr8', 90, 70)
    (expected,) = on_cpu(model, tmp_path, [image])
    with machine('tensorrt-10.3') as world:
        world.cuda.refuses_ptx = True
        with create_detector(config(model, tmp_path, backend='tensorrt')) as detector:
            assert detector.depth == 1
            assert_same(detector.detect([image]).detections[0], expected)
        gc.collect()
        world.cuda.assert_clean()
    reason = 'the driver refuses the shipped PTX of letterbox.cu'
    assert f'images are preprocessed on the CPU: {reason}' in caplog.text


def test_onnxruntime_without_cuda_libraries_is_unavailable(model: Path, tmp_path: Path) -> None:
    with machine(None) as world, cuda_provider(world.cuda, loads=False):
        with pytest.raises(BackendUnavailableError, match='could not load its CUDA provider'):
            create_detector(config(model, tmp_path, backend='onnxruntime'))
        gc.collect()
        world.cuda.assert_clean()


def test_network_with_data_dependent_rows_is_preprocessed_on_the_cpu(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    with machine(None) as world, cuda_provider(world.cuda):
        with create_detector(config(path, tmp_path, backend='onnxruntime')) as detector:
            assert detector.depth == 3
        counting = networks.counting(tmp_path / 'counting.onnx', size=64)
        from trt_detector.gpu.onnxruntime_cuda import CudaOnnxRuntimeEngine
        from trt_detector.preprocess import PreprocessSpec

        with CudaOnnxRuntimeEngine(counting.read_bytes(), 1, counts_rows=True) as engine:
            assert device_preprocessor.preprocess_on_device(PreprocessSpec(), engine) is None
        gc.collect()
        world.cuda.assert_clean()


def test_two_detectors_in_two_threads(kind: str, model: Path, tmp_path: Path) -> None:
    images = pictures()
    expected = on_cpu(model, tmp_path, images)
    found: dict[int, list[Detections]] = {}

    def work(number: int, backend: str) -> None:
        with create_detector(config(model, tmp_path, backend=backend)) as detector:
            found[number] = [detector.detect([image]).detections[0] for image in images]
        gc.collect()

    with device(kind) as (cuda, backend):
        threads = [threading.Thread(target=work, args=(i, backend)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cuda.assert_clean()
    for number in range(2):
        for one, other in zip(found[number], expected, strict=True):
            assert_same(one, other)


def test_copy_threads_end_with_the_detector(model: Path, tmp_path: Path) -> None:
    images = pictures()[:3]
    before = set(threading.enumerate())
    with device('onnxruntime') as (_, backend):
        values = config(model, tmp_path, backend=backend, warmup_iterations=0)
        with create_detector(values) as detector:
            detector.detect(images[:1])
            assert set(threading.enumerate()) == before, 'one image is copied without a thread'
            detector.detect(images)
            assert len(threading.enumerate()) > len(before)
        assert set(threading.enumerate()) == before


def test_failed_warm_up_frees_all_memory(kind: str, model: Path, tmp_path: Path) -> None:
    with device(kind) as (cuda, backend):
        with (
            mock.patch.object(Detector, 'warm_up', side_effect=EngineError('a fault')),
            pytest.raises(EngineError, match='a fault'),
        ):
            create_detector(config(model, tmp_path, backend=backend))
        gc.collect()
        cuda.assert_clean()


@pytest.mark.parametrize(('provider', 'there'), [('auto', True), ('auto', False), ('cpu', True)])
def test_cuda_provider_is_chosen_if_available(
    provider: str, there: bool, model: Path, tmp_path: Path
) -> None:
    with machine(None) as world, cuda_provider(world.cuda, loads=there):
        values = config(model, tmp_path, backend='onnxruntime', onnxruntime_provider=provider)
        with create_detector(values) as detector:
            details = detector.info.report()
            assert (details.get('provider') == 'CUDA') == (there and provider == 'auto')
            warned = any('on the CPU, not on the GPU' in text for text in detector.info.warnings)
            assert warned == (not there)
        gc.collect()
        world.cuda.assert_clean()


@pytest.mark.parametrize(('source', 'resized'), [(480, 360), (2160, 360), (7, 3), (4, 9), (1, 1)])
def test_rows_read_are_the_neighbors_of_the_centers(source: int, resized: int) -> None:
    rows = rows_read(source, resized).reshape(resized, 2)
    centers = (np.arange(resized) + 0.5) * source / resized - 0.5
    low = np.clip(np.floor(centers + 1e-9), 0, source - 1)
    np.testing.assert_array_equal(rows[:, 0], low)
    np.testing.assert_array_equal(rows[:, 1], np.clip(np.floor(centers + 1e-9) + 1, 0, source - 1))


@pytest.mark.gpu
def test_onnxruntime_on_a_gpu(model: Path, tmp_path: Path) -> None:
    require_cuda_provider()
    images = pictures() * 4
    expected = on_cpu(model, tmp_path, images)
    with create_detector(config(model, tmp_path, backend='onnxruntime')) as detector:
        details = detector.info.report()
        assert details.get('provider') == 'CUDA', detector.info
        assert detector.info.cuda_graph == CudaGraphUse(used=True), detector.info
        assert isinstance(detector._runner.preprocessor, DevicePreprocessor)
        found = collect_all(detector, images)
        batched = detector.detect(images[:3]).detections
    for one, other in zip([*found, *batched], [*expected, *expected[:3]], strict=True):
        assert_same(one, other)


@pytest.mark.gpu
def test_onnxruntime_is_reopened_on_a_gpu(model: Path, tmp_path: Path) -> None:
    require_cuda_provider()
    images = pictures()[:3]
    expected = on_cpu(model, tmp_path, images)
    for cuda_graph in (True, False) * 4:
        values = config(model, tmp_path, backend='onnxruntime', cuda_graph=cuda_graph)
        with create_detector(values) as detector:
            found = detector.detect(images).detections
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)


@pytest.mark.gpu
def test_two_gpus_in_one_process(model: Path, tmp_path: Path) -> None:
    require_cuda_provider()
    if device_memory.count_devices() < 2:
        pytest.skip('one GPU: this needs two in one machine')
    images = pictures()[:3]
    expected = on_cpu(model, tmp_path, images)
    found: dict[int, list[Detections]] = {}

    def work(number: int) -> None:
        values = config(model, tmp_path, backend='onnxruntime', device_id=number)
        with create_detector(values) as detector:
            assert detector.info.cuda_graph == CudaGraphUse(used=True)
            for _ in range(20):
                found[number] = list(detector.detect(images).detections)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Both in one thread, closed in reverse order.
    with (
        create_detector(config(model, tmp_path, backend='onnxruntime', device_id=1)),
        create_detector(config(model, tmp_path, backend='onnxruntime', device_id=0)) as inner,
    ):
        found[2] = list(inner.detect(images).detections)
    for number in range(3):
        for one, other in zip(found[number], expected, strict=True):
            assert_same(one, other)


def test_memory_of_large_images_is_freed_after_a_while_of_smaller_ones(
    kind: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_upload, 'RecentPeak', partial(RecentPeak, window=8))
    small, large = make_image('bgr8', 80, 60), make_image('bgr8', 800, 600)
    with (
        device(kind) as (cuda, backend),
        create_detector(config(model, tmp_path, backend=backend)) as detector,
    ):
        for _ in range(8):
            detector.detect([small])
        taken = cuda.taken_bytes
        detector.detect([large])
        # Only the rows that the resize reads are copied.
        assert cuda.taken_bytes > taken
        expected = detector.detect([small]).detections[0]
        for _ in range(40):
            assert_same(detector.detect([small]).detections[0], expected)
        assert cuda.taken_bytes == taken
