# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How far two detectors agree on the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..image.image import Image
from ..values.detections import Detections

__all__ = ['Agreement', 'compare_detections', 'low_threshold', 'match_boxes', 'run_gate']

MATCH_IOU = 0.5
# A detection counts as found again down to this share of the score that it needs: one that
# crosses the threshold by a hair is no disagreement.
_LOW_SHARE = 0.6

DetectFunction = Callable[[Sequence[Image]], Sequence[Detections]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    What two detectors have in common over some pictures.

    :param frames: pictures.
    :param reference: detections of the reference.
    :param found: those of them that the candidate found again: same class, IoU 0.5 or more.
    :param candidate: detections of the candidate.
    :param confirmed: those of them that the reference has as well.
    :param drift_sum: sum of the score differences (candidate - reference) of the found ones.
    :param drift_abs_sum: sum of their magnitudes.
    """

    frames: int = 0
    reference: int = 0
    found: int = 0
    candidate: int = 0
    confirmed: int = 0
    drift_sum: float = 0.0
    drift_abs_sum: float = 0.0

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

    @property
    def score_drift_abs(self) -> float:
        """Return the mean magnitude of the score differences."""
        return self.drift_abs_sum / self.found if self.found else 0.0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.frames + other.frames,
            self.reference + other.reference,
            self.found + other.found,
            self.candidate + other.candidate,
            self.confirmed + other.confirmed,
            self.drift_sum + other.drift_sum,
            self.drift_abs_sum + other.drift_abs_sum,
        )

    def __str__(self) -> str:
        return (
            f'{self.found} of {self.reference} detections found again and {self.confirmed} of '
            f'{self.candidate} confirmed on {self.frames} frames, agreement {self.share:.3f}, '
            f'scores {self.score_drift:+.3f} on average'
        )


def low_threshold(score_threshold: float) -> float:
    """Return the score down to which detections are needed to compare at a threshold."""
    return _LOW_SHARE * score_threshold


def compare_detections(
    reference: Detections, candidate: Detections, score_threshold: float
) -> Agreement:
    """
    Compare the detections of two detectors in one picture.

    :param reference: down to :func:`low_threshold`, or further.
    :param candidate: likewise.
    :param score_threshold: from which a detection counts.
    """
    least = low_threshold(score_threshold)
    reference = reference.select(reference.scores >= least)
    candidate = candidate.select(candidate.scores >= least)
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
        drift_abs_sum=float(np.abs(drift).sum()),
    )


def match_boxes(
    left: Detections, right: Detections
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows of both that belong together: same class, IoU 0.5 or more, best pairs first."""
    iou = _iou(left.boxes_xyxy, right.boxes_xyxy)
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

    :param reference: returns detections down to :func:`low_threshold`; so does candidate.
    :param score_threshold: from which a detection counts.
    """
    total = Agreement()
    for image in images:
        (left,), (right,) = reference([image]), candidate([image])
        total += compare_detections(left, right, score_threshold)
    return total


def _iou(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the intersection over union of boxes (n, 4) and (m, 4) as (n, m)."""
    a, b = left[:, None, :].astype(np.float64), right[None, :, :].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.clip(sides, 0, None).prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    union = np.maximum(areas - common, np.finfo(np.float64).tiny)
    return np.asarray(common / union, np.float64)
