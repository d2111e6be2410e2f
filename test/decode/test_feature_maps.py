# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Strides of feature maps, and thresholds on their logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from trt_detector.decode import GraphInfo
from trt_detector.decode.feature_maps import find_stride, score_to_logit, sigmoid


@pytest.mark.parametrize(
    'score', [0.001, 0.25, 0.5, 0.75, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 1.0]
)
def test_a_threshold_on_logits_loses_no_prediction_and_lets_few_more_in(score: float) -> None:
    exact = math.log(score / (1 - score)) if score < 1 else 17.0
    logits = np.linspace(exact - 2, exact + 2, 400_001, dtype=np.float32)
    threshold = score_to_logit(score)
    enough = sigmoid(logits) >= np.float32(score)
    assert (logits[enough] >= threshold).all()
    assert score - 3e-5 < 1 / (1 + math.exp(-threshold)) < score


@pytest.mark.parametrize('score', [0.0, -1.0, -math.inf])
def test_every_logit_reaches_a_threshold_of_zero(score: float) -> None:
    assert score_to_logit(score) == -math.inf


@pytest.mark.parametrize('stride', [4, 8, 16, 32, 64, 128])
def test_cells_at_the_edge_may_be_cut(stride: int) -> None:
    rows, columns = 3, 5
    for height, width in ((2 * stride + 1, 4 * stride + 1), (3 * stride, 5 * stride)):
        found = find_stride(GraphInfo((), input_size=(height, width)), rows, columns)
        assert found is not None
        assert (found.rows, found.columns, found.stride, found.count) == (3, 5, stride, 15)
        assert found.corners(np.array([0, 4, 5, 14])).tolist() == [[0, 0], [4, 0], [0, 1], [4, 2]]


@pytest.mark.parametrize(
    ('rows', 'columns', 'size'),
    [(20, 20, None), (None, 20, (160, 160)), (20, None, (160, 160)), (20, 21, (160, 160))],
)
def test_sizes_of_no_stride(
    rows: int | None, columns: int | None, size: tuple[int, int] | None
) -> None:
    assert find_stride(GraphInfo((), input_size=size), rows, columns) is None
