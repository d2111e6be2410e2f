# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Last positions of the tracks of one camera, for pictures of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
import time

from ..values.detections import Detections

__all__ = ['TRAIL_S', 'Points', 'Trails']

TRAIL_S = 2.0
"""Length of a trail in seconds."""

# 2 s at 60 images per second; a faster camera has shorter trails.
_MAX_POINTS = 120
_MAX_TRAILS = 1000

# Positions (x, y) in pixels, the oldest first.
Points = Sequence[tuple[float, float]]


class Trails:
    """Centers of the boxes of each track in the last seconds; not thread-safe."""

    def __init__(self) -> None:
        self._trails: dict[int, deque[tuple[int, tuple[float, float]]]] = {}
        self._stamp_ns = 0

    def __len__(self) -> int:
        return len(self._trails)

    def clear(self) -> None:
        """Forget all positions."""
        self._trails.clear()

    def update(self, detections: Detections, stamp_ns: int) -> Mapping[int, Points]:
        """
        Add the positions in one image.

        :param detections: with track ids, or without any trail.
        :param stamp_ns: of the image, 0 or less if it has none: then the time of the call counts;
            one before the last forgets all positions.
        :return: trail of each row of the detections that has one, with two positions at least.
        """
        now_ns = stamp_ns if stamp_ns > 0 else time.monotonic_ns()
        if now_ns < self._stamp_ns:
            self.clear()
        self._stamp_ns = now_ns
        centers = (detections.boxes_xyxy[:, :2] + detections.boxes_xyxy[:, 2:]) / 2
        rows: dict[int, Points] = {}
        ids = () if detections.track_ids is None else detections.track_ids.tolist()
        for row, number in enumerate(ids):
            if not number:
                continue
            # Put at the end: the first is the one that was not seen for longest.
            trail = self._trails.pop(number, None) or deque(maxlen=_MAX_POINTS)
            x, y = centers[row].tolist()
            trail.append((now_ns, (x, y)))
            self._trails[number] = trail
            self._drop_old(trail)
            if len(trail) > 1:
                rows[row] = [point for _, point in trail]
        self._drop_lost()
        return rows

    def _drop_old(self, trail: deque[tuple[int, tuple[float, float]]]) -> None:
        """Drop the positions that are too old."""
        while trail and self._stamp_ns - trail[0][0] > TRAIL_S * 1e9:
            trail.popleft()

    def _drop_lost(self) -> None:
        """Drop the trails that ended too long ago, and the oldest beyond the limit."""
        while self._trails:
            number = next(iter(self._trails))
            age_ns = self._stamp_ns - self._trails[number][-1][0]
            if age_ns <= TRAIL_S * 1e9 and len(self._trails) <= _MAX_TRAILS:
                return
            del self._trails[number]
