# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions of a raw head that can become detections, selected before they are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['CandidateRule', 'Candidates']


@dataclass(frozen=True, slots=True)
class CandidateRule:
    """
    Rule that selects the predictions that can become detections.

    A prediction is skipped if the maximum of its deciding values is below the minimum score; one
    with a NaN among them is selected.

    :param output: index of the network's output, [N, values, A] with A predictions.
    :param values_last: the output is [N, A, values] instead.
    :param values: number of values per prediction that the decoder reads.
    :param first: index of the first deciding value.
    :param last: index after the last deciding value.
    """

    output: int
    values_last: bool
    values: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """
    Selected predictions of one image, in the network's order.

    :param values: (n, values) of the output's dtype; valid until the batch slot is reused.
    :param numbers: (n,) indices of the predictions.
    """

    values: npt.NDArray[Any]
    numbers: npt.NDArray[np.int32]
