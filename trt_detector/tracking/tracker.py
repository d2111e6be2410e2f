# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ByteTrack (Zhang et al. 2022) with time steps in seconds."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..decode.overlap import enclose_rotated, intersection_over_union
from ..errors import ConfigError
from ..values.detections import Detections
from . import kalman
from .kalman import Floats

__all__ = ['Tracker', 'TrackerThresholds']

# Minimum IoU of the second association; ByteTrack has 0.5.
_SECOND_IOU = 0.3
# A lost track with more IoU with another track of its class is the same object.
_DUPLICATE_IOU = 0.85
# Minimum number of tracks whose common motion is that of the camera.
_MIN_COMMON = 4
# The assignment takes cubic time: more detections per image get no id, more tracks are dropped.
_MAX_DETECTIONS = 1000
_MAX_TRACKS = 1000

Ids = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TrackerThresholds:
    """
    Thresholds of a tracker.

    :param high: minimum score of the first association and of a new track (track_thresh).
    :param low: minimum score of the second association (track_low_thresh).
    :param match: maximum distance, 1 - IoU, of the first association (match_thresh).
    :param buffer_s: time in seconds that a lost track is kept (track_buffer).
    """

    high: float = 0.5
    low: float = 0.1
    match: float = 0.9
    buffer_s: float = 1.0


