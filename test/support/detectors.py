# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detectors on doubles of a GPU machine, and what the CPU finds in the same images."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
from typing import Any

from doubles.machine import machine
from doubles.onnxruntime_double import cuda_provider
import numpy as np
from onnx import helper
import onnxruntime
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.gpu.device_preprocessor import DevicePreprocessor
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.values.detections import Detections

from support.images import make_image
from support.models import metadata, save, tensor
from support.requirements import lack

ENCODINGS = ['bgr8', 'rgba8', 'mono8', 'yuv422', 'nv12', 'bayer_rggb8', 'mono16']


def config(path: Path, folder: Path, **changes: Any) -> DetectorConfig:
    """Return parameters that show every candidate."""
    values: dict[str, Any] = {
        'model_path': str(path), 'precision': 'fp32', 'batch_size': 3, 'warmup_iterations': 1,
        'engine_cache_dir': str(folder), 'score_threshold': 0.0, 'input_shape': '64x64',
        'onnxruntime_provider': 'cuda',
    }  # fmt: skip
    return DetectorConfig(**(values | changes))


def means_model(folder: Path) -> Path:
    """Write a model whose eight answers are means of parts of the input: every pixel counts."""
    gain = np.array([6, 6, 6, 6, 0.9, 0], np.float32)
    base = np.array([[8, 8, 40, 40, 0.05, row % 2] for row in range(8)], np.float32)
    nodes = [
        helper.make_node(
            'AveragePool', ['images'], ['m'], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node('Reshape', ['m', 'shape'], ['rows']),
        helper.make_node('Mul', ['rows', 'gain'], ['scaled']),
        helper.make_node('Add', ['scaled', 'base'], ['output0']),
    ]
    return save(
        folder / 'means.onnx',
        nodes,
        inputs={'images': ('batch', 3, 64, 64)},
        outputs={'output0': ('batch', 8, 6)},
        initializers=[
            tensor('shape', np.array([-1, 8, 6])), tensor('gain', gain), tensor('base', base)
        ],
        metadata=metadata(end2end=True),
    )  # fmt: skip


@contextlib.contextmanager
def device(kind: str, **behavior: Any) -> Iterator[tuple[Any, str]]:
    """
    Yield (the state of the double of CUDA, name of the backend) of a kind of machine.

    :param kind: 'onnxruntime' or a personality of TensorRT; ', cuda_python' after it replaces
        pycuda by CUDA Python.
    """
    kind, _, bindings = kind.partition(', ')
    behavior = {'cuda_bindings': bindings or 'pycuda', **behavior}
    if kind == 'onnxruntime':
        with machine(None, **behavior) as world, cuda_provider(world.cuda):
            yield world.cuda, kind
    else:
        with machine(kind, **behavior) as world:
            yield world.cuda, world.record.module


def pictures() -> list[Image]:
    """Return images of several encodings, sizes and strides."""
    images = []
    for i, encoding in enumerate(ENCODINGS):
        width, height = 90 + 40 * i, 200 - 20 * i
        if encoding == 'bayer_rggb8':
            data = make_image('mono8', width, height, seed=i).data
            images.append(Image(data, width, height, encoding, width))
        elif encoding == 'mono16':
            data = make_image('mono8', 2 * width, height, seed=i).data
            images.append(Image(data, width, height, encoding, 2 * width))
        else:
            images.append(make_image(encoding, width, height, i, seed=i))
    return images


def on_cpu(path: Path, folder: Path, images: list[Image]) -> list[Detections]:
    """Return what the CPU finds in each image."""
    values = config(path, folder, backend='onnxruntime', onnxruntime_provider='cpu')
    with create_detector(values) as detector:
        assert not isinstance(detector._runner.preprocessor, DevicePreprocessor)
        return [detector.detect([image]).detections[0] for image in images]


def assert_same(found: Detections, expected: Detections) -> None:
    """Compare within what one gray level can change."""
    assert len(expected)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=2)


def collect_all(detector: Detector, images: list[Image]) -> list[Detections]:
    """Return the detections with as many batches under way as there may be."""
    found, waiting = [], []
    for image in images:
        waiting.append(detector.submit([image]))
        if len(waiting) == detector.depth:
            found.append(detector.collect(waiting.pop(0)).detections[0])
    return found + [detector.collect(pending).detections[0] for pending in waiting]


def require_cuda_provider() -> None:
    """Skip the test where ONNX Runtime has no CUDA provider."""
    if 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
        lack('ONNX Runtime is not built for CUDA: pip install onnxruntime-gpu')
