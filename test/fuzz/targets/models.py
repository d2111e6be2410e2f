# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Targets: ONNX files, their metadata, and the outputs from which a head is recognized."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import helper, TensorProto
from trt_detector.config import parameter_specs
from trt_detector.decode import DecodeOptions, GraphInfo, recognize, Recognized
from trt_detector.model_info import (
    ModelInfo,
    prepare_model,
    read_model_info,
    resolve_external_data,
    slice_unequal_splits,
)
from trt_detector.values.output_part import OutputPart
from trt_detector.values.tensor_spec import TensorSpec

from ..byte_reader import ByteReader
from ..invariants import attempt, check_text
from ..scratch import scratch_files

SIDE = 64
LARGEST_OUTPUT = 40_000
HEADS = ('auto', *next(spec.choices for spec in parameter_specs() if spec.name == 'head')[1:])
NAMES = (
    'output0', 'output1', 'output', 'boxes', 'scores', 'labels', 'dets', 'logits', 'pred_boxes',
    'pred_logits', 'num_dets', 'det_boxes', 'det_scores', 'det_classes', 'detection_boxes',
    'detection_scores', 'detection_classes', 'num_detections', 'confs', 'BatchedNMS',
    'BatchedNMS_1', 'batchno_classid_score_x1y1x2y2', 'bbox', 'bbox_num', 'a', 'b', 'c', '',
)  # fmt: skip
# 84 and 252: the anchors of 64x64 pixels, once and thrice.
DIMENSIONS = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 24, 32, 35, 39, 64, 80, 84, 85, 86, 91, 100, 116,
    144, 252, 255, 300, 320, None, None,
)  # fmt: skip
TYPES = tuple(
    map(np.dtype, ('float32', 'float32', 'float32', 'float16', 'int32', 'int64', 'bool'))
)
OPERATORS = (
    'Sigmoid', 'Exp', 'Mul', 'Add', 'TopK', 'ArgMax', 'Softmax', 'Log', 'GridSample', 'Concat',
    'NonMaxSuppression', 'EfficientNMS_TRT', 'BatchedNMSDynamic_TRT', 'Cast', 'Gather', 'Max',
    'ReduceMax', 'MultiscaleDeformableAttnPlugin_TRT', 'Transpose', 'Div', 'Sub',
)  # fmt: skip
KEYS = (
    'names', 'imgsz', 'stride', 'task', 'head', 'end2end', 'kpt_shape', 'anchors', 'args',
    'model_type', 'description', 'batch', 'author',
)  # fmt: skip
TASKS = ('detect', 'segment', 'pose', 'obb', 'classify', '')


def check_found(found: Any, count: int, minimum: float) -> None:
    """
    Check the detections of one batch.

    A network can give scores above 1, which the check of its values reports.
    """
    assert len(found) == count
    for one in found:
        boxes, scores = np.asarray(one.boxes_xyxy), np.asarray(one.scores)
        assert boxes.shape == (len(scores), 4)
        assert np.isfinite(boxes).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (scores >= minimum).all()
        assert (np.diff(scores) <= 0).all()
        assert (np.asarray(one.class_ids) >= 0).all()
        assert one.angles is None or np.isfinite(one.angles).all()


def _fill(reader: ByteReader, spec: TensorSpec) -> np.ndarray[Any, Any] | None:
    """Make values for an output; None if it is too large."""
    sizes = [reader.integer() % 33 if dim is None else dim for dim in spec.shape[1:]]
    shape = (1, *sizes)
    if np.prod(shape, dtype=float) > LARGEST_OUTPUT:
        return None
    rng = np.random.default_rng(reader.integer())
    kind = reader.integer() % 6
    values = rng.uniform(0, 1, shape) if kind else rng.normal(0, 4, shape)
    if kind in (2, 3) and len(shape) > 2:
        values[(..., slice(0, 4)) if kind == 2 else (slice(None), slice(0, 4))] *= SIDE
    elif kind == 4:
        values *= SIDE
    elif kind == 5:
        strange = rng.choice([np.nan, np.inf, -np.inf, 3e38, -1.0], shape)
        values = np.where(rng.random(shape) < 0.1, strange, values)
    with np.errstate(all='ignore'):
        return values.astype(spec.dtype)


def _decode(reader: ByteReader, found: Recognized, outputs: tuple[TensorSpec, ...]) -> None:
    """Decode outputs of any values."""
    arrays = [_fill(reader, spec) for spec in outputs]
    if any(array is None for array in arrays):
        return
    options = DecodeOptions(score_threshold=reader.choice((0.25, 0.0, 0.6)), max_detections=20)
    # NumPy's warnings of overflow in values like 3e38 are no fault.
    with np.errstate(all='ignore'):
        decoded = attempt(found.head.decode, arrays, options)
    if decoded is not None and not found.single_image:
        check_found(decoded, 1, options.minimum_score)


def check_interpretation(metadata: Mapping[str, str]) -> None:
    """Recognize the head of a usual YOLO and of a segmentation model with any metadata."""
    box = TensorSpec('output0', (1, 39, 84), np.dtype(np.float32))
    masks = TensorSpec('output1', (1, 32, 16, 16), np.dtype(np.float32))
    for outputs in ((box,), (box, masks)):
        info = GraphInfo(outputs, metadata, (SIDE, SIDE), tails={'output0': frozenset()})
        found = attempt(recognize, info)
        if found is not None:
            for warning in found.warnings:
                check_text(warning)
            classes = found.head.num_classes
            assert classes is None or 0 < classes < 84


