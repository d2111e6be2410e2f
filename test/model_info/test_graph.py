# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Walks over a graph: raw YOLOX as the exporter writes it, and after ONNX Runtime's tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    quantize_dynamic,
    quantize_static,
    QuantType,
)
import pytest
from support.models import save, tensor
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.model_info import read_model_info
from trt_detector.model_info.graph import output_parts, tail_operators

SIDE, CLASSES, STRIDES = 64, 3, (8, 16, 32)


def _raw_yolox(path: Path) -> Path:
    """Write raw YOLOX: per stride, Concat of boxes, Sigmoid of objectness and of classes."""
    rng = np.random.default_rng(3)
    nodes, weights, levels = [], [], []
    for stride in STRIDES:
        pool = {'kernel_shape': [stride, stride], 'strides': [stride, stride]}
        nodes.append(helper.make_node('AveragePool', ['images'], [f'p{stride}'], **pool))
        for part, count in (('box', 4), ('obj', 1), ('cls', CLASSES)):
            name = f'{part}{stride}'
            weights += [
                tensor(f'{name}_w', rng.normal(0, 2, (count, 3, 1, 1)).astype(np.float32)),
                tensor(f'{name}_b', rng.normal(0, 1, count).astype(np.float32)),
            ]
            conv = 'raw' if part == 'box' else 'logit'
            inputs = [f'p{stride}', f'{name}_w', f'{name}_b']
            nodes.append(helper.make_node('Conv', inputs, [f'{name}_{conv}']))
            if conv == 'logit':
                nodes.append(helper.make_node('Sigmoid', [f'{name}_logit'], [f'{name}_raw']))
        names = [f'{part}{stride}_raw' for part in ('box', 'obj', 'cls')]
        nodes.append(helper.make_node('Concat', names, [f'level{stride}'], axis=1))
        nodes.append(helper.make_node('Reshape', [f'level{stride}', 'flat'], [f'flat{stride}']))
        levels.append(f'flat{stride}')
    nodes.append(helper.make_node('Concat', levels, ['all'], axis=2))
    nodes.append(helper.make_node('Transpose', ['all'], ['output'], perm=[0, 2, 1]))
    return save(
        path,
        nodes,
        inputs={'images': (1, 3, SIDE, SIDE)},
        outputs={'output': (1, 84, 5 + CLASSES)},
        initializers=[*weights, tensor('flat', np.array([1, 5 + CLASSES, -1], np.int64))],
    )


