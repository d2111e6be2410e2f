# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detections, precision and nodes of the real provider."""

from __future__ import annotations

from pathlib import Path
import threading
import time
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
import onnxruntime
import pytest
from support.heads import build, CASES, IOU, picture, SCORE
from support.int8 import MODEL, PICTURES, settings
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import BuildCancelledError, EngineError, ModelError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.int8_gate.agreement import compare_detections
from trt_detector.openvino import engine
from trt_detector.openvino.provider import PROVIDER
from trt_detector.pipeline import Detector
from trt_detector.values.detections import Detections

FLAGS = frozenset(Path('/proc/cpuinfo').read_text(encoding='ascii').split())
SCENES = sorted(PICTURES.glob('scene_*'))[:6]


def open_model(path: Path, provider: str, **parameters: Any) -> Detector:
    """Open a model with a provider."""
    values = {'score_threshold': SCORE, 'iou_threshold': IOU, 'warmup_iterations': 0}
    return create_detector(
        DetectorConfig(
            model_path=str(path), backend='onnxruntime', onnxruntime_provider=provider,
            **{**values, **parameters},
        )
    )  # fmt: skip


def report(detector: Detector) -> dict[str, str]:
    return detector.info.report()


def assert_same(found: Detections, expected: Detections) -> None:
    """Check that boxes differ by half a pixel at most, and the rest not at all."""
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.5)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)


@pytest.mark.parametrize('name', CASES)
def test_every_layout_gives_the_detections_of_the_cpu_provider(name: str, tmp_path: Path) -> None:
    path = build(name, tmp_path / 'm.onnx')
    images = [Image.from_array(picture(seed, 200, 150)) for seed in (5, 6)]
    size = CASES[name].batch if isinstance(CASES[name].batch, int) else 2
    found = {}
    for provider in ('cpu', 'openvino'):
        with open_model(path, provider, batch_size=size) as detector:
            # A full batch, and a smaller one if the batch is dynamic.
            found[provider] = [
                *detector.detect(images[:size]).detections, *detector.detect(images[:1]).detections
            ]  # fmt: skip
    assert detector.info.precision == 'fp32'
    assert report(detector)['provider'] == 'OpenVINO, computes in fp32'
    assert 'CPU provider' not in report(detector).get('nodes', '')
    for one, other in zip(found['openvino'], found['cpu'], strict=True):
        assert_same(one, other)


@pytest.mark.parametrize('precision', ['auto', 'fp32'])
def test_fp32_is_the_default(precision: str) -> None:
    images = [Image.from_file(path) for path in SCENES]
    found = {}
    for provider in ('cpu', 'openvino'):
        with open_model(MODEL, provider, precision=precision) as detector:
            found[provider] = [detector.detect([image]).detections[0] for image in images]
    assert (detector.info.precision, detector.info.warnings) == ('fp32', ())
    for one, other in zip(found['openvino'], found['cpu'], strict=True):
        assert_same(one, other)


def test_fp16_computes_in_what_the_cpu_has() -> None:
    has_16_bits = FLAGS & {'avx512_bf16', 'amx_bf16', 'avx512_fp16', 'amx_fp16'}
    images = [Image.from_file(path) for path in SCENES]
    found = {}
    for precision in ('fp32', 'fp16'):
        with open_model(MODEL, 'openvino', precision=precision, score_threshold=0.5) as detector:
            found[precision] = [detector.detect([image]).detections[0] for image in images]
    if has_16_bits:
        assert detector.info.precision in ('bf16', 'fp16')
        assert detector.info.warnings == ()
    assert report(detector)['provider'] == f'OpenVINO, computes in {detector.info.precision}'
    pairs = zip(found['fp32'], found['fp16'], strict=True)
    agreements = [compare_detections(*pair, 0.5) for pair in pairs]
    assert sum(a.found for a in agreements) >= 0.95 * sum(a.reference for a in agreements)


