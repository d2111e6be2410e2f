# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Recognition of layouts: graphs of real exporters, and every rule of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trt_detector.config import parameter_specs
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.decode.graph_info import anchor_count
from trt_detector.decode.recognize import LAYOUTS
from trt_detector.errors import ModelError
from trt_detector.preprocess import PRESETS
from trt_detector.values.output_part import OutputPart
from trt_detector.values.tensor_spec import TensorSpec

LAYOUT_NAMES = tuple(layout.name for layout in LAYOUTS)
EXPORTS = Path(__file__).parents[1] / 'data' / 'exports'

# Name of the file: layout, classes, preset.
RECOGNIZED = {
    'hf-dfine': ('detr_sigmoid', 80, 'detr'),
    'rtdetr-l': ('detr_rows', None, 'detr'),
    'tv-fasterrcnn': ('torchvision', None, 'torchvision'),
    'tv-retinanet': ('torchvision', None, 'torchvision'),
    'tv-ssdlite320': ('torchvision', None, 'torchvision'),
    'yolo11n': ('yolo', 80, 'yolo'),
    'yolo12n': ('yolo', 80, 'yolo'),
    'yolo26n': ('yolo', 80, 'yolo'),
    'yolo26n-e2e': ('end_to_end', None, 'yolo'),
    'yolo26n-pose': ('end_to_end', None, 'yolo'),
    'yolo26n-seg': ('end_to_end', None, 'yolo'),
    'yolov10n': ('yolo', 80, 'yolo'),
    'yolov10n-e2e': ('end_to_end', None, 'yolo'),
    'yolov3-tinyu': ('yolo', 80, 'yolo'),
    'yolov5nu': ('yolo', 80, 'yolo'),
    'yolov8n': ('yolo', 80, 'yolo'),
    'yolov8n-320x256': ('yolo', 80, 'yolo'),
    'yolov8n-dynamic': ('yolo', 80, 'yolo'),
    'yolov8n-half': ('yolo', 80, 'yolo'),
    'yolov8n-nms': ('end_to_end', None, 'yolo'),
    'yolov8n-obb': ('yolo_obb', 80, 'yolo'),
    'yolov8n-p2': ('yolo', 80, 'yolo'),
    'yolov8n-p6': ('yolo', 80, 'yolo'),
    'yolov8n-pose': ('yolo', 1, 'yolo'),
    'yolov8n-seg': ('yolo', 80, 'yolo'),
    'yolov9t': ('yolo', 80, 'yolo'),
    'yolox-nano': ('yolox', 80, 'yolox'),
    'yolox-nano-decoded': ('yolox_decoded', 80, 'yolox'),
    'yolox-s': ('yolox', 80, 'yolox'),
}
REFUSED = {
    'yolov8n-cls': "task is 'classify'",
    # Transformers name no classes in the graph; the file config.json beside it does.
    'hf-yolos-tiny': 'detr_sigmoid .* 92 classes .*; detr_softmax .* 91 classes',
}
# The graph leaves its output's shape open: it has to run once to tell. Then it is as given here.
OPEN = {
    'hf-rtdetr-v2': ({'pred_boxes': (1, 300, 4)}, 'detr_sigmoid', 80),
    'yolox-nano-dynamic': ({'output': (1, 3549, 85)}, 'yolox', 80),
    'yolox-nano-decoded-dynamic': ({'output': (1, 3549, 85)}, 'yolox_decoded', 80),
}


def _load(name: str, shapes: Mapping[str, tuple[int, ...]] | None = None) -> GraphInfo:
    """Load the recorded graph info of a model."""
    info = json.loads((EXPORTS / f'{name}.json').read_text(encoding='utf-8'))
    return GraphInfo(
        outputs=tuple(
            TensorSpec(output, (shapes or {}).get(output, tuple(shape)), np.dtype(dtype))
            for output, shape, dtype in info['outputs']
        ),
        metadata=info['metadata'],
        input_size=tuple(info['input_size']),
        operators=frozenset(info['operators']),
        tails={output: frozenset(tail) for output, tail in info['tails'].items()},
        num_names=info['num_names'],
    )


def test_every_recorded_export_is_looked_at() -> None:
    recorded = {path.stem for path in EXPORTS.glob('*.json')}
    assert recorded == set(RECOGNIZED) | set(REFUSED) | set(OPEN)


@pytest.mark.parametrize('name', RECOGNIZED)
def test_exports_are_recognized_without_a_parameter(name: str) -> None:
    found = recognize(_load(name))
    assert (found.name, found.head.num_classes, found.preset) == RECOGNIZED[name]
    other_task = 'seg' in name or 'pose' in name
    assert bool(found.warnings) == other_task
    assert all('only its boxes' in warning for warning in found.warnings)


@pytest.mark.parametrize('name', REFUSED)
def test_exports_that_have_no_boxes_or_two_readings_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=REFUSED[name]):
        recognize(_load(name))


@pytest.mark.parametrize('name', OPEN)
def test_exports_with_open_shapes_are_recognized_once_they_ran(name: str) -> None:
    shapes, layout, classes = OPEN[name]
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(_load(name))
    found = recognize(_load(name, shapes))
    assert (found.name, found.head.num_classes) == (layout, classes)