def _metadata(reader: ByteReader) -> dict[str, str]:
    """Read a few metadata entries."""
    entries = {}
    for _ in range(reader.integer() % 5):
        key = reader.choice(KEYS)
        entries[key] = reader.choice(TASKS) if key == 'task' else reader.text()
    return entries


def _tail(reader: ByteReader) -> frozenset[str]:
    return frozenset(reader.choice(OPERATORS) for _ in range(reader.integer() % 5))


def check_graph_outputs(data: bytes) -> None:
    """Recognize a head from any outputs, names, tails and metadata, and decode with it."""
    reader = ByteReader(data)
    outputs = []
    for _ in range(1 + reader.integer() % 6):
        name = reader.choice(NAMES) or reader.text()
        dims = tuple(reader.choice(DIMENSIONS) for _ in range(reader.integer() % 4))
        outputs.append(TensorSpec(name, (1, *dims), reader.choice(TYPES)))
    specs = tuple(outputs)
    metadata = _metadata(reader)
    tails = {spec.name: _tail(reader) for spec in specs if reader.flag()}
    parts = {}
    if reader.flag():
        widths = [reader.choice((1, 2, 4, None)) for _ in range(reader.integer() % 8)]
        parts = {specs[0].name: tuple(OutputPart(width, _tail(reader)) for width in widths)}
    info = GraphInfo(
        outputs=specs,
        metadata=metadata,
        input_size=(SIDE, SIDE) if reader.flag() else None,
        operators=frozenset().union(*tails.values(), _tail(reader)),
        tails=tails,
        parts=parts,
        num_names=reader.choice((None, 1, 3, 80)),
    )
    wanted = [reader.choice(specs).name for _ in range(reader.integer() % 3)]
    found = attempt(
        recognize,
        info,
        reader.choice(HEADS) if reader.flag() else 'auto',
        outputs=wanted,
        boxes=reader.choice(('auto', 'auto', 'pixels', 'normalized')),
        scores=reader.choice(('auto', 'auto', 'probabilities', 'logits')),
    )
    if found is None:
        return
    for warning in (*found.warnings, found.assumption):
        if warning:
            check_text(warning)
    classes = found.head.num_classes
    assert classes is None or classes > 0
    _decode(reader, found, specs)


@cache
def _network() -> onnx.ModelProto:
    """Make a graph with one output of a YOLO."""
    image = helper.make_tensor_value_info('images', TensorProto.FLOAT, ('n', 3, 'h', 'w'))
    output = helper.make_tensor_value_info('output0', TensorProto.FLOAT, ('n', 39, 84))
    nodes = [helper.make_node('Conv', ['images', 'w'], ['output0'])]
    weight = helper.make_tensor('w', TensorProto.FLOAT, (1, 1, 1, 1), [1.0])
    graph = helper.make_graph(nodes, 'g', [image], [output], initializer=[weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])


def check_onnx_metadata(data: bytes) -> None:
    """Read an ONNX file with any metadata."""
    reader = ByteReader(data)
    entries = _metadata(reader)
    rest = reader.rest()
    if rest:
        entries[reader.choice(KEYS) if reader.flag() else 'names'] = rest.decode(errors='replace')
    model = onnx.ModelProto()
    model.CopyFrom(_network())
    helper.set_model_props(model, entries)
    with scratch_files({'model.onnx': model.SerializeToString()}) as folder:
        info = attempt(read_model_info, folder / 'model.onnx')
    assert info is not None, 'metadata never stop a model'
    _check_info(info)
    check_interpretation(info.metadata)


def check_onnx_file(data: bytes) -> None:
    """Read any file as ONNX, recognize its head and prepare it for a runtime."""
    files = {'model.onnx': data, 'weights.bin': bytes(64)}
    with scratch_files(files) as folder:
        path = folder / 'model.onnx'
        info = attempt(read_model_info, path)
        if info is None:
            return
        _check_info(info)
        attempt(lambda: info.image_input)
        prepared = attempt(lambda: prepare_model(info, (SIDE, SIDE)))
        if prepared is not None:
            sliced = attempt(slice_unequal_splits, prepared)
            assert sliced is None or onnx.load_model_from_string(sliced).graph.node
        resolved, weights = resolve_external_data(data, folder)
        assert weights == folder
        assert resolved == data
        graph = GraphInfo(
            info.outputs, info.metadata, info.input_size, info.operators, info.tails, info.parts
        )
        found = attempt(recognize, graph)
        if found is not None:
            classes = found.head.num_classes
            assert classes is None or classes > 0


def _check_info(info: ModelInfo) -> None:
    """Check the description of an ONNX file."""
    assert len(info.sha256) == 64
    for spec in (*info.inputs, *info.outputs):
        assert isinstance(spec.name, str)
        assert all(dim is None or (type(dim) is int and dim > 0) for dim in spec.shape)
    names = info.class_names
    assert names is None or (names and all(isinstance(name, str) for name in names))
    for pair in (info.input_size, info.stride and (info.stride, 1)):
        assert pair is None or (len(pair) == 2 and all(type(n) is int and n > 0 for n in pair))
    for warning in info.warnings:
        check_text(warning)
