# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that a network has selected: read by their columns, and not suppressed once more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.values.tensor_spec import TensorSpec

# Two objects of a class that overlap by more than 0.45, and one of another class.
BOXES = np.array([[10, 20, 50, 60], [12, 20, 52, 60], [100, 10, 130, 40]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
CLASSES = np.array([5, 5, 2])


def _info(outputs: dict[str, np.ndarray], **more: Any) -> GraphInfo:
    specs = [TensorSpec(name, value.shape, value.dtype) for name, value in outputs.items()]
    return GraphInfo(tuple(specs), input_size=(640, 640), **more)


def _check(outputs: dict[str, np.ndarray], count: int = 3, **more: Any) -> None:
    """Decode, and compare with the rows."""
    [found] = recognize(_info(outputs, **more)).head.decode(
        list(outputs.values()), DecodeOptions()
    )
    kept = [0, 1, 2] if count == 3 else [0, 2]
    np.testing.assert_array_equal(found.boxes_xyxy, BOXES[kept])
    np.testing.assert_array_equal(found.scores, SCORES[kept])
    np.testing.assert_array_equal(found.class_ids, CLASSES[kept])


@pytest.mark.parametrize(
    ('name', 'order'),
    [
        ('batchno_classid_score_x1y1x2y2', (CLASSES, SCORES, BOXES)),
        ('batchno_score_classid_x1y1x2y2', (SCORES, CLASSES, BOXES)),
        ('batchno_x1y1x2y2_score_classid', (BOXES, SCORES, CLASSES)),
        ('batchno_x1y1x2y2_classid_score', (BOXES, CLASSES, SCORES)),
    ],
)
def test_rows_with_a_batch_index(name: str, order: tuple[np.ndarray, ...]) -> None:
    _check({name: np.column_stack((np.zeros(3), *order)).astype(np.float32)})


def test_rows_of_an_end_to_end_network() -> None:
    rows = np.column_stack((BOXES, SCORES, CLASSES)).astype(np.float32)
    _check({'output0': rows[None]}, metadata={'end2end': 'True'})
    # Mask coefficients behind the class, and the masks before the rows.
    longer = np.column_stack((rows, np.ones((3, 32)))).astype(np.float32)
    masks = np.zeros((1, 32, 160, 160), np.float32)
    _check(
        {'masks': masks, 'output0': longer[None]}, metadata={'end2end': 'True', 'task': 'segment'}
    )


def test_rows_of_efficient_nms() -> None:
    _check({
        'num_dets': np.array([[3]], np.int32), 'det_boxes': BOXES[None],
        'det_scores': SCORES[None], 'det_classes': CLASSES[None].astype(np.int32),
    })  # fmt: skip


@pytest.mark.parametrize(('rows', 'count'), [(3, 3), (8400, 2)])
def test_rows_of_mmdeploy_are_suppressed_only_if_there_is_one_per_anchor(
    rows: int, count: int
) -> None:
    dets, labels = np.zeros((1, rows, 5), np.float32), np.zeros((1, rows), np.int64)
    dets[0, :3, :4], dets[0, :3, 4], labels[0, :3] = BOXES, SCORES, CLASSES
    _check({'dets': dets, 'labels': labels}, count)


@pytest.mark.parametrize(('rows', 'count'), [(3, 3), (8400, 2)])
def test_rows_of_a_deployed_detr_are_suppressed_only_if_there_is_one_per_anchor(
    rows: int, count: int
) -> None:
    boxes, scores = np.zeros((1, rows, 4), np.float32), np.zeros((1, rows), np.float32)
    labels = np.zeros((1, rows), np.int64)
    boxes[0, :3], scores[0, :3], labels[0, :3] = BOXES, SCORES, CLASSES
    _check({'labels': labels, 'boxes': boxes, 'scores': scores}, count)


def test_rows_of_torchvision_are_those_of_one_image() -> None:
    _check({'boxes': BOXES, 'labels': CLASSES, 'scores': SCORES})
