# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Match detections with the depth image whose stamp is nearest."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ['Match', 'StampMatcher']

# A stamp that is older than the newest one by more than this is a restart, e.g. of a recording
# that is played in a loop; less than this is a message that was late.
_JUMP_NS = 1_000_000_000
# Detections whose depth image may still come wait for this long if an older one would do.
_PATIENCE_S = 0.2
_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Match:
    """
    Detections with their depth image.

    :param detections: the message.
    :param depth: the message; None if no depth image within the tolerance came.
    :param gap_ns: stamp of the nearest depth image minus that of the detections; None if there
        is none at all.
    """

    detections: Any
    depth: Any | None
    gap_ns: int | None


@dataclass(order=True, slots=True)
class _Entry:
    """Message with its stamp; received_s is on the steady clock."""

    stamp_ns: int
    message: Any = field(compare=False)
    received_s: float = field(compare=False, default=0.0)
    size: int = field(compare=False, default=0)


class StampMatcher:
    """
    Matcher with bounded memory; not thread-safe.

    Detections come later than the depth image of the same moment, or sooner: both wait. An exact
    stamp matches at once, else the nearest one does as soon as no nearer one can come.

    :param tolerance_ns: maximum difference of the stamps.
    :param capacity: maximum number of messages of each kind that wait.
    """

    def __init__(self, tolerance_ns: int, capacity: int) -> None:
        self.tolerance_ns = tolerance_ns
        self._capacity = capacity
        self._detections: list[_Entry] = []
        self._depths: list[_Entry] = []
        self._newest_detections_ns = 0
        self._newest_depth_ns = 0
        #: Number of times that stamps went back.
        self.jumps = 0

    def add_detections(self, stamp_ns: int, message: Any, now_s: float) -> list[Match]:
        """
        Add detections.

        :param now_s: on the steady clock.
        :return: the matches that are decided by now, oldest first.
        """
        matches = []
        if stamp_ns < self._newest_detections_ns - _JUMP_NS:
            # Once per restart: depth images may have gone back before.
            self.jumps += self._newest_depth_ns > stamp_ns + _JUMP_NS
            matches = self._go_back(stamp_ns)
        self._newest_detections_ns = max(self._newest_detections_ns, stamp_ns)
        insort(self._detections, _Entry(stamp_ns, message, now_s))
        matches += self.decide(now_s)
        if len(self._detections) > self._capacity:
            matches.append(self._match_nearest(self._detections.pop(0)))
        return matches

    def add_depth(self, stamp_ns: int, message: Any, now_s: float) -> list[Match]:
        """
        Add a depth image; a second one with the same stamp replaces the first.

        :param now_s: on the steady clock.
        :return: the matches that are decided by now, oldest first.
        """
        matches = []
        if stamp_ns < self._newest_depth_ns - _JUMP_NS:
            self.jumps += 1
            matches = self._go_back(stamp_ns)
        self._newest_depth_ns = max(self._newest_depth_ns, stamp_ns)
        entry = _Entry(stamp_ns, message, now_s, len(message.data))
        index = bisect_left(self._depths, entry)
        if index < len(self._depths) and self._depths[index].stamp_ns == stamp_ns:
            self._depths[index] = entry
        else:
            self._depths.insert(index, entry)
        matches += self.decide(now_s)
        while len(self._depths) > 1 and (
            len(self._depths) > self._capacity
            or sum(entry.size for entry in self._depths) > _MAX_BYTES
        ):
            del self._depths[0]
        return matches

    def decide(self, now_s: float) -> list[Match]:
        """
        Match the detections for which no nearer depth image can come.

        :param now_s: on the steady clock.
        """
        return list(self._decide(now_s))

    def drain(self) -> list[Match]:
        """Match or give up all detections that wait, and forget all messages."""
        matches = [self._match_nearest(entry) for entry in self._detections]
        self._detections, self._depths = [], []
        self._newest_detections_ns = self._newest_depth_ns = 0
        return matches

    def _decide(self, now_s: float) -> Iterator[Match]:
        """Yield the matches that are decided."""
        waiting = []
        for entry in self._detections:
            match = self._match_nearest(entry)
            # A newer depth image is here, or the detections have waited long enough.
            is_final = self._newest_depth_ns >= entry.stamp_ns + (
                0 if match.depth is not None else self.tolerance_ns + 1
            )
            has_waited = match.depth is not None and now_s - entry.received_s >= _PATIENCE_S
            if match.gap_ns == 0 or is_final or has_waited:
                yield match
            else:
                waiting.append(entry)
        self._detections = waiting

    def _match_nearest(self, entry: _Entry) -> Match:
        """Match detections with the nearest depth image, if it is near enough."""
        index = bisect_left(self._depths, entry)
        near = self._depths[max(index - 1, 0) : index + 1]
        if not near:
            return Match(entry.message, None, None)
        depth = min(near, key=lambda depth: abs(depth.stamp_ns - entry.stamp_ns))
        gap_ns = depth.stamp_ns - entry.stamp_ns
        is_near = abs(gap_ns) <= self.tolerance_ns
        return Match(entry.message, depth.message if is_near else None, gap_ns)

    def _go_back(self, stamp_ns: int) -> list[Match]:
        """Forget what is newer than a stamp: the messages begin again before it."""
        limit_ns = stamp_ns + _JUMP_NS
        given_up = [entry for entry in self._detections if entry.stamp_ns > limit_ns]
        matches = [self._match_nearest(entry) for entry in given_up]
        self._detections = [entry for entry in self._detections if entry.stamp_ns <= limit_ns]
        self._depths = [entry for entry in self._depths if entry.stamp_ns <= limit_ns]
        self._newest_detections_ns = max((e.stamp_ns for e in self._detections), default=0)
        self._newest_depth_ns = max((e.stamp_ns for e in self._depths), default=0)
        return matches
