# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What is counted and measured between the camera and the detections."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
import threading
import time

import numpy as np

__all__ = ['STAGES', 'CameraCounts', 'SessionStatistics']

STAGES = ('wait', 'preprocess', 'infer', 'decode', 'publish', 'total', 'age')
"""
Stages of an image, in milliseconds.

wait: in the image_queue; preprocess, infer, decode: of the whole batch; publish: messages made and
sent; total: received to published; age: stamp of the image to published.
"""

_WINDOW = 512


@dataclass(slots=True)
class CameraCounts:
    """
    What happened to the images of one camera since the node was configured.

    :param received: images that came.
    :param published: images whose detections were published.
    :param dropped: images that a newer one replaced before they were looked at.
    :param malformed: images that could not be read.
    :param failed: images whose inference failed.
    :param invalid: candidates that the network wrote as NaN or infinite, and that were left out.
    :param received_s: time.monotonic() of the newest image, None before the first.
    """

    received: int = 0
    published: int = 0
    dropped: int = 0
    malformed: int = 0
    failed: int = 0
    invalid: int = 0
    received_s: float | None = None


@dataclass(slots=True)
class _Window:
    """The newest samples of one stage."""

    samples: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))


class SessionStatistics:
    """
    Counts a camera and times a stage; any thread may call anything.

    :param cameras: number of cameras.
    """

    def __init__(self, cameras: int) -> None:
        self._counts = [CameraCounts() for _ in range(cameras)]
        self._stages = {stage: _Window() for stage in STAGES}
        self._lock = threading.Lock()

    def count_received(self, camera: int, lost: int) -> None:
        """Count an image that came, and those that it pushed out."""
        with self._lock:
            counts = self._counts[camera]
            counts.received += 1
            counts.dropped += lost
            counts.received_s = time.monotonic()

    def count(self, camera: int, what: str, number: int = 1) -> None:
        """
        Count images, or candidates.

        :param what: 'published', 'dropped', 'malformed', 'failed' or 'invalid'.
        """
        with self._lock:
            counts = self._counts[camera]
            setattr(counts, what, getattr(counts, what) + number)

    def add_times(self, times_ms: Mapping[str, float]) -> None:
        """Add one sample to each of some stages of :data:`STAGES`."""
        with self._lock:
            for stage, value in times_ms.items():
                self._stages[stage].samples.append(value)

    def counts(self, camera: int) -> CameraCounts:
        """Return a copy of one camera's counts."""
        with self._lock:
            return replace(self._counts[camera])

    def percentiles_ms(self) -> dict[str, tuple[float, float, float]]:
        """Return p50, p95 and p99 of every stage that has samples, over the newest 512."""
        with self._lock:
            samples = {name: list(w.samples) for name, w in self._stages.items() if w.samples}
        return {
            name: tuple(float(p) for p in np.percentile(values, (50, 95, 99)))  # type: ignore[misc]
            for name, values in samples.items()
        }
