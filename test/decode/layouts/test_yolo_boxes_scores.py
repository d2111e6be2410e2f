# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""YOLOv8 cut before its last Concat: boxes [N, 4, A] and scores [N, C, A]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest
from support.planted import (
    assert_same,
    clip,
    dark_and_bright,
    Found,
    HEIGHT,
    open_planted,
    plant,
    STRIDES,
    suppress,
    WIDTH,
)  # fmt: skip
from trt_detector.decode import GraphInfo, recognize
from trt_detector.decode.layouts.yolo_boxes_scores import find_pair
from trt_detector.errors import ModelError
from trt_detector.values.tensor_spec import TensorSpec

CLASSES = 3
NAMES = {'names': "['cone', 'ball', 'box']", 'task': 'detect'}


def cells() -> list[tuple[float, float, int]]:
    """List center x, center y and stride of every anchor, in cells of its stride."""
    return [
        (x + 0.5, y + 0.5, stride)
        for stride in STRIDES
        for y in range(HEIGHT // stride)
        for x in range(WIDTH // stride)
    ]


def answers(seed: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Make distances [2, 4, A] in cells and logits [2, C, A] of two images."""
    rng = np.random.default_rng(seed)
    count = len(cells())
    distances = rng.uniform(0.2, 2, (2, 4, count)).astype(np.float32)
    return distances, rng.normal(-2, 2, (2, classes, count)).astype(np.float32)


def decode(distances: np.ndarray, logits: np.ndarray, image: int) -> Iterator[Found]:
    """Decode one anchor after the other."""
    for number, (x, y, stride) in enumerate(cells()):
        left, top, right, bottom = distances[image, :, number].tolist()
        box = ((x - left) * stride, (y - top) * stride, (x + right) * stride)
        values = logits[image, :, number].tolist()
        best = max(values)
        score = 1 / (1 + np.exp(-best))
        yield (*box, (y + bottom) * stride, score, values.index(best))


def write(
    path: Path, seed: int = 0, *, form: str = 'centers', half: str = 'Div', **more: Any
) -> Path:
    """
    Write a graph that computes boxes from distances as Ultralytics does.

    :param form: 'centers', 'corners', or 'none' for boxes that no arithmetic makes.
    :param half: operator that halves: 'Div' by 2 or 'Mul' by 0.5.
    """
    distances, logits = answers(seed, more.pop('classes', CLASSES))
    outputs = {'boxes raw': distances, 'scores': logits}
    plant(path, outputs, sigmoid=['scores'], metadata=more.pop('metadata', NAMES))
    model = onnx.load(path)
    graph = model.graph
    centers = np.array([[x, y] for x, y, _ in cells()], np.float32).T[None]
    strides = np.array([[stride for *_, stride in cells()]], np.float32)[None]
    two = np.float32(2 if half == 'Div' else 0.5)
    for name, value in (('centers', centers), ('strides', strides), ('two', two)):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    sides = numpy_helper.from_array(np.array([2, 2], np.int64), 'sides')
    graph.initializer.append(sides)
    make = helper.make_node
    nodes = [
        make('Split', ['boxes raw', 'sides'], ['near', 'far'], axis=1),
        make('Sub', ['centers', 'near'], ['a']),
        make('Add', ['centers', 'far'], ['b']),
    ]
    pair = ['a', 'b']
    if form == 'centers':
        nodes += [make('Add', ['a', 'b'], ['sum']), make(half, ['sum', 'two'], ['middle'])]
        nodes += [make('Sub', ['b', 'a'], ['size'])]
        pair = ['middle', 'size']
    nodes += [make('Concat', pair, ['both'], axis=1), make('Mul', ['both', 'strides'], ['reg'])]
    if form == 'none':
        nodes = [make('Neg', ['boxes raw'], ['reg'])]
    graph.node.extend(nodes)
    names = {'reg': 'boxes raw'}
    kept = [value for value in graph.output if value.name != names['reg']]
    shape = ('batch', 4, distances.shape[2])
    del graph.output[:]
    graph.output.extend([*kept, helper.make_tensor_value_info('reg', 1, shape)])
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize('seed', range(2))
@pytest.mark.parametrize(
    ('form', 'half'), [('centers', 'Div'), ('centers', 'Mul'), ('corners', 'Div')]
)
def test_boxes_are_decoded_in_the_form_that_the_graph_makes(
    form: str, half: str, seed: int, tmp_path: Path
) -> None:
    path = write(tmp_path / 'm.onnx', seed, form=form, half=half)
    distances, logits = answers(seed)
    with open_planted(path) as detector:
        assert not detector.info.warnings
        assert ('center' in detector.layout) == (form == 'centers')
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        expected = clip(suppress(decode(distances, logits, image)))
        assert len(expected) > 5
        assert_same(found[image], expected)


def test_four_classes_are_told_from_boxes_by_the_arithmetic(tmp_path: Path) -> None:
    path = write(tmp_path / 'm.onnx', classes=4, metadata={'task': 'detect'})
    distances, logits = answers(0, 4)
    with open_planted(path) as detector:
        found = detector.detect(dark_and_bright()).detections
    assert_same(found[0], clip(suppress(decode(distances, logits, 0))))


def test_boxes_of_unknown_form_are_refused_with_the_remedy_that_works(tmp_path: Path) -> None:
    path = write(tmp_path / 'm.onnx', form='none')
    with pytest.raises(ModelError) as caught:
        open_planted(path)
    text = str(caught.value)
    assert 'set head to yolo_boxes_scores' in text
    assert 'fewer than five values' not in text
    assert 'name the one with the boxes' not in text
    with open_planted(path, head='yolo_boxes_scores') as detector:
        assert 'center boxes [N, 4, A]' in detector.layout


def info(*outputs: tuple[str, tuple[int | None, ...]], **more: Any) -> GraphInfo:
    specs = [TensorSpec(name, shape, np.dtype('f4')) for name, shape in outputs]
    return GraphInfo(tuple(specs), **({'input_size': (HEIGHT, WIDTH)} | more))


@pytest.mark.parametrize(
    'graph',
    [
        # From a plan nothing is known of the graph.
        info(('boxes', (1, 4, 126)), ('scores', (1, 80, 126))),
        # Logits.
        info(
            ('boxes', (1, 4, 126)),
            ('scores', (1, 80, 126)),
            box_forms={'boxes': 'centers'},
            tails={'scores': frozenset({'Concat'})},
        ),
        # Anchors of another input size.
        info(('boxes', (1, 4, 99)), ('scores', (1, 80, 99)), box_forms={'boxes': 'centers'}),
        # Different numbers of anchors.
        info(('boxes', (1, 4, 126)), ('scores', (1, 80, 12)), box_forms={'boxes': 'centers'}),
    ],
)
def test_pairs_that_say_too_little_are_refused(graph: GraphInfo) -> None:
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(graph)


def test_rotated_boxes_are_never_read_without_their_angle() -> None:
    graph = info(
        ('boxes', (1, 4, 126)),
        ('scores', (1, 15, 126)),
        box_forms={'boxes': 'centers'},
        tails={'scores': frozenset({'Sigmoid'})},
        metadata={'task': 'obb'},
    )
    with pytest.raises(ModelError, match='no head layout fits'):
        recognize(graph)


@pytest.mark.parametrize('open_output', [0, 1])
@pytest.mark.parametrize(
    ('anchors', 'expected'), [(len(cells()), (1, 0)), (len(cells()) + 1, None)]
)
def test_number_of_anchors_may_be_known_of_one_output_only(
    open_output: int, anchors: int, expected: tuple[int, int] | None
) -> None:
    counts: list[int | None] = [anchors, anchors]
    counts[open_output] = None
    specs = (
        TensorSpec('scores', (1, CLASSES, counts[0]), np.dtype(np.float32)),
        TensorSpec('boxes', (1, 4, counts[1]), np.dtype(np.float32)),
    )
    assert find_pair(GraphInfo(specs, input_size=(HEIGHT, WIDTH))) == expected


def _rearrange(path: Path, kind: str) -> Path:
    """
    Rearrange the outputs of :func:`write`.

    :param kind: 'plane' for [N, 4 + C, A], 'rows' for [N, A, 4 + C], 'pair' for boxes [N, A, 4]
        and scores [N, A, C] that are cut out of the plane.
    """
    model = onnx.load(path)
    graph = model.graph
    make = helper.make_node
    graph.node.append(make('Concat', ['reg', 'scores'], ['plane'], axis=1))
    graph.node.append(make('Transpose', ['plane'], ['rows'], perm=[0, 2, 1]))
    count = len(cells())
    shapes: dict[str, tuple[int, ...]] = {
        'plane': (4 + CLASSES, count), 'rows': (count, 4 + CLASSES),
    }  # fmt: skip
    names = [kind]
    if kind == 'pair':
        names = ['first', 'rest']
        shapes |= {'first': (count, 4), 'rest': (count, CLASSES)}
        numbers = {'from': 0, 'cut': 4, 'to': 4 + CLASSES, 'axis': 2}
        graph.initializer.extend(
            numpy_helper.from_array(np.array([value]), name) for name, value in numbers.items()
        )
        graph.node.append(make('Slice', ['rows', 'from', 'cut', 'axis'], ['first']))
        graph.node.append(make('Slice', ['rows', 'cut', 'to', 'axis'], ['rest']))
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, 1, ('batch', *shapes[name])) for name in names
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize('form', ['centers', 'corners'])
@pytest.mark.parametrize(
    ('kind', 'head'), [('plane', 'yolo'), ('rows', 'yolo_transposed'), ('pair', 'boxes_scores')]
)
def test_any_arrangement_is_decoded_in_the_form_that_the_graph_makes(
    kind: str, head: str, form: str, tmp_path: Path
) -> None:
    path = _rearrange(write(tmp_path / 'm.onnx', form=form), kind)
    distances, logits = answers(0)
    with open_planted(path) as detector:
        assert not detector.info.warnings
        assert f'head {head} ' in detector.description
        found = detector.detect(dark_and_bright()).detections
    for image in (0, 1):
        expected = clip(suppress(decode(distances, logits, image)))
        assert len(expected) > 5
        assert_same(found[image], expected)
