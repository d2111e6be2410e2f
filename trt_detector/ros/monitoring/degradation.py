# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Baseline of each stage, and stages that became slower than it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
import threading
import time

import numpy as np

__all__ = ['JUDGED_STAGES', 'DegradationWatch', 'SlowStage']

JUDGED_STAGES = ('preprocess', 'infer', 'decode', 'publish')
"""Stages whose time depends on the detector alone: the others contain the wait for a batch."""

# Images before the baseline, while caches and clocks settle.
_SKIPPED = 5
_MINIMUM_SAMPLES = 20
# A stage of a fraction of a millisecond varies by more than any factor.
_MINIMUM_EXCESS_MS = 1.0
_MAX_SAMPLES = 4096
# Kinds of batches with a baseline; further ones are not judged.
_MAX_KINDS = 64
_PERCENTILE = 95


@dataclass(frozen=True, slots=True)
class SlowStage:
    """
    A stage that is slower than its baseline.

    :param stage: name of the stage.
    :param p95_ms: 95th percentile of its newest times.
    :param baseline_ms: 95th percentile of the times of its baseline.
    """

    stage: str
    p95_ms: float
    baseline_ms: float


@dataclass(slots=True)
class _Learning:
    """Samples of one kind of batch until its baseline is known."""

    first_s: float
    skipped: int = 0
    samples: dict[str, list[float]] = field(
        default_factory=lambda: {stage: [] for stage in JUDGED_STAGES}
    )


@dataclass(slots=True)
class _Exceeding:
    """Time for which a stage has been slow."""

    since_s: float | None = None
    last_s: float = 0.0
    slow: SlowStage | None = None


class DegradationWatch:
    """
    Compares the stage times of live images with those of the first images; thread-safe.

    Each kind of batch (number and total size of its images) has a baseline of its own, so that a
    second camera or a larger image is not a slowdown. Warm-up runs are no baseline: they have
    black images of one size, no messages to read and nothing to decode or publish.

    :param window_s: seconds of images that make a baseline, and for which a stage has to be slow;
        0 is off.
    :param factor: a stage is slow above this multiple of its baseline.
    """

    def __init__(self, window_s: float, factor: float) -> None:
        self.window_s = window_s
        self.factor = factor
        self._lock = threading.Lock()
        self._learning: dict[tuple[int, int], _Learning] = {}
        self._baselines: dict[tuple[int, int], dict[str, float]] = {}
        self._samples: dict[str, deque[tuple[float, float]]] = {
            stage: deque(maxlen=_MAX_SAMPLES) for stage in JUDGED_STAGES
        }
        self._exceeding = {stage: _Exceeding() for stage in JUDGED_STAGES}
        self._judged_s: float | None = None

    def add(self, times_ms: Mapping[str, float], images: int, pixels: int) -> None:
        """
        Add the times of an image.

        :param times_ms: time of every stage of :data:`JUDGED_STAGES`.
        :param images: number of images in its batch.
        :param pixels: width times height of all images of the batch together.
        """
        if not self.window_s:
            return
        kind = (images, pixels)
        with self._lock:
            baseline = self._baselines.get(kind)
            if baseline is None:
                self._learn(kind, times_ms, time.monotonic())
                return
            for stage in JUDGED_STAGES:
                self._samples[stage].append((times_ms[stage], baseline[stage]))

    @property
    def slow(self) -> list[SlowStage]:
        """Stages that were slow when :meth:`judge` was last called."""
        with self._lock:
            return [each.slow for each in self._exceeding.values() if each.slow is not None]

    def judge(self) -> list[SlowStage]:
        """List the stages that are slow; call it periodically."""
        now_s, window_s = time.monotonic(), self.window_s
        with self._lock:
            begun_s = now_s if self._judged_s is None else self._judged_s
            self._judged_s = now_s
            for stage, exceeding in self._exceeding.items():
                samples = list(self._samples[stage])
                self._samples[stage].clear()
                if not window_s:
                    exceeding.since_s = exceeding.slow = None
                    continue
                self._update(stage, exceeding, samples, begun_s, now_s)
        return self.slow

    def baselines_ms(self) -> dict[str, float]:
        """Read the baseline of each stage, that of the first kind of batch; empty at first."""
        with self._lock:
            return dict(next(iter(self._baselines.values()), {}))

    def _learn(self, kind: tuple[int, int], times_ms: Mapping[str, float], now_s: float) -> None:
        """Add a sample to the baseline of a kind of batch."""
        learning = self._learning.get(kind)
        if learning is None:
            if len(self._learning) + len(self._baselines) >= _MAX_KINDS:
                return
            learning = self._learning[kind] = _Learning(now_s)
        if learning.skipped < _SKIPPED:
            learning.skipped += 1
            learning.first_s = now_s
            return
        for stage, samples in learning.samples.items():
            samples.append(times_ms[stage])
        enough = len(learning.samples[JUDGED_STAGES[0]])
        if enough >= _MAX_SAMPLES or (
            enough >= _MINIMUM_SAMPLES and now_s - learning.first_s >= self.window_s
        ):
            del self._learning[kind]
            self._baselines[kind] = {
                stage: float(np.percentile(samples, _PERCENTILE))
                for stage, samples in learning.samples.items()
            }

    def _update(
        self,
        stage: str,
        exceeding: _Exceeding,
        samples: list[tuple[float, float]],
        begun_s: float,
        now_s: float,
    ) -> None:
        """Judge the samples of one stage since the last time."""
        if samples:
            # Of the kind with the largest ratio at the percentile.
            ranked = sorted(samples, key=lambda sample: sample[0] / max(sample[1], 1e-6))
            time_ms, baseline_ms = ranked[int((len(ranked) - 1) * _PERCENTILE / 100)]
            excess_ms = time_ms - baseline_ms
            if time_ms > self.factor * baseline_ms and excess_ms >= _MINIMUM_EXCESS_MS:
                # Anew after a pause of the images: nothing is known about the time between.
                if exceeding.since_s is None or now_s - exceeding.last_s > self.window_s:
                    exceeding.since_s = begun_s
                exceeding.last_s = now_s
                if now_s - exceeding.since_s >= self.window_s:
                    exceeding.slow = SlowStage(stage, time_ms, baseline_ms)
            elif exceeding.slow is None:
                exceeding.since_s = None
        # Cleared after as long a time as it takes to be reported: a stage at the limit must not
        # alternate.
        if exceeding.slow is not None and now_s - exceeding.last_s >= self.window_s:
            exceeding.slow = exceeding.since_s = None