def _info(*shapes: tuple[int | None, ...], **more: Any) -> GraphInfo:
    """Make graph info from output shapes alone, for 640x640 pixels."""
    names = more.pop('names', [f'output{n}' for n in range(len(shapes))])
    outputs = [TensorSpec(n, s, np.dtype('f4')) for n, s in zip(names, shapes, strict=True)]
    return GraphInfo(tuple(outputs), **{'input_size': (640, 640), **more})


def _parts(*widths: int) -> tuple[OutputPart, ...]:
    """Make the parts of rows; a negative width is that of the class."""
    return tuple(
        OutputPart(abs(width), frozenset({'ArgMax' if width < 0 else 'Gather'}))
        for width in widths
    )


def _tail(*operators: str) -> dict[str, Any]:
    return {'operators': frozenset(operators), 'tails': {'output0': frozenset(operators)}}


RTDETR = {'metadata': {'head': 'RTDETRDecoder'}}


@pytest.mark.parametrize(
    ('info', 'layout', 'classes'),
    [
        # The dimension that is the anchor count of the input size is the anchors.
        (_info((1, 84, 8400)), 'yolo', 80),
        (_info((1, 8400, 84)), 'yolo_transposed', 80),
        (_info((1, 84, 21), input_size=(32, 32)), 'yolo', 80),
        (_info((1, 8500, 84)), 'yolo_transposed', 80),
        (_info((1, 84, 5040), input_size=(384, 640)), 'yolo', 80),
        # Where none is, the longer one.
        (_info((1, 84, 7777)), 'yolo', 80),
        (_info((1, 84, 8400), input_size=None), 'yolo', 80),
        (_info((None, 84, None)), 'yolo', 80),
        # One class.
        (_info((1, 5, 8400)), 'yolo', 1),
        (_info((1, 8400, 5)), 'yolo_transposed', 1),
        (_info((1, 6, 8400)), 'yolo', 2),
        (_info((1, 25200, 6)), 'yolo_objectness', 1),
        (_info((1, 8400, 6), num_names=1, **_tail('Sigmoid', 'Concat')), 'yolox', 1),
        (_info((1, 8400, 6), num_names=1, **_tail('Add', 'Mul')), 'yolo_objectness', 1),
        (_info((1, 8400, 6), num_names=2), 'yolo_transposed', 2),
        # Three anchors a cell.
        (_info((1, 25200, 85)), 'yolo_objectness', 80),
        (_info((1, 10647, 25), input_size=(416, 416)), 'yolo_objectness', 20),
        (_info((1, 6000, 85)), 'yolo_objectness', 80),
        (_info((None, None, 85), num_names=80, **_tail('Pow', 'Mul')), 'yolo_objectness', 80),
        # YOLOX by the tail of its graph.
        (_info((1, 8400, 85), **_tail('Sigmoid', 'Concat', 'Transpose')), 'yolox', 80),
        (_info((1, 8400, 85), **_tail('Sigmoid', 'Exp', 'Mul', 'Add')), 'yolox_decoded', 80),
        # A name for each class tells C + 4 from C + 5.
        (_info((1, 8400, 85), num_names=81), 'yolo_transposed', 81),
        (_info((1, 8400, 85), num_names=80, **_tail('Add', 'Mul')), 'yolo_objectness', 80),
        # Without names 80 classes are more likely than 79.
        (_info((1, 8400, 84), **_tail('Add', 'Mul')), 'yolo_transposed', 80),
        # Few rows of six are chosen already, unless they are a DETR's.
        (_info((1, 300, 6)), 'end_to_end', None),
        (_info((None, 100, 6), input_size=None), 'end_to_end', None),
        (_info((1, 300, 6), num_names=2), 'end_to_end', None),
        (_info((1, None, 6), metadata={'end2end': 'True'}), 'end_to_end', None),
        # Three names are not those of two classes, or of one with objectness.
        (_info((1, None, 6), num_names=3), 'end_to_end', None),
        (_info((1, 300, 6), metadata={'args': "{'nms': True}"}), 'end_to_end', None),
        (_info((1, 8400, 6), **_tail('NonMaxSuppression')), 'end_to_end', None),
        (_info((1, 500, 6), **_tail('TopK')), 'end_to_end', None),
        (_info((1, 300, 6), **RTDETR), 'detr_rows', None),
        (_info((1, 300, 6), num_names=2, **_tail('GridSample', 'Sigmoid')), 'detr', 2),
        (_info((1, 300, 6), num_names=9, **_tail('GridSample', 'TopK')), 'detr_rows', None),
        (_info((1, 300, 6), metadata={'description': 'Ultralytics rtdetr-l model'}), 'detr_rows',
         None),
        # Metadata outrank operators: an upsampler of a YOLO may use GridSample, too.
        (_info((1, 300, 6), metadata={'end2end': 'True'}, **_tail('TopK', 'GridSample')),
         'end_to_end', None),
        (_info((1, 300, 6), metadata={'description': 'Ultralytics YOLO11n'},
               operators=frozenset({'GridSample', 'TopK'}),
               tails={'output0': frozenset({'TopK'})}), 'end_to_end', None),
        (_info((1, 84, 8400), operators=frozenset({'GridSample'})), 'yolo', 80),
        (_info((1, 300, 84), num_names=80, **_tail('GridSample')), 'detr', 80),
        # The inverse sigmoid is a DETR's.
        (_info((1, 300, 6), operators=frozenset({'GridSample', 'TopK', 'Log'}),
               tails={'output0': frozenset({'TopK', 'Log'})}), 'detr_rows', None),
        # The best class of every anchor: nothing has suppressed duplicates.
        (_info((1, 8400, 6), **_tail('ReduceMax', 'ArgMax', 'Concat')), 'deepstream', None),
        (_info((1, 8400, 6), num_names=2, **_tail('ReduceMax', 'ArgMax')), 'deepstream', None),
        (_info((1, 8400, 6), num_names=1, **_tail('TopK', 'Concat')), 'deepstream', None),
        (_info((None, None, 6), **_tail('ReduceMax', 'ArgMax')), 'deepstream', None),
        (_info((1, 300, 6), **_tail('ReduceMax', 'ArgMax')), 'deepstream', None),
        # NanoDet by its cells and a tail like raw YOLOX's.
        (_info((1, 2125, 112), input_size=(320, 320), **_tail('Sigmoid', 'Concat')),
         'nanodet_plus', 80),
        (_info((1, 3598, 124), input_size=(416, 416), **_tail('Sigmoid', 'Concat')),
         'nanodet_plus', 80),
        (_info((1, 2125, 35), input_size=(320, 320), num_names=3, **_tail('Sigmoid')),
         'nanodet_plus', 3),
        (_info((1, 2125, 35), input_size=(320, 320), **_tail('Sigmoid')), 'nanodet_plus', 3),
        (_info((1, 2100, 35), input_size=(320, 320), num_names=3, **_tail('Sigmoid')),
         'nanodet', 3),
        (_info((1, 2100, 112), input_size=(320, 320), num_names=107, **_tail('Sigmoid')),
         'yolox', 107),
        # Rows with a batch index, by the output's name or its parts.
        (_info((None, 7), names=['batchno_classid_score_x1y1x2y2']), 'rows_class_score_box',
         None),
        (_info((None, 7), names=['graph2_flat_predictions']), 'rows_box_score_class', None),
        (_info((None, 7), names=['batchno_score_classid_x1y1x2y2']), 'rows_score_class_box',
         None),
        (_info((None, 7), parts={'output0': _parts(1, 4, -1, 1)}), 'rows_box_class_score', None),
        (_info((None, 7), parts={'output0': _parts(1, 1, -1, 4)}), 'rows_score_class_box', None),
        # PyTorch's exporter leaves the widths open.
        (_info((None, 7), parts={'output0': (
            OutputPart(1, frozenset({'NonMaxSuppression'})), OutputPart(None, frozenset()),
            OutputPart(None, frozenset({'ArgMax'})), OutputPart(None, frozenset({'ReduceMax'})),
        )}), 'rows_box_class_score', None),
        # Queries are few.
        (_info((1, 300, 84), **RTDETR), 'detr', 80),
        (_info((1, 300, 5), **RTDETR), 'detr', 1),
        (_info((1, 300, 369), **RTDETR), 'detr', 365),
        # A value more than classes is the background, unless attention tells of sigmoid.
        (_info((1, 100, 92), (1, 100, 4), num_names=91), 'detr_softmax', 91),
        (_info((1, 300, 80), (1, 300, 4), num_names=80), 'detr_sigmoid', 80),
        (_info((1, 300, 4), (1, 300, 91), num_names=90, **_tail('GridSample')), 'detr_sigmoid',
         90),
        (_info((1, 300, 4), (1, 300, 80), **_tail('GridSample')), 'detr_sigmoid', 80),
        (_info((1, 9, 4), (1, 9, 4), names=['pred_logits', 'pred_boxes'], num_names=4),
         'detr_sigmoid', 4),
        # Rotated boxes.
        (_info((1, 20, 8400), metadata={'task': 'obb'}, num_names=15), 'yolo_obb', 15),
        (_info((1, 20, 8400), **_tail('Cos', 'Sin', 'Sigmoid')), 'yolo_obb', 15),
        (_info((1, 300, 7), metadata={'task': 'obb', 'end2end': 'True'}), 'obb_rows', None),
        (_info((1, 300, 7), metadata={'task': 'obb', 'args': "{'nms': True}"}), 'obb_rows', None),
        # Values behind the scores of other tasks.
        (_info((1, 116, 8400), (1, 32, 160, 160)), 'yolo', 80),
        (_info((1, 56, 8400), metadata={'task': 'pose', 'kpt_shape': '[17, 3]'}), 'yolo', 1),
    ],
)  # fmt: skip
def test_the_rules(info: GraphInfo, layout: str, classes: int | None) -> None:
    found = recognize(info)
    assert (found.name, found.head.num_classes) == (layout, classes)
    selected = layout.startswith('rows_') or layout in ('end_to_end', 'detr_rows', 'obb_rows')
    queries = layout.startswith('detr') and not selected
    assert (found.queries, found.dense) == (queries, not queries and not selected)