class Tracker:
    """
    Tracker of one camera; not thread-safe.

    :param thresholds: may be replaced between two updates.
    :raises ConfigError: if SciPy is not installed.
    """

    def __init__(self, thresholds: TrackerThresholds | None = None) -> None:
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError as error:
            raise ConfigError(
                f'tracker is bytetrack, but SciPy cannot be imported ({error}); install '
                'python3-scipy, or set tracker to none'
            ) from error
        self._assign: Any = linear_sum_assignment
        self.thresholds = thresholds or TrackerThresholds()
        self._next_id = 1
        self.reset()

    def __len__(self) -> int:
        return len(self._ids)

    def reset(self) -> None:
        """Forget all tracks; their ids are not used again."""
        self._stamp_s: float | None = None
        self._state = kalman.initiate(np.empty((4, 0)))
        self._ids = np.empty(0, np.int64)
        self._classes = np.empty(0, np.int32)
        self._seen_s = np.empty(0)
        self._confirmed = np.empty(0, bool)

    def update(self, detections: Detections, stamp_s: float, may_start: Mask | None = None) -> Ids:
        """
        Associate the detections of one image with the tracks.

        :param detections: with scores from the low threshold on.
        :param stamp_s: stamp of the image in seconds; one before the last resets the tracker.
        :param may_start: (n,), mask of the detections that may start a track; None for all.
        :return: (n,), id of each detection, 0 for one without a confirmed track.
        :raises ValueError: if the stamp is not finite.
        """
        if not math.isfinite(stamp_s):
            raise ValueError(f'stamp_s is {stamp_s}; expected a finite number of seconds')
        if self._stamp_s is not None and stamp_s < self._stamp_s:
            self.reset()
        is_first = self._stamp_s is None
        last_s = stamp_s if self._stamp_s is None else self._stamp_s
        self._stamp_s = stamp_s
        self._drop_old(stamp_s)
        lost = self._seen_s < last_s
        # As in ByteTrack, the height of a lost track no longer changes.
        self._state[1, 3, lost] = 0.0
        kalman.predict(self._state, stamp_s - last_s)
        ids = np.zeros(len(detections), np.int64)
        boxes, finite = _upright_boxes(detections.first(_MAX_DETECTIONS))
        scores = np.where(finite, detections.scores[:_MAX_DETECTIONS], -1.0)
        rows = self._associate(boxes, scores, detections.class_ids[:_MAX_DETECTIONS], lost)
        measured = kalman.to_measurements(boxes)
        self._correct(measured, rows, ids, stamp_s)
        fresh = scores >= self.thresholds.high
        fresh[rows[rows >= 0]] = False
        if may_start is not None:
            fresh &= may_start[: len(fresh)]
        self._start(measured, detections.class_ids, np.flatnonzero(fresh), is_first, ids)
        return ids

    def _drop_old(self, stamp_s: float) -> None:
        """Drop the tracks that are lost for too long, and the oldest beyond the limit."""
        age_s = stamp_s - self._seen_s
        keep = age_s <= self.thresholds.buffer_s
        if np.count_nonzero(keep) > _MAX_TRACKS:
            keep[np.argsort(age_s, kind='stable')[_MAX_TRACKS:]] = False
        if not keep.all():
            self._keep(keep)

    def _associate(
        self, boxes: Floats, scores: npt.NDArray[np.float32], classes: Any, lost: Mask
    ) -> Indices:
        """Find the detection of each track, -1 for none."""
        limits = self.thresholds
        rows = np.full(len(self._ids), -1, np.intp)
        if not len(rows) or not len(scores):
            return rows
        iou = intersection_over_union(kalman.to_boxes(self._state)[:, :, None], boxes)
        iou[self._classes[:, None] != classes] = 0.0
        is_high = scores >= limits.high
        high = np.flatnonzero(is_high)
        minimum = 1 - limits.match
        self._match(iou, np.flatnonzero(self._confirmed), high, minimum, rows)
        low = np.flatnonzero((scores >= limits.low) & ~is_high)
        left = np.flatnonzero(self._confirmed & ~lost & (rows < 0))
        self._match(iou, left, low, _SECOND_IOU, rows)
        unconfirmed = np.flatnonzero(~self._confirmed)
        if len(unconfirmed):
            is_high[rows[rows >= 0]] = False
            self._match(iou, unconfirmed, np.flatnonzero(is_high), minimum, rows)
        return rows

    def _match(
        self, iou: Floats, tracks: Indices, found: Indices, minimum: float, rows: Indices
    ) -> None:
        """Assign detections to tracks with at least a minimum IoU, into rows."""
        if not len(tracks) or not len(found):
            return
        cost = 1.0 - iou[tracks[:, None], found]
        # A pair that is not allowed costs as much as two that stay alone.
        limit = 1.0 - minimum
        picked, columns = self._assign(np.minimum(cost, limit + 1e-9))
        costs = cost[picked, columns]
        allowed = (costs <= limit) & (costs < 1.0)
        rows[tracks[picked[allowed]]] = found[columns[allowed]]

    def _correct(self, measured: Floats, rows: Indices, ids: Ids, stamp_s: float) -> None:
        """Correct the tracks that have a detection; drop those that were never confirmed."""
        is_hit = rows >= 0
        hit = np.flatnonzero(is_hit)
        if len(hit):
            found = rows[hit]
            predicted = self._state[:, :, hit]
            corrected = kalman.update(predicted, measured[:, found])
            if _MIN_COMMON <= len(hit) < len(rows):
                # What most tracks do beside their prediction is the motion of the camera: the
                # tracks without a detection do it, too.
                surprise = measured[:2, found] - predicted[0, :2]
                turn = corrected[1, :2] - predicted[1, :2]
                common = np.median(np.concatenate((surprise, turn)), axis=1)
                self._state[:2, :2, ~is_hit] += common.reshape(2, 2, 1)
            self._state[:, :, hit] = corrected
            self._seen_s[hit] = stamp_s
            ids[found] = self._ids[hit]
        self._confirmed |= is_hit
        keep = self._confirmed & ~self._find_duplicates(is_hit)
        if not keep.all():
            self._keep(keep)

    def _find_duplicates(self, is_hit: Mask) -> Mask:
        """Mask the tracks without a detection that lie on one with a detection."""
        doubled = np.zeros(len(is_hit), bool)
        if is_hit.any() and not is_hit.all():
            boxes, classes = kalman.to_boxes(self._state), self._classes
            iou = intersection_over_union(boxes[:, ~is_hit, None], boxes[:, is_hit])
            iou[classes[~is_hit][:, None] != classes[is_hit]] = 0.0
            doubled[~is_hit] = (iou > _DUPLICATE_IOU).any(axis=1)
        return doubled

    def _start(
        self, measured: Floats, classes: Any, fresh: Indices, confirmed: bool, ids: Ids
    ) -> None:
        """Start a track at each of some detections."""
        count = len(fresh)
        if not count:
            return
        new_ids = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        self._state = np.concatenate((self._state, kalman.initiate(measured[:, fresh])), axis=2)
        self._ids = np.concatenate((self._ids, new_ids))
        self._classes = np.concatenate((self._classes, classes[fresh]))
        self._seen_s = np.concatenate((self._seen_s, np.full(count, self._stamp_s)))
        self._confirmed = np.concatenate((self._confirmed, np.full(count, confirmed)))
        if confirmed:
            ids[fresh] = new_ids

    def _keep(self, mask: Mask) -> None:
        """Drop the tracks outside a mask."""
        self._state = self._state[:, :, mask]
        self._ids = self._ids[mask]
        self._classes = self._classes[mask]
        self._seen_s = self._seen_s[mask]
        self._confirmed = self._confirmed[mask]


def _upright_boxes(detections: Detections) -> tuple[Floats, Mask]:
    """
    Make the boxes (4, n) of detections: left, top, right, bottom.

    A rotated box becomes the upright one around it: width, height and angle can jump between two
    images of the same object, that one cannot.

    :return: the boxes, and the mask (n,) of the finite ones; the others are zero.
    """
    boxes = np.ascontiguousarray(detections.boxes_xyxy.T, np.float64)
    finite = np.asarray(np.isfinite(boxes).all(axis=0))
    if detections.angles is not None:
        finite &= np.isfinite(detections.angles)
    if not finite.all():
        boxes[:, ~finite] = 0.0
    if detections.angles is not None:
        boxes = enclose_rotated(boxes, np.where(finite, detections.angles, 0.0))
    return boxes, finite
