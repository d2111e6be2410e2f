# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Raw feature maps of a network: their strides, and the scores of their logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .graph_info import GraphInfo

__all__ = ['CellMap', 'find_stride', 'has_logits', 'score_to_logit', 'sigmoid']

_STRIDES = (4, 8, 16, 32, 64, 128)
# Rounding must not remove a prediction that has exactly the minimum score: that of a score in
# float32 counts near 1, that of a logit elsewhere.
_SCORE_MARGIN = 2e-7
_LOGIT_MARGIN = 1e-4


@dataclass(frozen=True, slots=True)
class CellMap:
    """
    Grid of cells of one stride.

    :param rows: number of rows of cells.
    :param columns: number of cells per row.
    :param stride: width and height of a cell in input pixels.
    """

    rows: int
    columns: int
    stride: int

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    def corners(self, indices: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """
        Compute column and row of cells.

        :param indices: (n,), counted row by row.
        :return: (n, 2).
        """
        rows, columns = np.divmod(indices, self.columns)
        return np.stack((columns, rows), axis=1).astype(np.float32)


def find_stride(info: GraphInfo, rows: int | None, columns: int | None) -> CellMap | None:
    """
    Match the size of an output with the cells of a stride.

    :return: None if a size is unknown or no stride of 4 to 128 has so many cells.
    """
    if info.input_size is None or rows is None or columns is None:
        return None
    height, width = info.input_size
    for stride in _STRIDES:
        if (math.ceil(height / stride), math.ceil(width / stride)) == (rows, columns):
            return CellMap(rows, columns, stride)
    return None


def has_logits(info: GraphInfo, outputs: Sequence[int]) -> bool | None:
    """
    Tell whether outputs are logits: their graphs end without a Sigmoid. None if unknown.

    :param outputs: indices of the outputs.
    """
    tails = [info.tail(info.outputs[index]) for index in outputs]
    if any(tail is None for tail in tails):
        return None
    # Quantized graphs have a QLinearSigmoid.
    return not any('Sigmoid' in operator for tail in tails for operator in tail or ())


def sigmoid(logits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Compute the scores of logits in float32."""
    with np.errstate(over='ignore', invalid='ignore'):
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float32, copy=False))), np.float32)


def score_to_logit(score: float) -> float:
    """
    Compute the logit of a minimum score, rounded down a little.

    :param score: at most 1; -inf is the logit of 0 and below.
    """
    score -= _SCORE_MARGIN
    return math.log(score / (1 - score)) - _LOGIT_MARGIN if score > 0 else -math.inf
