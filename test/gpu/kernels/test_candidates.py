# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The candidate filter gives the same detections as the whole output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import functools
import gc
from pathlib import Path
from typing import Any

from doubles.machine import machine_with_real_cuda
import numpy as np
import onnx
from onnx import helper, TensorProto
import onnxruntime
import pytest
from support.detectors import config, device
from support.models import metadata, tensor
from support.requirements import lack, require_cuda
from trt_detector.decode import CandidateHead
from trt_detector.decode.sanity import _LIVE_PROBES
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.values.detections import Detections

SIZE, ANCHORS, CLASSES = 320, 2100, 12
# Head: values before the class scores, and whether a prediction's values are contiguous.
HEADS = {
    'yolo': (4, False), 'yolo_transposed': (4, True), 'yolo_objectness': (5, True),
    'yolox': (5, True), 'yolox_decoded': (5, True),
}  # fmt: skip
TYPES = {'float32': TensorProto.FLOAT, 'float16': TensorProto.FLOAT16}


def raw_detector(path: Path, head: str, dtype: str, extra: int = 0) -> Path:
    """Write a model whose raw output is noise plus the brightness of the image."""
    before, values_last = HEADS[head]
    values = before + CLASSES + extra
    random = np.random.default_rng(7)
    base = np.empty((1, values, ANCHORS), np.float32)
    if head == 'yolox':
        base[:, :4] = random.normal(0, 0.7, (1, 4, ANCHORS))
    else:
        base[:, :2] = random.uniform(0, SIZE, (1, 2, ANCHORS))
        base[:, 2:4] = random.uniform(5, 90, (1, 2, ANCHORS))
    # Few predictions score above 0.25, as with a real network.
    base[:, 4:] = random.beta(0.3, 12, (1, values - 4, ANCHORS))
    base[:, 4:5] *= 1 if before == 4 else 3
    gain = np.zeros_like(base)
    # Between 0 and 1 at any brightness, as the scores of a network are.
    base[:, 4:] = base[:, 4:].clip(0, 1)
    change = random.uniform(-0.2, 0.2, (1, values - 4, ANCHORS))
    gain[:, 4:] = (base[:, 4:] + change).clip(0, 1) - base[:, 4:]
    if head.startswith('yolox'):
        gain /= 255  # its images are not scaled to 0 to 1
    base[0, 4, 100], base[0, 2, 101], base[0, before, 102] = np.nan, np.inf, np.nan
    base[0, 4:, 101] = 0.9
    if values_last:
        base, gain = base.transpose(0, 2, 1), gain.transpose(0, 2, 1)
    nodes = [
        helper.make_node('ReduceMean', ['images'], ['mean'], axes=[1, 2, 3], keepdims=1),
        helper.make_node('Reshape', ['mean', 'shape'], ['level']),
        helper.make_node('Mul', ['level', 'gain'], ['change']),
        helper.make_node('Add', ['base', 'change'], ['sum']),
        helper.make_node('Cast', ['sum'], ['output0'], to=TYPES[dtype]),
    ]
    outputs = [helper.make_tensor_value_info('output0', TYPES[dtype], ('batch', *base.shape[1:]))]
    if extra:
        nodes.append(helper.make_node('Mul', ['mean', 'masks'], ['output1']))
        masks = ('batch', extra, 80, 80)
        outputs.append(helper.make_tensor_value_info('output1', TensorProto.FLOAT, masks))
    graph = helper.make_graph(
        nodes,
        'raw',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, ('batch', 3, SIZE, SIZE))],
        outputs,
        initializer=[
            tensor('shape', np.array([-1, 1, 1])), tensor('base', np.ascontiguousarray(base)),
            tensor('gain', np.ascontiguousarray(gain)),
            tensor('masks', np.ones((1, extra, 80, 80), np.float32)),
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    names = {i: f'class{i}' for i in range(CLASSES)}
    values_of = metadata(end2end=False, names=names, size=SIZE)
    if extra:
        values_of['task'] = 'segment'
    helper.set_model_props(model, values_of)
    onnx.save(model, path)
    return path


def images() -> list[Image]:
    """Return uniform images of the input size, whose preprocessing is exact everywhere."""
    return [
        Image.from_array(np.full((SIZE, SIZE, 3), level, np.uint8)) for level in (0, 90, 255, 30)
    ]


def detect_all(detector: Detector) -> list[Detections]:
    """Detect in single images and batches, with several score thresholds."""
    # The first live batches are decoded in full, to check the values.
    for _ in range(_LIVE_PROBES):
        detector.detect(images()[:1])
    found: list[Detections] = []
    for score in (0.3, 0.97, 0.0, 0.25):
        detector.options = replace(detector.options, score_threshold=score, max_detections=5000)
        found += detector.detect(images()[:1]).detections
        found += detector.detect(images()[1:]).detections
    return found


Expected = Callable[[str, str], tuple[Path, list[Detections]]]


@pytest.fixture(scope='module')
def expected_of(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """Return a function that makes the model of a head once, and detects with it on the CPU."""

    @functools.cache
    def make(head: str, dtype: str) -> tuple[Path, list[Detections]]:
        folder = tmp_path_factory.mktemp('raw')
        path = raw_detector(folder / 'raw.onnx', head, dtype)
        return path, on_cpu(path, folder, head)

    return make


def on_cpu(path: Path, folder: Path, head: str) -> list[Detections]:
    """Detect on the CPU from the whole outputs."""
    values = config(
        path, folder, backend='onnxruntime', onnxruntime_provider='cpu', head=head,
        input_shape='auto',
    )  # fmt: skip
    with create_detector(values) as detector:
        assert isinstance(detector.head, CandidateHead)
        assert detector._runner.slots[0].get_candidates() is None
        return detect_all(detector)


def assert_equal(found: list[Detections], expected: list[Detections]) -> None:
    """Compare bit by bit."""
    assert sum(map(len, expected)) > 20
    assert sum(entry.invalid for entry in expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.class_ids, other.class_ids)
        assert one.invalid == other.invalid


def open_config(path: Path, folder: Path, backend: str, head: str) -> Any:
    """Return the parameters for a backend."""
    return config(path, folder, backend=backend, head=head, input_shape='auto')


@pytest.mark.parametrize('mapped_memory', ['on', 'off'])
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('kind', ['tensorrt-10.3, cuda_python', 'onnxruntime'])
def test_every_raw_head_decodes_its_candidates(
    kind: str, head: str, dtype: str, mapped_memory: str, tmp_path: Path, expected_of: Expected
) -> None:
    path, expected = expected_of(head, dtype)
    with device(kind) as (cuda, backend):
        values = open_config(path, tmp_path, backend, head)
        values = values.with_changes(mapped_memory=mapped_memory)
        with create_detector(values) as detector:
            assert detector._runner.slots[0].get_candidates() is not None
            found = detect_all(detector)
        gc.collect()
        cuda.assert_clean()
    assert_equal(found, expected)


def test_values_after_the_scores_are_not_downloaded(tmp_path: Path) -> None:
    path = raw_detector(tmp_path / 'raw.onnx', 'yolo', 'float32', extra=4)
    expected = on_cpu(path, tmp_path, 'yolo')
    with (
        device('onnxruntime') as (_, backend),
        create_detector(open_config(path, tmp_path, backend, 'yolo')) as detector,
    ):
        found = detect_all(detector)
        candidates = detector._runner.slots[0].get_candidates()
        assert candidates is not None
        assert {entry.values.shape[1] for entry in candidates} == {4 + CLASSES}
    assert_equal(found, expected)


def test_small_outputs_are_not_filtered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = raw_detector(tmp_path / 'raw.onnx', 'yolo', 'float32')
    expected = on_cpu(path, tmp_path, 'yolo')
    limit = ANCHORS * (4 + CLASSES) * 4 + 1
    monkeypatch.setattr('trt_detector.gpu.kernels.candidates._MIN_BYTES', limit)
    with (
        device('onnxruntime') as (_, backend),
        create_detector(open_config(path, tmp_path, backend, 'yolo')) as detector,
    ):
        assert detector._runner.slots[0].get_candidates() is None
        found = detect_all(detector)
    assert_equal(found, expected)


def test_two_batches_in_flight_keep_their_candidates(tmp_path: Path) -> None:
    path = raw_detector(tmp_path / 'raw.onnx', 'yolo', 'float32')
    with device('onnxruntime') as (_, backend):
        values = open_config(path, tmp_path, backend, 'yolo').with_changes(score_threshold=0.3)
        with create_detector(values) as detector:
            alone = [detector.detect([image]).detections[0] for image in images()]
            pending = [detector.submit([image]) for image in images()[:2]]
            detector.options = replace(detector.options, score_threshold=0.9)
            found = [detector.collect(entry).detections[0] for entry in pending]
    assert_equal(found, alone[:2])


@pytest.mark.gpu
@pytest.mark.parametrize('mapped_memory', ['on', 'off'])
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('head', HEADS)
def test_candidate_kernels_on_a_gpu_equal_the_host(
    head: str, dtype: str, mapped_memory: str, tmp_path: Path
) -> None:
    path = raw_detector(tmp_path / 'raw.onnx', head, dtype)
    expected = on_cpu(path, tmp_path, head)
    require_cuda()
    with machine_with_real_cuda('tensorrt-10.3'):
        values = open_config(path, tmp_path, 'tensorrt', head)
        values = values.with_changes(mapped_memory=mapped_memory, cuda_graph=False)
        with create_detector(values) as detector:
            assert detector._runner.slots[0].get_candidates() is not None
            found = detect_all(detector)
    assert_equal(found, expected)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('head', HEADS)
def test_every_raw_head_decodes_its_candidates_on_a_gpu(
    head: str, dtype: str, tmp_path: Path
) -> None:
    require_cuda()
    if 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
        lack('ONNX Runtime is not built for CUDA: pip install onnxruntime-gpu')
    path = raw_detector(tmp_path / 'raw.onnx', head, dtype)
    expected = on_cpu(path, tmp_path, head)
    with create_detector(open_config(path, tmp_path, 'onnxruntime', head)) as detector:
        assert detector._runner.slots[0].get_candidates() is not None
        found = detect_all(detector)
    assert sum(map(len, expected)) > 100
    for one, other in zip(found, expected, strict=True):
        # The mean of an image differs in its last bits, and so do the scores.
        assert abs(len(one) - len(other)) <= 2
        assert one.invalid == other.invalid