@pytest.mark.parametrize('name', ['detr_sigmoid', 'detr_softmax', 'detr_softmax_first'])
def test_logits_of_a_detr_are_those_of_queries(name: str) -> None:
    found = recognize(_info((1, 100, 92), (1, 100, 4)), name)
    assert (found.queries, found.dense) == (True, False)


@pytest.mark.parametrize(
    ('info', 'readings'),
    [
        (_info((1, 8400, 85)), ['yolo_objectness (', 'yolox (', 'yolox_decoded (', '80 class']),
        (_info((1, 8400, 17), **_tail('Add', 'Mul')), ['yolo_transposed (', '13 class',
                                                        'yolo_objectness (', '12 class']),
        (_info((1, 8400, 6)), ['yolo_transposed (', 'yolo_objectness (', 'yolox (']),
        # Anchors of no known grid, which no operator has selected.
        (_info((1, 1917, 6), input_size=(300, 300), **_tail('Add')),
         ['yolo_transposed (', 'yolo_objectness (']),
        (_info((1, None, 6), **_tail('Add')), ['yolo_transposed (', 'yolo_objectness (']),
        (_info((1, 100, 92), (1, 100, 4)), ['detr_sigmoid (', 'detr_softmax (', '91 classes']),
        # Few rows are no DETR for that alone.
        (_info((1, 300, 84)), ['detr (', 'yolo_transposed (', 'yolo_objectness (']),
        (_info((1, 300, 84), num_names=80), ['detr (', 'yolo_transposed (']),
        (_info((1, 100, 5)), ['detr (', 'yolo_transposed (']),
        (_info((1, 400, 84)), ['detr (', 'yolo_transposed (']),
        (_info((1, 341, 24)), ['detr (', 'yolo_transposed (', 'yolo_objectness (']),
        (_info((1, 507, 85)), ['detr (', 'yolo_transposed (', 'yolo_objectness (', '80 class']),
        (_info((1, 100, 7)), ['detr (', 'yolo_transposed (', 'rows_class_score_box (']),
        (_info((None, 7)), ['rows_box_class_score (', 'rows_class_score_box (']),
        # A DETR or a YOLO with GridSample in its neck.
        (_info((1, 300, 6), operators=frozenset({'GridSample', 'TopK'}),
               tails={'output0': frozenset({'TopK'})}), ['end_to_end (', 'detr_rows (']),
    ],
)  # fmt: skip
def test_what_stays_ambiguous_is_refused_with_all_readings(
    info: GraphInfo, readings: list[str]
) -> None:
    with pytest.raises(ModelError, match='can be read in . ways: .* parameter head') as error:
        recognize(info)
    for reading in readings:
        assert reading in str(error.value)
    # The way out that the message offers is one.
    layouts = [reading.removesuffix(' (') for reading in readings if reading.endswith(' (')]
    assert [recognize(info, layout).name for layout in layouts] == layouts