@pytest.mark.skipif(
    not FLAGS & {'avx512_vnni', 'avx_vnni'}, reason='no VNNI: run on a CPU that has it'
)
@pytest.mark.parametrize('precision', ['int8', 'auto'])
def test_int8_agrees_with_full_precision(precision: str, demo_cache: Path, tmp_path: Path) -> None:
    for path in SCENES:
        (tmp_path / path.name).symlink_to(path)
    config = settings(
        demo_cache, onnxruntime_provider='openvino', precision=precision,
        # Ten pictures make a rough cache.
        int8_gate_images=str(tmp_path), int8_min_agreement=0.85,
    )  # fmt: skip
    with create_detector(config) as detector:
        assert detector.info.precision == 'int8', detector.info.warnings
        assert report(detector)['provider'] == 'OpenVINO, computes in INT8 and fp32'
        assert 'CPU provider' not in report(detector).get('nodes', '')


@pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, 'get_provider_graph_assignment_info'),
    reason='ONNX Runtime does not tell the nodes: it takes 1.24, so Python 3.11',
)
def test_nodes_that_stay_on_the_cpu_provider_are_reported(tmp_path: Path) -> None:
    path = build('yolo', tmp_path / 'm.onnx')
    model = onnx.load(path)
    (last,) = (node for node in model.graph.node if node.output[0] == 'output0')
    # OpenVINO takes no product of 64-bit floats.
    rows = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    model.graph.initializer.append(numpy_helper.from_array(np.eye(rows), 'one'))
    steps = [('Cast', [last.input[0]], 'wide'), ('MatMul', ['one', 'wide'], 'product')]
    model.graph.node.remove(last)
    for kind, inputs, output in (*steps, ('Cast', ['product'], 'output0')):
        to = {'wide': onnx.TensorProto.DOUBLE, 'output0': onnx.TensorProto.FLOAT}.get(output)
        node = helper.make_node(kind, inputs, [output], **({'to': to} if to else {}))
        model.graph.node.append(node)
    onnx.save(model, path)
    with open_model(path, 'openvino') as detector:
        assert ' by OpenVINO, by the CPU provider 2 Cast, 1 MatMul' in report(detector)['nodes']
        (warning,) = detector.info.warnings
    assert '1 MatMul; compare its speed with onnxruntime_provider cpu' in warning


def test_a_provider_that_does_not_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime logs it, and goes on with its CPU provider."""
    path = lamp_detector(tmp_path / 'lamp.onnx')
    wrong = {'device_type': 'CPU', 'precision': 'INT8'}
    monkeypatch.setattr(engine, 'make_provider', lambda **_: (PROVIDER, wrong))
    with pytest.raises(EngineError, match='could not start OpenVINO .* onnxruntime_provider to c'):
        open_model(path, 'openvino')
    # Options that it does not know make it raise, and then retry without the provider.
    monkeypatch.setattr(engine, 'make_provider', lambda **_: (PROVIDER, {'nonsense': '1'}))
    with pytest.raises(ModelError, match='nonsense'):
        open_model(path, 'openvino')


def test_opening_is_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    config = DetectorConfig(
        model_path=str(lamp_detector(tmp_path / 'lamp.onnx')), backend='onnxruntime',
        onnxruntime_provider='openvino',
    )  # fmt: skip
    with pytest.raises(BuildCancelledError):
        create_detector(config, cancel=cancel)


def test_one_thread_of_inference_uses_one_core() -> None:
    with open_model(MODEL, 'openvino', inference_threads=1) as detector:
        batch = np.zeros(detector.engine.batch_shape(1), detector.engine.input_spec.dtype)
        detector.engine.run(batch)

        def run() -> None:
            for _ in range(10):
                detector.engine.run(batch)

        threads = [threading.Thread(target=run) for _ in range(4)]
        wall, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Two threads would take up to twice the time. A busy machine only lowers it.
        assert time.process_time() - cpu < 1.3 * (time.perf_counter() - wall)


def test_one_run_waits_while_another_one_has_the_threads() -> None:
    topics = ('left/image_raw', 'right/image_raw', 'rear/image_raw')
    with open_model(MODEL, 'openvino', inference_threads=4, image_topics=topics) as detector:
        assert detector.engine.get_parallel_runs() == 2


def test_spinning_has_no_effect(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    with open_model(path, 'openvino', inference_spinning=True) as detector:
        assert detector.info.warnings == ('inference_spinning has no effect with OpenVINO',)
