# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Check the committed demo models: their form, and their detections in the demo pictures."""

import ast
import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx is missing: pip install onnx')
ort = pytest.importorskip('onnxruntime', reason='onnxruntime is missing: pip install onnxruntime')

_DEMO = Path(__file__).resolve().parents[2] / 'demo'
sys.path.insert(0, str(_DEMO))

from evaluate import coco_figures  # noqa: E402
from inference import Model  # noqa: E402
from scenes import CLASS_NAMES  # noqa: E402

_PATHS = {kind: _DEMO / 'models' / f'demo_{kind}.onnx' for kind in ('end2end', 'raw')}
_TRUTH = json.loads((_DEMO / 'pictures' / 'ground_truth.json').read_text())
_FIGURES = json.loads((_DEMO / 'figures.json').read_text())


@pytest.fixture(scope='module', params=sorted(_PATHS))
def kind(request):
    return request.param


@pytest.fixture(scope='module')
def proto(kind):
    return onnx.load(str(_PATHS[kind]))


def _points(height, width):
    return sum((height // stride) * (width // stride) for stride in (8, 16, 32))


def _dims(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_file_is_valid_small_and_of_opset_17(kind, proto):
    onnx.checker.check_model(proto, full_check=True)
    assert _PATHS[kind].stat().st_size <= 3_000_000
    assert [(o.domain, o.version) for o in proto.opset_import] == [('', 17)]


def test_tensors_have_their_names_and_a_dynamic_batch(kind, proto):
    (image,), (output,) = proto.graph.input, proto.graph.output
    batch, channels, height, width = _dims(image)
    assert (image.name, batch, channels) == ('images', 'batch', 3)
    assert height % 32 == width % 32 == 0
    assert min(height, width) >= 320
    rows = [300, 6] if kind == 'end2end' else [4 + len(CLASS_NAMES), _points(height, width)]
    assert (output.name, _dims(output)) == ('output0', ['batch', *rows])
    for value in (image, output):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_metadata_says_what_the_model_is(kind, proto):
    info = {p.key: p.value for p in proto.metadata_props}
    assert ast.literal_eval(info['names']) == dict(enumerate(CLASS_NAMES))
    assert ast.literal_eval(info['imgsz']) == _dims(proto.graph.input[0])[2:]
    assert info['end2end'] == str(kind == 'end2end')
    assert {k: info[k] for k in ('task', 'stride', 'batch', 'license', 'author')} == {
        'task': 'detect',
        'stride': '32',
        'batch': '1',
        'license': 'Apache-2.0',
        'author': 'trt_detector',
    }
    assert info['description']


def test_graph_has_no_operator_of_varying_output(kind, proto):
    """TensorRT sizes buffers ahead: suppression and searches for non-zeros are unwelcome."""
    used = {node.op_type for node in proto.graph.node}
    assert not used & {'NonMaxSuppression', 'NonZero', 'Loop', 'If', 'Scan', 'Unique'}
    assert ('TopK' in used) == (kind == 'end2end')
    assert all(node.domain == '' for node in proto.graph.node)


def test_batch_of_four_equals_four_batches_of_one(kind):
    model = Model(_PATHS[kind], threads=1)
    names = [row['file_name'] for row in _TRUTH['images'][:4]]
    images = np.stack(
        [model.letterbox(cv2.imread(str(_DEMO / 'pictures' / name)))[0] for name in names]
    )
    together = model.run(images)
    alone = np.concatenate([model.run(image[None]) for image in images])
    if kind == 'end2end':
        sure = together[..., 4] > 0.05
        assert sure.sum() > 10
        together, alone = together[sure], alone[sure]
    np.testing.assert_allclose(together, alone, atol=2e-3)


def test_end_to_end_rows_are_sorted_and_in_range():
    model = Model(_PATHS['end2end'])
    image = cv2.imread(str(_DEMO / 'pictures' / _TRUTH['images'][0]['file_name']))
    rows = model.run(model.letterbox(image)[0][None])[0]
    assert (np.diff(rows[:, 4]) <= 0).all()
    assert ((rows[:, 4] >= 0) & (rows[:, 4] <= 1)).all()
    assert set(rows[:, 5]) <= set(range(len(CLASS_NAMES)))
    assert (rows[:, 2:4] >= rows[:, :2]).all()


def test_committed_pictures_are_understood(kind):
    pytest.importorskip(
        'faster_coco_eval', reason='faster-coco-eval is missing: pip install faster-coco-eval'
    )
    model = Model(_PATHS[kind])
    found = [
        model.detect(cv2.imread(str(_DEMO / 'pictures' / row['file_name'])))
        for row in _TRUTH['images']
    ]
    figures = coco_figures(_TRUTH, found)
    assert figures['map50'] >= 0.85
    assert figures['map50_95'] >= 0.6


def test_recorded_figures_reach_the_goal(kind):
    figures = _FIGURES['test'][kind]
    assert figures['scenes'] == 500
    assert figures['first_seed'] == _FIGURES['seeds']['test']['first']
    assert figures['map50'] >= 0.90
    assert figures['map50_95'] >= 0.65
    assert _FIGURES['export'][f'demo_{kind}']['bytes'] == _PATHS[kind].stat().st_size
