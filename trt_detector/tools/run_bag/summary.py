# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Count the images of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import time
from typing import Any

from ..bag.reader import BagTopic
from .record import ImageRecord

__all__ = ['Summary']

# A message about each image of a broken camera would hide all others.
_MOST_ERRORS = 20


@dataclass(slots=True)
class _Count:
    """Images of one topic."""

    written: int = 0
    malformed: int = 0
    detections: int = 0


@dataclass(slots=True)
class Summary:
    """
    Numbers of a run; written by one thread, read by any.

    :param topics: the image topics.
    :param duration_s: duration of the bag in seconds.
    :ivar replayed: images whose detections are from an interrupted run.
    :ivar invalid: non-finite candidates, which are not among the detections.
    :ivar errors: reasons of the first malformed images.
    """

    topics: Sequence[BagTopic]
    duration_s: float
    replayed: int = 0
    invalid: int = 0
    errors: list[str] = field(default_factory=list)
    _counts: dict[str, _Count] = field(default_factory=dict)
    _started_s: float = field(default_factory=time.monotonic)

    def add(self, record: ImageRecord, *, replayed: bool) -> None:
        """Count an image that is in the output, or malformed."""
        count = self._counts.setdefault(record.topic, _Count())
        self.replayed += replayed
        if record.detections is not None:
            count.written += 1
            count.detections += len(record.detections)
            self.invalid += record.detections.invalid
            return
        count.malformed += 1
        if len(self.errors) < _MOST_ERRORS:
            self.errors.append(f'{record.topic} at {record.time_ns} ns: {record.error}')

    @property
    def declared(self) -> int:
        """Return the number of images that the bag declares."""
        return sum(topic.count for topic in self.topics)

    @property
    def written(self) -> int:
        """Return the number of images whose detections were written."""
        return sum(count.written for count in self._counts.values())

    @property
    def malformed(self) -> int:
        """Return the number of images that cannot be read."""
        return sum(count.malformed for count in self._counts.values())

    @property
    def done(self) -> int:
        """Return the number of images that are through."""
        return self.written + self.malformed

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started_s

    @property
    def rate_hz(self) -> float:
        """Return the images per second, without those of an interrupted run."""
        return (self.done - self.replayed) / max(self.elapsed_s, 1e-9)

    @property
    def real_time_factor(self) -> float:
        """Return the duration of the bag that is processed per second."""
        share = (self.done - self.replayed) / max(self.declared, 1)
        return self.duration_s * share / max(self.elapsed_s, 1e-9)

    def to_json(self, read: int) -> dict[str, Any]:
        """
        Return the entries of the report.

        :param read: images that were read from the bag.
        """
        empty = _Count()
        return {
            'read': read,
            'written': self.written,
            'malformed': self.malformed,
            'declared': self.declared,
            'continued_after': self.replayed,
            'detections': sum(count.detections for count in self._counts.values()),
            'invalid_candidates': self.invalid,
            'topics': [
                {
                    'topic': topic.name,
                    'type': topic.type,
                    'written': self._counts.get(topic.name, empty).written,
                    'malformed': self._counts.get(topic.name, empty).malformed,
                    'detections': self._counts.get(topic.name, empty).detections,
                }
                for topic in self.topics
            ],
            'errors': self.errors,
            'seconds': round(self.elapsed_s, 3),
            'images_per_s': round(self.rate_hz, 2),
            'bag_seconds': round(self.duration_s, 3),
            'real_time_factor': round(self.real_time_factor, 2),
        }
