# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Count images and time the stages between the camera and the detections."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median_low
import threading
import time

import numpy as np

__all__ = ['STAGES', 'CameraCounts', 'SessionStatistics']

STAGES = ('wait', 'preprocess', 'infer', 'decode', 'publish', 'total', 'age')
"""
Timed stages of an image, in milliseconds.

wait: in the queue; preprocess, infer, decode: of the whole batch; publish: tracking,
creating and sending the messages; total: from received to published; age: from the stamp of the
image to published.
"""

_WINDOW = 512


@dataclass(slots=True)
class CameraCounts:
    """
    Counts of one camera since the node was configured.

    :param received: received images.
    :param published: images whose detections were published, or withheld.
    :param dropped: images that were replaced by a newer one before they were processed, or
        skipped.
    :param malformed: images that could not be read.
    :param failed: images whose inference failed.
    :param invalid: non-finite candidates, which were dropped.
    :param skipped: those of the dropped images that a pause, the maximum rate or a lack of
        listeners left out.
    :param withheld: those of the published images without detections for which no array was sent,
        because publish_empty is false.
    :param unstamped: published images whose header stamp is zero or negative.
    :param error: reason why the newest malformed or failed image failed; '' without any.
    :param received_s: time.monotonic() of the newest image, None before the first.
    """

    received: int = 0
    published: int = 0
    dropped: int = 0
    malformed: int = 0
    failed: int = 0
    invalid: int = 0
    skipped: int = 0
    withheld: int = 0
    unstamped: int = 0
    error: str = ''
    received_s: float | None = None


class SessionStatistics:
    """
    Counts per camera and stage times; thread-safe.

    :param cameras: number of cameras.
    """

    def __init__(self, cameras: int) -> None:
        self._counts = [CameraCounts() for _ in range(cameras)]
        self._stages: dict[str, deque[float]] = {stage: deque(maxlen=_WINDOW) for stage in STAGES}
        # Time of the publication, and the age.
        self._ages: list[deque[tuple[float, float]]] = [
            deque(maxlen=_WINDOW) for _ in range(cameras)
        ]
        self._lock = threading.Lock()

    def count_received(self, camera: int, dropped: int) -> None:
        """Count a received image, and the images dropped for it."""
        with self._lock:
            counts = self._counts[camera]
            counts.received += 1
            counts.dropped += dropped
            counts.received_s = time.monotonic()

    def count_skipped(self, camera: int) -> None:
        """Count a received image that is not to be processed."""
        with self._lock:
            counts = self._counts[camera]
            counts.received += 1
            counts.dropped += 1
            counts.skipped += 1
            counts.received_s = time.monotonic()

    def count(self, camera: int, what: str, number: int = 1) -> None:
        """
        Count images or candidates.

        :param what: 'published', 'dropped', 'malformed', 'failed', 'invalid', 'withheld' or
            'unstamped'.
        """
        with self._lock:
            counts = self._counts[camera]
            setattr(counts, what, getattr(counts, what) + number)

    def note_error(self, camera: int, text: str) -> None:
        """Store why an image is malformed or failed."""
        with self._lock:
            self._counts[camera].error = text

    def add_times(self, times_ms: Mapping[str, float]) -> None:
        """Add one sample to each given stage of :data:`STAGES`."""
        with self._lock:
            for stage, value in times_ms.items():
                self._stages[stage].append(value)

    def add_age(self, camera: int, age_ms: float) -> None:
        """Add the age of a published image, from its stamp."""
        with self._lock:
            self._stages['age'].append(age_ms)
            self._ages[camera].append((time.monotonic(), age_ms))

    def age_percentiles_ms(self, camera: int) -> tuple[float, float] | None:
        """Compute p50 and p99 of the ages of one camera; None without samples."""
        with self._lock:
            ages_ms = [age for _, age in self._ages[camera]]
        if not ages_ms:
            return None
        p50, p99 = np.percentile(ages_ms, (50, 99))
        return float(p50), float(p99)

    def recent_age_ms(self, camera: int, seconds: float) -> float | None:
        """Find the median age among the images of the last seconds; None without any."""
        since_s = time.monotonic() - seconds
        with self._lock:
            ages_ms = [age for at_s, age in self._ages[camera] if at_s >= since_s]
        # Not the mean of two: the age of no image at all.
        return median_low(ages_ms) if ages_ms else None

    def counts(self, camera: int) -> CameraCounts:
        """Copy the counts of one camera."""
        with self._lock:
            return replace(self._counts[camera])

    def percentiles_ms(self) -> dict[str, tuple[float, float, float]]:
        """Compute p50, p95 and p99 of every stage with samples, over the newest 512."""
        with self._lock:
            samples = {stage: list(values) for stage, values in self._stages.items() if values}
        return {
            stage: tuple(np.percentile(values, (50, 95, 99)).tolist())
            for stage, values in samples.items()
        }