def test_one_name_too_few_is_not_another_layout() -> None:
    # Were it read as 5 + 80, the error of the count would not come.
    found = recognize(_info((1, 85, 8400), num_names=80))
    assert (found.name, found.head.num_classes) == ('yolo', 81)


@pytest.mark.parametrize(
    ('info', 'head', 'message'),
    [
        (_info((1, 84, 8400)), 'torchvision', "head is 'torchvision', which is boxes .n, 4."),
        (_info((1, 4, 8400)), 'yolo', r"head is 'yolo', .*outputs output0 \[1, 4, 8400\]"),
        (_info((1, 84, 8400)), 'yolov8', "head is 'yolov8'; expected auto or end_to_end, yolo"),
        (_info((1, 300, 84), input_size=None), 'detr', 'is not known; set input_shape'),
        (_info((1, 8400, 85), input_size=None), 'yolox', 'is not known; set input_shape'),
        (_info((1, 8400, 112), input_size=None), 'nanodet', 'is not known; set input_shape'),
        (_info((1, 8000, 85)), 'yolox', '8400 cells, .* 8000 rows; set input_shape'),
    ],
)
def test_a_head_that_cannot_be_is_refused(info: GraphInfo, head: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        recognize(info, head)


@pytest.mark.parametrize(
    ('info', 'message'),
    [
        (_info((1, 56, 8400), metadata={'task': 'pose'}), "no 'kpt_shape'"),
        (_info((1, 116, 8400), metadata={'task': 'segment'}), 'no output of mask prototypes'),
        (_info((1, 85, 8400), metadata={'task': 'depth'}), "task is 'depth'; expected 'detect'"),
        # A rotated box without its angle would be wrong.
        (_info((1, 300, 6), metadata={'task': 'obb', 'end2end': 'True'}), 'no head layout fits'),
        (_info((1, 3, 80, 80, 85), (1, 3, 40, 40, 85)), 'anchors are unknown'),
    ],
)
def test_tasks_whose_boxes_cannot_be_told_are_refused(info: GraphInfo, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        recognize(info)


@pytest.mark.parametrize(('count', 'blamed'), [(8400, False), (8401, True)])
def test_a_right_number_of_predictions_is_not_blamed(count: int, blamed: bool) -> None:
    with pytest.raises(ModelError, match='no head layout fits') as caught:
        recognize(_info((1, 84, count), (1, count, 84), input_size=(640, 640)))
    assert ('number of predictions is not that of 640x640' in str(caught.value)) == blamed
    assert 'the parameter outputs' in str(caught.value)


def test_outputs_of_plugins_are_found_in_any_order() -> None:
    shapes = {'det_scores': (1, 100), 'num_dets': (1, 1), 'det_classes': (1, 100),
              'det_boxes': (1, 100, 4)}  # fmt: skip
    info = _info(*shapes.values(), names=list(shapes))
    head = recognize(info).head
    arrays = [np.array([[0.5, 0.9, 0.99]]), np.array([[2]]), np.array([[3, 4, 5]]),
              np.array([[[0, 0, 1, 1], [2, 2, 5, 5], [7, 7, 9, 9]]])]  # fmt: skip
    found = head.decode(arrays, DecodeOptions())[0]
    assert found.boxes_xyxy.tolist() == [[2, 2, 5, 5], [0, 0, 1, 1]]
    assert found.class_ids.tolist() == [4, 3]


def test_the_parameter_offers_the_layouts_that_there_are() -> None:
    choices = {spec.name: spec.choices for spec in parameter_specs()}
    assert choices['head'] == ('auto', *LAYOUT_NAMES)
    assert choices['preprocess_preset'] == ('auto', *PRESETS)


def test_every_layout_names_a_preset_that_there_is() -> None:
    for layout in LAYOUTS:
        assert layout.preset in PRESETS


def test_anchors_of_an_odd_size_are_counted_up() -> None:
    assert anchor_count((640, 640), (8, 16, 32)) == 8400
    assert anchor_count((36, 100), (8, 16, 32)) == 5 * 13 + 3 * 7 + 2 * 4


@pytest.mark.parametrize(
    'strides', [(8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32)], ids=str
)
@pytest.mark.parametrize('per_cell', [1, 3])
@pytest.mark.parametrize('size', [(640, 640), (352, 608), (1280, 736), (416, 416)])
def test_predictions_per_cell_are_told_from_their_number(
    strides: tuple[int, ...], per_cell: int, size: tuple[int, int]
) -> None:
    cells = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)
    info = GraphInfo((), input_size=size)
    assert info.anchors_per_cell(per_cell * cells) == per_cell
    assert info.anchors_per_cell(per_cell * cells + 1) == 0
    assert info.anchors_per_cell(None) is None
    assert GraphInfo(()).anchors_per_cell(per_cell * cells) is None


@pytest.mark.parametrize(
    ('metadata', 'expected'),
    [
        ({'head': 'RTDETRDecoder'}, 'detr'),
        ({'model_type': 'd_fine'}, 'detr'),
        ({'model_type': 'yolos'}, 'detr'),
        ({'description': 'Ultralytics YOLOv8n model'}, 'yolo'),
        ({'end2end': 'True'}, 'yolo'),
        ({'args': "{'nms': True}"}, 'yolo'),
        ({'args': "{'nms': False}"}, None),
        ({'args': "{'nms': 1}"}, None),
        ({'args': 'nms'}, None),
        ({'end2end': 'False', 'author': 'yolo'}, None),
        ({}, None),
    ],
)
def test_metadata_name_the_family(metadata: dict[str, str], expected: str | None) -> None:
    assert GraphInfo((), metadata=metadata).family == expected


@pytest.mark.parametrize(
    ('name', 'layout'),
    [
        ('batch_x1_y1_x2_y2_class_score', 'rows_box_class_score'),
        ('BOX_LABEL_CONF', 'rows_box_class_score'),
        ('x1,y1,x2,y2,conf,category', 'rows_box_score_class'),
        ('class,score,box', 'rows_class_score_box'),
        ('cat_conf_x1', 'rows_class_score_box'),
        ('score,label,box', 'rows_score_class_box'),
        ('graph2_flat_predictions', 'rows_box_score_class'),
    ],
)
def test_names_of_rows_tell_their_order(name: str, layout: str) -> None:
    assert recognize(_info((None, 7), names=[name])).name == layout
    assert recognize(_info((1, 300, 7), names=[name])).name == layout


@pytest.mark.parametrize(
    'names',
    [
        ('multiclass_nms3_0.tmp_0', 'multiclass_nms3_0.tmp_2'),
        ('multiclass_nms', 'b'),
        ('a', 'b.tmp_2'),
        ('save_infer_model/scale_0', 'b'),
        ('fetch_name_0', 'b'),
        ('a', 'bbox_num'),
    ],
)
def test_paddle_is_known_by_its_names(names: tuple[str, str]) -> None:
    outputs = (
        TensorSpec(names[0], (None, 6), np.dtype('f4')),
        TensorSpec(names[1], (None,), np.dtype('i4')),
    )
    assert recognize(GraphInfo(outputs, input_size=(640, 640))).name == 'paddle'


@pytest.mark.parametrize('word', ['class', 'Label', 'cls'])
@pytest.mark.parametrize('kind', ['f4', 'i4'])
def test_outputs_of_plugins_are_told_apart_by_name_or_type(word: str, kind: str) -> None:
    outputs = (
        TensorSpec('a', (1, 1), np.dtype('i4')),
        TensorSpec(f'my_{word}', (1, 50), np.dtype(kind)),
        TensorSpec('c', (1, 50), np.dtype('f4')),
        TensorSpec('d', (1, 50, 4), np.dtype('f4')),
    )
    head = recognize(GraphInfo(outputs, input_size=(640, 640)), 'efficient_nms').head
    scores = np.zeros((1, 50), np.float32)
    scores[0, 0] = 0.75
    boxes = np.zeros((1, 50, 4), np.float32)
    boxes[0, 0] = (10, 20, 30, 50)
    found = head.decode([np.array([[1]]), np.full((1, 50), 3), scores, boxes], DecodeOptions())[0]
    assert found.boxes_xyxy.tolist() == [[10, 20, 30, 50]]
    assert (found.scores.tolist(), found.class_ids.tolist()) == ([0.75], [3])


def _read(info: GraphInfo) -> str:
    """Get the name of the layout, or the error that lists the possible ones."""
    try:
        return recognize(info).name
    except ModelError as error:
        return str(error)


@pytest.mark.parametrize(
    ('shapes', 'fits'),
    [
        (((2, 1), (2, 9, 4), (2, 9), (2, 9)), True),
        (((2,), (2, 9, 4), (2, 9), (2, 9)), True),
        (((None, 1), (2, None, 4), (2, 9), (None, 9)), True),
        (((2, 2), (2, 9, 4), (2, 9), (2, 9)), False),
        (((2, 1, 1), (2, 9, 4), (2, 9), (2, 9)), False),
        (((1, 1), (2, 9, 4), (2, 9), (2, 9)), False),
        (((2, 1), (2, 9, 5), (2, 9), (2, 9)), False),
        (((2, 1), (2, 9, 4), (2, 8), (2, 9)), False),
        (((2, 1), (2, 9, 4), (2, 9), (3, 9)), False),
        (((2, 1), (2, 9, 4), (2, 9), (2, 9, 1)), False),
        (((2, 1), (2, 9), (2, 9), (2, 9)), False),
    ],
)
@pytest.mark.parametrize(
    'names',
    [
        ('num_dets', 'det_boxes', 'det_scores', 'det_classes'),
        ('num_detections', 'nmsed_boxes', 'nmsed_scores', 'nmsed_classes'),
    ],
)
def test_outputs_of_plugins_have_to_agree(
    names: tuple[str, ...], shapes: tuple[tuple[int | None, ...], ...], *, fits: bool
) -> None:
    # All of one type, so that the names alone tell them apart.
    read = _read(_info(*shapes, names=names))
    assert (read == 'efficient_nms') == fits


@pytest.mark.parametrize('operator', ['Add', 'Sub', 'Mul', 'Div', 'Exp', 'Pow'])
def test_arithmetic_behind_the_sigmoid_means_decoded_boxes(operator: str) -> None:
    raw = _info((1, 8400, 85), **_tail('Sigmoid', 'Concat'))
    assert recognize(raw).name == 'yolox'
    read = _read(_info((1, 8400, 85), **_tail('Sigmoid', 'Concat', operator)))
    assert read != 'yolox'
    assert 'yolox (' not in read


@pytest.mark.parametrize('operator', ['Add', 'Sub', 'Mul', 'Div', 'Exp', 'Pow', 'Softmax'])
def test_arithmetic_behind_the_sigmoid_means_no_raw_nanodet(operator: str) -> None:
    cells = anchor_count((416, 416), (8, 16, 32, 64))
    shape = (1, cells, 80 + 4 * 8)
    size = {'input_size': (416, 416)}
    assert recognize(_info(shape, **size, **_tail('Sigmoid', 'Concat'))).name == 'nanodet_plus'
    read = _read(_info(shape, **size, **_tail('Sigmoid', 'Concat', operator)))
    assert read != 'nanodet_plus'
    assert 'nanodet_plus (' not in read


@pytest.mark.parametrize(
    ('more', 'chosen'),
    [
        (_tail('ArgMax', 'Concat'), True),
        (_tail('ReduceMax', 'Concat'), True),
        (_tail('TopK', 'Concat'), True),
        (_tail('Concat'), False),
        (_tail('ArgMax', 'NonMaxSuppression'), False),
        ({**_tail('ArgMax'), 'metadata': {'end2end': 'True'}}, False),
    ],
)
def test_the_best_class_of_every_anchor_is_that_of_deepstream(
    more: dict[str, Any], *, chosen: bool
) -> None:
    read = _read(_info((1, 8400, 6), **more))
    assert (read == 'deepstream') == chosen
    assert 'deepstream (' not in read


@pytest.mark.parametrize('shape', ['[0, 3]', '[-17, 3]', '[17.0, 3]', '[True, 3]', '17', "'ab'"])
def test_a_malformed_number_of_keypoints_is_refused(shape: str) -> None:
    metadata = {'task': 'pose', 'kpt_shape': shape}
    with pytest.raises(ModelError, match="no 'kpt_shape'"):
        recognize(_info((1, 56, 8400), metadata=metadata))


@pytest.mark.parametrize('shape', ['[17, 3]', '(51,)', '[51, 1]'])
def test_the_number_of_keypoints_leaves_that_of_the_classes(shape: str) -> None:
    metadata = {'task': 'pose', 'kpt_shape': shape}
    assert recognize(_info((1, 57, 8400), metadata=metadata)).head.num_classes == 2


def test_outputs_alone_are_enough_where_they_tell() -> None:
    output = TensorSpec('output0', (None, 84, 8400), np.dtype('f4'))
    assert recognize(GraphInfo((output,))).head.num_classes == 80


def test_the_documentation_has_every_layout_and_preset() -> None:
    text = (Path(__file__).parents[2] / 'docs' / 'models.md').read_text(encoding='utf-8')
    for name in (*LAYOUT_NAMES, *PRESETS):
        assert f'`{name}`' in text


@pytest.mark.parametrize(
    ('outputs', 'head', 'form'),
    [
        ({'out': (1, 300, 6)}, 'end_to_end', 'corners'),
        ({'out': (1, 25200, 85)}, 'yolo_objectness', 'centers'),
        ({'pred_boxes': (1, 300, 4), 'logits': (1, 300, 80)}, 'detr_sigmoid', 'centers'),
        ({'labels': (1, 300), 'boxes': (1, 300, 4), 'scores': (1, 300)}, 'detr_deploy', 'corners'),
    ],
)
@pytest.mark.parametrize('same', [True, False])
def test_boxes_of_another_form_than_the_head_reads_are_refused(
    outputs: dict[str, tuple[int, ...]], head: str, form: str, *, same: bool
) -> None:
    specs = tuple(
        TensorSpec(name, shape, np.dtype('i8' if name == 'labels' else 'f4'))
        for name, shape in outputs.items()
    )
    boxes = next(name for name in outputs if name in ('out', 'pred_boxes', 'boxes'))
    made = form if same else {'centers': 'corners', 'corners': 'centers'}[form]
    info = GraphInfo(specs, input_size=(640, 640), box_forms={boxes: made}, num_names=80)
    if same:
        assert recognize(info).name == head
        assert recognize(info).warnings == ()
        return
    with pytest.raises(ModelError, match=f'head {head} reads boxes of .*, but the graph makes'):
        recognize(info)
    # The user knows better, but is told.
    [warning] = recognize(info, head).warnings
    assert f'of {boxes}: set head' in warning


@pytest.mark.parametrize(
    ('values', 'names', 'expected'),
    [(85, None, ''), (85, 81, 'yolo'), (84, None, 'yolo'), (86, None, 'yolo')],
)
def test_eighty_one_classes_may_be_objectness(
    values: int, names: int | None, expected: str
) -> None:
    output = TensorSpec('out', (1, values, 8400), np.dtype('f4'))
    info = GraphInfo((output,), input_size=(640, 640), num_names=names)
    if expected:
        assert recognize(info).name == expected
        return
    with pytest.raises(ModelError, match='objectness and 80 classes: set head to yolo'):
        recognize(info)
    assert recognize(info, 'yolo').head.num_classes == 81


@pytest.mark.parametrize(
    ('plane', 'extra', 'names', 'metadata', 'classes'),
    [
        # A depth map, a semantic map and features of another size than prototypes have.
        ((84, 8400), (1, 640, 640), None, {}, 80),
        ((84, 8400), (19, 320, 320), None, {}, 80),
        ((84, 8400), (64, 80, 80), 80, {}, 80),
        # Maps of that size: the names tell.
        ((84, 8400), (19, 160, 160), 80, {}, 80),
        ((84, 8400), (32, 160, 160), 80, {}, 80),
        ((116, 8400), (32, 160, 160), 80, {}, 80),
        ((103, 8400), (19, 160, 160), 80, {}, 80),
        # The task, or the number of prototypes that every YOLO has.
        ((84, 8400), (19, 160, 160), None, {'task': 'detect'}, 80),
        ((84, 8400), (19, 160, 160), None, {'task': 'segment'}, 61),
        ((116, 8400), (32, 160, 160), None, {}, 80),
        # No room for a box, a class and 32 coefficients; just enough.
        ((36, 8400), (32, 160, 160), None, {}, 32),
        ((37, 8400), (32, 160, 160), None, {}, 1),
        ((7, 8400), (19, 160, 160), None, {}, 3),
        # Channels last.
        ((116, 8400), (160, 160, 32), None, {'task': 'segment'}, 80),
        # Selected rows.
        ((300, 6), (1, 640, 640), None, {}, None),
        ((300, 6), (32, 160, 160), None, {}, None),
        ((300, 6), (32, 160, 160), 80, {}, None),
        ((300, 38), (32, 160, 160), 80, {}, None),
        ((300, 25), (19, 160, 160), None, {}, None),
    ],
)
def test_a_map_beside_the_predictions_may_be_no_prototypes(
    plane: tuple[int, int],
    extra: tuple[int, int, int],
    names: int | None,
    metadata: dict[str, str],
    classes: int | None,
) -> None:
    outputs = (
        TensorSpec('output0', (1, *plane), np.dtype('f4')),
        TensorSpec('more', (1, *extra), np.dtype('f4')),
    )
    info = GraphInfo(outputs, metadata, (640, 640), num_names=names)
    found = recognize(info)
    assert found.head.num_classes == classes
    assert found.name == ('yolo' if classes else 'end_to_end')
    [warning] = found.warnings
    masks = plane[1] > 6 if classes is None else plane[0] != 4 + classes
    assert ('only its boxes' if masks else 'more is no mask prototype') in warning


def test_a_map_that_may_be_prototypes_is_refused_without_names() -> None:
    outputs = (
        TensorSpec('output0', (1, 84, 8400), np.dtype('f4')),
        TensorSpec('more', (1, 19, 160, 160), np.dtype('f4')),
    )
    with pytest.raises(ModelError, match='may be mask prototypes or another map.*class_names'):
        recognize(GraphInfo(outputs, input_size=(640, 640)))


@pytest.mark.parametrize(
    ('shape', 'dtype', 'names', 'warned'),
    [
        ((1, 300, 6), 'f2', 3000, True),
        ((1, 300, 6), 'f4', 3000, False),
        ((1, 300, 6), 'f2', 2048, False),
        ((1, 300, 6), 'f2', None, False),
        # No class number is written.
        ((1, 3004, 8400), 'f2', 3000, False),
    ],
)
def test_class_numbers_that_half_precision_confuses_are_warned_of(
    shape: tuple[int, ...], dtype: str, names: int | None, *, warned: bool
) -> None:
    output = TensorSpec('out', shape, np.dtype(dtype))
    found = recognize(GraphInfo((output,), input_size=(640, 640), num_names=names))
    assert len(found.warnings) == warned
    assert all('float16' in text and 'above 2048' in text for text in found.warnings)


@pytest.mark.parametrize('names', [None, 15, 16])
def test_an_angle_is_neither_a_class_nor_beside_objectness(names: int | None) -> None:
    info = _info((1, 8400, 20), num_names=names, **_tail('Cos', 'Sin', 'Sigmoid', 'Mul'))
    with pytest.raises(ModelError, match='turns boxes by an angle: export .N, 4 . C . 1, A.'):
        recognize(info)


@pytest.mark.parametrize(
    ('info', 'told'),
    [
        (_info((1, 8400, 85), **_tail('Add', 'Mul')), True),
        (_info((1, 6001, 85)), True),
        # The graph, the number of anchors or of names tell.
        (_info((1, 8400, 85), objectness=frozenset({'output0'}), **_tail('Add', 'Mul')), False),
        (_info((1, 25200, 85)), False),
        (_info((1, 8400, 85), num_names=80, **_tail('Add', 'Mul')), False),
    ],
)
def test_objectness_by_the_common_number_of_classes_is_told(
    info: GraphInfo, *, told: bool
) -> None:
    found = recognize(info)
    assert found.name == 'yolo_objectness'
    assert [text for text in found.warnings if 'or set head to yolo_transposed' in text] == list(
        found.warnings
    )
    assert len(found.warnings) == told
    # The user has told.
    assert recognize(info, 'yolo_objectness').warnings == ()


@pytest.mark.parametrize('boxes_first', [True, False])
def test_the_preprocessing_of_damo_yolo_is_asked_for(*, boxes_first: bool) -> None:
    shapes = {'boxes': (1, 8400, 4), 'scores': (1, 8400, 80)}
    names = list(shapes) if boxes_first else list(reversed(shapes))
    found = recognize(_info(*(shapes[name] for name in names), names=names))
    assert (found.name, found.preset) == ('boxes_scores', 'yolo')
    assert ('preprocess_preset: efficientdet' in found.assumption) != boxes_first


@pytest.mark.parametrize(('queries', 'fits'), [(900, True), (8400, False), (7000, False)])
def test_raw_outputs_of_anchors_are_no_queries(queries: int, *, fits: bool) -> None:
    # As FCOS and RetinaNet call them; their boxes are distances.
    info = _info(
        (1, queries, 80), (1, queries, 4), (1, queries, 1), num_names=80,
        names=['cls_logits', 'bbox_regression', 'bbox_ctrness'],
    )  # fmt: skip
    assert (_read(info) == 'detr_sigmoid') == fits
    assert fits or 'no head layout fits' in _read(info)


@pytest.mark.parametrize(
    ('shapes', 'warned'),
    [
        ({'output0': (1, 84, 8400)}, True),
        ({'output0': (1, 300, 6)}, True),
        # Shares of the input are the same at every size.
        ({'pred_logits': (1, 300, 80), 'pred_boxes': (1, 300, 4)}, False),
    ],
)
def test_a_resize_before_the_first_layer_is_warned_of(
    shapes: Mapping[str, tuple[int, ...]], *, warned: bool
) -> None:
    outputs = tuple(TensorSpec(name, shape, np.dtype('f4')) for name, shape in shapes.items())
    info = GraphInfo(
        outputs, input_size=(640, 640), operators=frozenset({'GridSample'}), resizes_input=True
    )
    head = 'end_to_end' if shapes.get('output0') == (1, 300, 6) else 'auto'
    found = recognize(info, head)
    assert any('scales its images to another size' in text for text in found.warnings) == warned


@pytest.mark.parametrize('selection', ['TopK', 'NonMaxSuppression', 'EfficientNMS_TRT'])
@pytest.mark.parametrize('shape', [(1, 6, 300), (1, 5, 100), (1, 6, None)])
def test_selected_boxes_in_columns_are_refused(
    shape: tuple[int | None, ...], selection: str
) -> None:
    output = TensorSpec('output0', shape, np.dtype('f4'))
    info = GraphInfo(
        (output,), input_size=(640, 640), tails={'output0': frozenset({selection, 'Transpose'})}
    )
    for names in (None, 1, 2):
        with pytest.raises(ModelError, match=r'export them as rows \[N, M, 6\]'):
            recognize(replace(info, num_names=names))


@pytest.mark.parametrize(
    ('tails', 'warned'), [({}, True), ({'output0': frozenset({'Sigmoid', 'Concat'})}, False)]
)
def test_few_columns_are_doubtful_only_if_the_graph_is_unknown(
    tails: dict[str, frozenset[str]], *, warned: bool
) -> None:
    output = TensorSpec('output0', (1, 6, 300), np.dtype('f4'))
    found = recognize(GraphInfo((output,), input_size=(640, 640), tails=tails))
    assert found.name == 'yolo'
    assert any('written as columns' in text for text in found.warnings) == warned
    usual = TensorSpec('output0', (1, 6, 8400), np.dtype('f4'))
    assert recognize(GraphInfo((usual,), input_size=(640, 640), tails=tails)).warnings == ()
