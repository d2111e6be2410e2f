# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces of head layouts (recognition) and heads (decoding)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, unique
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..values.candidates import CandidateRule, Candidates
from ..values.detections import Detections
from .feature_maps import score_to_logit, sigmoid
from .graph_info import GraphInfo

__all__ = [
    'CandidateHead',
    'DecodeOptions',
    'DoubtingHead',
    'Evidence',
    'Head',
    'HeadLayout',
    'LayoutMatch',
    'RawValues',
]


@dataclass(frozen=True, slots=True)
class RawValues:
    """
    Meaning of a network's values, if the user overrides that of the layout.

    :param boxes: 'pixels' or 'normalized', 'auto' for the layout's own.
    :param scores: 'probabilities' or 'logits', 'auto' for the layout's own.
    :param box_scale: factors for x and y that make pixels of what the layout decodes; None for 1.
    """

    boxes: str = 'auto'
    scores: str = 'auto'
    box_scale: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """
    Selection of the detections to return.

    :param score_threshold: minimum score, 0 to 1.
    :param iou_threshold: if two boxes of one class have a larger intersection over union, only
        the one with the higher score is kept.
    :param max_detections: maximum number of detections per image, at least 1.
    :param classes: the class IDs to return, None for all.
    :param class_agnostic: suppress duplicates across classes, too.
    :param class_score_thresholds: (class ID, minimum score) of classes with their own threshold.
    :param raw: meaning of the network's values.
    :param class_map: ID under which each class of the network is returned; None if it is its own.
        The other options are about these IDs.
    """

    score_threshold: float = 0.25
    iou_threshold: float = 0.45
    max_detections: int = 300
    classes: frozenset[int] | None = None
    class_agnostic: bool = False
    class_score_thresholds: tuple[tuple[int, float], ...] = ()
    raw: RawValues = RawValues()
    class_map: tuple[int, ...] | None = None

    @property
    def minimum_score(self) -> float:
        """Lowest of the thresholds: every detection has at least this score."""
        return min([self.score_threshold, *(score for _, score in self.class_score_thresholds)])

    @property
    def minimum_value(self) -> float:
        """Lowest class value in the network's output that can reach the minimum score."""
        if self.raw.scores == 'logits':
            return score_to_logit(self.minimum_score)
        return self.minimum_score

    def has_minimum_score(
        self, scores: npt.NDArray[np.float32], class_ids: npt.NDArray[Any]
    ) -> npt.NDArray[np.bool_]:
        """Mask the scores (n,) that reach the threshold of their class (n,)."""
        if not self.class_score_thresholds:
            return np.asarray(scores >= self.score_threshold)
        minimum = np.full(len(scores), self.score_threshold)
        for class_id, score in self.class_score_thresholds:
            minimum[class_ids == class_id] = score
        return np.asarray(scores >= minimum)

    def lower_to(self, score: float) -> DecodeOptions:
        """Make the same options with no threshold above a score."""
        return replace(
            self,
            score_threshold=min(self.score_threshold, score),
            class_score_thresholds=tuple(
                (class_id, min(own, score)) for class_id, own in self.class_score_thresholds
            ),
        )

    def map_classes(self, class_ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """
        Map classes of the network to those to return.

        :param class_ids: (n,), whole numbers in any dtype; what is no class of the map stays.
        """
        if self.class_map is None:
            return class_ids
        mapped = class_ids.copy()
        known = (class_ids >= 0) & (class_ids < len(self.class_map))
        mapped[known] = np.array(self.class_map)[class_ids[known].astype(np.intp)]
        return mapped

    def to_scores(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Convert class values of the network to scores."""
        return sigmoid(values) if self.raw.scores == 'logits' else values


class Head(Protocol):
    """Decoder for the outputs of one layout."""

    @property
    def layout(self) -> str:
        """Description of the layout for the log."""

    @property
    def num_classes(self) -> int | None:
        """Number of classes, None if the outputs do not tell."""

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """
        Decode a batch.

        :param outputs: one array per output of the network, the first dimension is the batch.
        :return: one result per image; boxes in pixels of the network's input, highest score
            first, finite and of positive size, not clipped. The arrays are copies: they stay
            valid when the outputs are overwritten.
        """


@runtime_checkable
class CandidateHead(Head, Protocol):
    """Decoder for a raw output in which most predictions are background."""

    @property
    def candidate_rule(self) -> CandidateRule:
        """Rule that selects the predictions to decode."""

    def decode_candidates(
        self, candidates: Sequence[Candidates], options: DecodeOptions
    ) -> list[Detections]:
        """
        Decode the predictions that the rule selects at the options' minimum score.

        :param candidates: one entry per image.
        :return: the same result as decode() on the whole output.
        """


@runtime_checkable
class DoubtingHead(Head, Protocol):
    """Decoder that knows values which contradict its layout."""

    def find_doubt(self, outputs: Sequence[npt.NDArray[Any]]) -> str:
        """
        Find what contradicts the layout in the outputs of a batch.

        :return: sentence for the user, '' if nothing does.
        """


@unique
class Evidence(IntEnum):
    """Strength of the evidence that a graph has a certain layout, weakest first."""

    #: The outputs can be read so, but something contradicts: only if the user names the layout.
    ON_REQUEST = 0
    #: The number of dimensions and values allows it.
    POSSIBLE = 1
    #: Nothing contradicts, and the number of predictions is open.
    OPEN_SHAPE = 2
    #: There are too few rows for anchors.
    FEW_ROWS = 3
    #: The number of predictions is that of one anchor per cell.
    ANCHORS = 4
    #: The number of predictions is that of three anchors per cell.
    THREE_ANCHORS = 5
    #: Operators of the graph say so.
    OPERATORS = 6
    #: Names, ranks and element types of the outputs say so.
    OUTPUTS = 7
    #: Metadata say so.
    METADATA = 8


@dataclass(frozen=True, slots=True)
class LayoutMatch:
    """
    Reading of a graph's outputs by one layout.

    :param num_classes: number of classes in this reading, None if it does not tell.
    :param reading: meaning of the outputs in this reading, for messages.
    :param build: builds the head; raises ModelError if something that it needs is unknown.
    :param evidence: strength of the evidence for this reading.
    :param preference: decides between readings of equal evidence; the larger one is more common.
    :param warnings: sentences for the user: assumptions of this reading.
    :param doubt: sentence for the user, unless the parameter head names the layout.
    :param preset: preprocessing that this graph expects, '' for that of the layout.
    :param assumption: sentence for the user if nothing but the layout tells the preprocessing.
    :param rotated: the boxes have angles.
    :param boxes: index of the output with the boxes, and the form that the head reads, 'centers'
        or 'corners'; None if it follows the graph, or reads another form.
    """

    num_classes: int | None
    reading: str
    build: Callable[[], Head]
    evidence: Evidence
    preference: int = 0
    warnings: tuple[str, ...] = ()
    doubt: str = ''
    preset: str = ''
    assumption: str = ''
    rotated: bool = False
    boxes: tuple[int, str] | None = None


class HeadLayout(Protocol):
    """
    Recognizer of one layout.

    ``name`` is the value of the parameter 'head', ``description`` the meaning of the outputs,
    ``preset`` the preprocessing that networks of this layout expect, ``single_image`` is true if
    the outputs are those of one image, without a batch dimension, and ``normalized`` if the
    layout's boxes are relative to the input size.
    """

    name: str
    description: str
    preset: str
    single_image: bool
    normalized: bool

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph; None if its outputs cannot have this layout."""
