# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""One of the tensors that are concatenated to an output."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ['OutputPart']


@dataclass(frozen=True, slots=True)
class OutputPart:
    """
    One of the tensors that are concatenated along the last axis of an output.

    :param width: size of the last axis, None if unknown.
    :param operators: operator types on the way of its data from the last convolution or matrix
        product; operators that only compute indices are not among them.
    """

    width: int | None
    operators: frozenset[str]
