# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What every head layout offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from ..values.candidates import CandidateRule, Candidates
from ..values.detections import Detections
from .graph_info import GraphInfo

__all__ = ['CandidateHead', 'DecodeOptions', 'Fit', 'Head', 'HeadLayout']


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """
    Which detections are reported.

    :param score_threshold: least score, 0 to 1.
    :param iou_threshold: of two boxes of one class whose intersection over union is larger, the
        better one stays.
    :param max_detections: most detections in one image, at least 1.
    :param classes: the class ids to report, None for all.
    :param class_agnostic: whether boxes of different classes suppress each other, too.
    :param class_score_thresholds: class ids with a least score of their own.
    """

    score_threshold: float = 0.25
    iou_threshold: float = 0.45
    max_detections: int = 300
    classes: frozenset[int] | None = None
    class_agnostic: bool = False
    class_score_thresholds: tuple[tuple[int, float], ...] = ()

    @property
    def least_score(self) -> float:
        """Return the score that a detection of any class has at least."""
        return min([self.score_threshold, *(score for _, score in self.class_score_thresholds)])


class Head(Protocol):
    """Decodes the outputs of one layout."""

    @property
    def layout(self) -> str:
        """Return the layout's description, as recognition and the log write it."""

    @property
    def num_classes(self) -> int | None:
        """Return the number of classes, None where the outputs do not tell it."""

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """
        Decode a batch.

        :param outputs: one array an output of the network, first dimension the batch.
        :return: one result an image, boxes in pixels of the network's input, best first, finite
            and of positive size, but not clipped. The boxes are copies: they stay valid when the
            outputs are written again.
        """


@runtime_checkable
class CandidateHead(Head, Protocol):
    """Decodes a raw output, of which most predictions are background."""

    @property
    def candidate_rule(self) -> CandidateRule:
        """Return which predictions it has to see."""

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """
        Decode the predictions that the rule leaves at the options' least score.

        :param candidates: one an image.
        :return: what decode() returns for the whole output.
        """


@dataclass(frozen=True, slots=True)
class Fit:
    """
    How well a layout fits a graph.

    :param num_classes: C of that reading, None where it does not tell.
    :param reading: what the outputs would mean, for people.
    :param make: returns the decoder; ModelError if something that it needs is unknown.
    :param certain: whether names, metadata or operators say so, and not shapes alone.
    :param grade: of readings that are equally certain the highest is taken; below 0 only where
        the user asks for it.
    """

    num_classes: int | None
    reading: str
    make: Callable[[], Head]
    certain: bool = False
    grade: int = 0


class HeadLayout(Protocol):
    """Recognizes one layout."""

    name: str
    description: str
    preset: str

    def fit(self, facts: GraphInfo) -> Fit | None:
        """Return how well the layout fits, None if the outputs cannot be of it."""
