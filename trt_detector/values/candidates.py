# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The predictions of a raw head that may become detections, picked before they are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['CandidateRule', 'Candidates']


@dataclass(frozen=True, slots=True)
class CandidateRule:
    """
    How to tell which predictions can become detections.

    A prediction is left out if the best of some of its values is below the least score; one with
    a NaN among them is not.

    :param output: number of the network's output, [N, values, A] with A predictions.
    :param values_last: the output is [N, A, values] instead.
    :param values: how many values of a prediction the decoder reads.
    :param first: first of the values that decide.
    :param last: number behind the last of them.
    """

    output: int
    values_last: bool
    values: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """
    The predictions of one image that were not left out, in the network's order.

    :param values: (n, values) of the output's dtype; valid until the slot is used again.
    :param numbers: (n,) which predictions they are.
    """

    values: npt.NDArray[Any]
    numbers: npt.NDArray[np.int32]
