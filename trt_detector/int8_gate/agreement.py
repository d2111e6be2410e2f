# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Agreement of two detectors on the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..decode.nms_rotated import rotated_iou
from ..decode.overlap import intersection_over_union
from ..image.image import Image
from ..values.detections import Detections

__all__ = ['Agreement', 'compare_detections', 'low_threshold', 'match_boxes', 'run_gate']

MATCH_IOU = 0.5
# The matching detection may score down to this share of the threshold: one that
# barely crosses the threshold is not a disagreement.
_LOW_SHARE = 0.6

DetectFunction = Callable[[Sequence[Image]], Sequence[Detections]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    Detections that two detectors have in common on some pictures.

    :param frames: pictures.
    :param reference: detections of the reference.
    :param found: those of them that the candidate found again: same class, IoU 0.5 or more.
    :param candidate: detections of the candidate.
    :param confirmed: those of them that the reference has as well.
    :param drift_sum: sum of the score differences (candidate - reference) of the found ones.
    """

    frames: int = 0
    reference: int = 0
    found: int = 0
    candidate: int = 0
    confirmed: int = 0
    drift_sum: float = 0.0

    @property
    def share(self) -> float:
        """
        Return the smaller of the shares found and confirmed, 0 to 1.

        Both count: a detector that reports boxes everywhere finds every detection again.
        """
        if not self.reference and not self.candidate:
            return 1.0
        return min(
            self.found / self.reference if self.reference else 0.0,
            self.confirmed / self.candidate if self.candidate else 0.0,
        )

    @property
    def score_drift(self) -> float:
        """Return the mean score difference of the detections found again."""
        return self.drift_sum / self.found if self.found else 0.0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.frames + other.frames,
            self.reference + other.reference,
            self.found + other.found,
            self.candidate + other.candidate,
            self.confirmed + other.confirmed,
            self.drift_sum + other.drift_sum,
        )

    def __str__(self) -> str:
        return (
            f'{self.found} of {self.reference} detections found again and {self.confirmed} of '
            f'{self.candidate} confirmed on {self.frames} frames, agreement {self.share:.3f}, '
            f'scores {self.score_drift:+.3f} on average'
        )


def low_threshold(score_threshold: float) -> float:
    """Return the minimum score of the detections that a comparison at a threshold needs."""
    return _LOW_SHARE * score_threshold


def compare_detections(
    reference: Detections, candidate: Detections, score_threshold: float
) -> Agreement:
    """
    Compare the detections of two detectors in one picture.

    :param reference: with scores down to :func:`low_threshold` or lower.
    :param candidate: likewise.
    :param score_threshold: minimum score of the detections to compare.
    """
    minimum = low_threshold(score_threshold)
    reference = reference.select(reference.scores >= minimum)
    candidate = candidate.select(candidate.scores >= minimum)
    wanted, given = reference.scores >= score_threshold, candidate.scores >= score_threshold
    rows, partners = match_boxes(reference.select(wanted), candidate)
    confirmed, _ = match_boxes(candidate.select(given), reference)
    drift = candidate.scores[partners] - reference.select(wanted).scores[rows]
    return Agreement(
        frames=1,
        reference=int(wanted.sum()),
        found=len(rows),
        candidate=int(given.sum()),
        confirmed=len(confirmed),
        drift_sum=float(drift.sum()),
    )


def match_boxes(
    left: Detections, right: Detections
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Match boxes of the same class by IoU, 0.5 or more, best pairs first; return their rows."""
    if left.angles is None or right.angles is None:
        first_edges, second_edges = (
            found.boxes_xyxy.T.astype(np.float64) for found in (left, right)
        )
        iou = intersection_over_union(first_edges[:, :, None], second_edges)
    else:
        first = np.repeat(np.arange(len(left)), len(right))
        second = np.tile(np.arange(len(right)), len(left))
        iou = rotated_iou(
            left.boxes_xyxy[first].astype(np.float64),
            left.angles[first],
            right.boxes_xyxy[second].astype(np.float64),
            right.angles[second],
        ).reshape(len(left), len(right))
    iou[left.class_ids[:, None] != right.class_ids[None, :]] = 0.0
    rows: list[int] = []
    partners: list[int] = []
    for flat in np.argsort(-iou, axis=None, kind='stable'):
        row, partner = divmod(int(flat), iou.shape[1])
        if iou[row, partner] < MATCH_IOU:
            break
        if row not in rows and partner not in partners:
            rows.append(row)
            partners.append(partner)
    return np.array(rows, np.intp), np.array(partners, np.intp)


def run_gate(
    reference: DetectFunction,
    candidate: DetectFunction,
    images: Iterable[Image],
    score_threshold: float,
) -> Agreement:
    """
    Compare two detectors on pictures.

    :param reference: returns detections with scores down to :func:`low_threshold`.
    :param candidate: likewise.
    :param score_threshold: minimum score of the detections to compare.
    """
    total = Agreement()
    for image in images:
        (left,), (right,) = reference([image]), candidate([image])
        total += compare_detections(left, right, score_threshold)
    return total