class _Pictures(CalibrationDataReader):
    """Calibration data of a few random pictures."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        shape = (1, 3, SIDE, SIDE)
        self._all = iter([{'images': rng.uniform(-1, 1, shape).astype('f4')} for _ in range(4)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._all, None)


def _optimize(source: Path, target: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=['CPUExecutionProvider'])


def _quantize_dynamic(source: Path, target: Path) -> None:
    quantize_dynamic(source, target, weight_type=QuantType.QUInt8)


def _quantize_operators(source: Path, target: Path) -> None:
    quantize_static(source, target, _Pictures(), quant_format=QuantFormat.QOperator)


def _quantize_qdq(source: Path, target: Path) -> None:
    quantize_static(source, target, _Pictures(), quant_format=QuantFormat.QDQ)


def _expected(rows: np.ndarray, minimum: float) -> Iterator[tuple[list[float], float, int]]:
    """Decode raw YOLOX row by row with Python's numbers, before suppression."""
    cells = [(x, y, s) for s in STRIDES for y in range(SIDE // s) for x in range(SIDE // s)]
    for (x, y, s), row in zip(cells, rows.tolist(), strict=True):
        label = max(range(CLASSES), key=lambda n: row[5 + n])
        score = row[4] * row[5 + label]
        if score >= minimum:
            cx, cy = (row[0] + x) * s, (row[1] + y) * s
            w, h = math.exp(row[2]) * s, math.exp(row[3]) * s
            yield [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], score, label


@pytest.mark.parametrize(
    ('change', 'operator'),
    [
        (None, 'Conv'),
        (_optimize, 'FusedConv'),
        (_quantize_dynamic, 'ConvInteger'),
        (_quantize_operators, 'QLinearConv'),
        (_quantize_qdq, 'DequantizeLinear'),
    ],
)
def test_raw_yolox_is_recognized_after_the_tools_of_onnx_runtime(
    change: Callable[[Path, Path], None] | None, operator: str, tmp_path: Path
) -> None:
    path = _raw_yolox(tmp_path / 'raw.onnx')
    if change is not None:
        source, path = path, tmp_path / 'changed.onnx'
        change(source, path)
    model = read_model_info(path)
    assert operator in model.operators, 'the tool has not done what this test is for'
    info = GraphInfo(
        model.outputs, model.metadata, (SIDE, SIDE), model.operators, model.tails, model.parts
    )
    found = recognize(info)
    assert (found.name, found.head.num_classes) == ('yolox', CLASSES)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    picture = np.random.default_rng(1).uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
    output = session.run(None, {'images': picture})[0]
    options = DecodeOptions(score_threshold=0.3, iou_threshold=1.0)
    [detections] = found.head.decode([output], options)
    expected = sorted(_expected(output[0], 0.3), key=lambda one: -one[1])
    assert len(expected) > 5
    np.testing.assert_allclose(detections.scores, [one[1] for one in expected], atol=1e-5)
    np.testing.assert_allclose(
        np.sort(detections.boxes_xyxy, axis=0),
        np.sort(np.array([one[0] for one in expected]), axis=0),
        rtol=1e-4,
        atol=1e-3,
    )


def _graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), 'g', [], [])


def test_a_fused_activation_is_in_the_tail() -> None:
    graph = _graph(
        helper.make_node('FusedConv', ['x', 'w'], ['a'], activation='Sigmoid'),
        helper.make_node('QLinearSigmoid', ['b'], ['c']),
        helper.make_node('QLinearConcat', ['a', 'c'], ['y']),
    )
    assert tail_operators(graph, 'y') == {'Sigmoid', 'Concat'}


@pytest.mark.parametrize('operator', ['ConvInteger', 'MatMulInteger'])
def test_scales_and_bias_of_integers_are_no_arithmetic(operator: str) -> None:
    graph = _graph(
        helper.make_node(operator, ['x', 'w'], ['i']),
        helper.make_node('Cast', ['i'], ['f'], to=1),
        helper.make_node('Mul', ['f', 'scale'], ['s']),
        helper.make_node('Add', ['s', 'bias'], ['l']),
        helper.make_node('Sigmoid', ['l'], ['y']),
        helper.make_node('Mul', ['y', 'two'], ['z']),
    )
    assert tail_operators(graph, 'y') == {'Sigmoid'}
    assert tail_operators(graph, 'z') == {'Sigmoid', 'Mul'}


def test_parts_of_an_output_are_in_the_order_of_its_columns(tmp_path: Path) -> None:
    path = save(
        tmp_path / 'm.onnx',
        [
            helper.make_node('MatMul', ['x', 'eye'], ['boxes']),
            helper.make_node('ArgMax', ['boxes'], ['best'], axis=1, keepdims=1),
            helper.make_node('Cast', ['best'], ['label'], to=1),
            helper.make_node('Gather', ['boxes', 'first'], ['score'], axis=1),
            helper.make_node('Concat', ['boxes', 'label', 'score'], ['rows'], axis=1),
            helper.make_node('Identity', ['rows'], ['y']),
        ],
        inputs={'x': ('n', 4)},
        outputs={'y': ('n', 6)},
        initializers=[
            tensor('eye', np.eye(4, dtype=np.float32)), tensor('first', np.array([0])),
        ],
    )  # fmt: skip
    parts = output_parts(onnx.load(path), 'y')
    assert [part.width for part in parts] == [4, 1, 1]
    assert [part.operators for part in parts] == [set(), {'Cast', 'ArgMax'}, {'Gather'}]
    assert output_parts(onnx.load(path), 'boxes') == ()
