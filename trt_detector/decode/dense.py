# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What the layouts with a prediction for every anchor read from a graph alike."""

from __future__ import annotations

from dataclasses import dataclass

from .facts import GraphFacts

__all__ = ['DenseOutput', 'read_dense']


@dataclass(frozen=True, slots=True)
class DenseOutput:
    """
    An output read as predictions for anchors.

    :param output: number of the output.
    :param num_classes: C of that reading.
    :param a_cell: predictions of a cell: 1, 3, 0 if the anchors do not fit the input size, None
        if that is unknown.
    :param likely: whether nothing speaks against the reading.
    :param usual: whether C is that of most models, and no class names say otherwise.
    """

    output: int
    num_classes: int
    a_cell: int | None
    likely: bool
    usual: bool


def read_dense(facts: GraphFacts, leading: int, *, values_last: bool) -> DenseOutput | None:
    """
    Return the only output of rank 3 as predictions for anchors, None if it cannot be.

    :param leading: values of a prediction before its class scores.
    :param values_last: whether to read it as [N, anchors, values], else as [N, values, anchors].
    """
    plane = facts.plane()
    if plane is None:
        return None
    _, values, anchors = plane[1].shape
    if values_last:
        values, anchors = anchors, values
    if values is None or values - facts.extra_values() <= leading:
        return None
    num_classes = values - facts.extra_values() - leading
    a_cell = facts.anchors(anchors)
    likely = not (facts.end2end or facts.detr)
    if not a_cell and (facts.anchors(values) == 1 or (anchors and anchors <= values)):
        # Then the other dimension is that of the anchors.
        likely = False
    return DenseOutput(plane[0], num_classes, a_cell, likely, facts.is_usual(num_classes))
