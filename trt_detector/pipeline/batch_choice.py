# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choice between batches and single images, by measurement."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
import time

from ..image.image import Image
from .batch_runner import BatchRunner, PendingBatch

__all__ = ['BatchChoice', 'choose_batch_size']

# A batch must take this much less time per image: its first image waits for the others.
_MINIMUM_GAIN = 0.1
# Other load makes some rounds slower. Rounds begin until both a number and a time are reached, but
# none after the longest time, for slow models.
_ROUNDS = 3
_MEASURE_S = 0.25
_LONGEST_S = 2.0


@dataclass(frozen=True, slots=True)
class BatchChoice:
    """
    Measured times of batches and of single images.

    :param largest: number of images of the measured batches.
    :param batch_ms: time per image in such batches.
    :param single_ms: time per image of single images.
    """

    largest: int
    batch_ms: float
    single_ms: float

    @property
    def batch_size(self) -> int:
        """Return the number of images per batch to use."""
        return self.largest if self.batch_ms <= (1 - _MINIMUM_GAIN) * self.single_ms else 1

    def __str__(self) -> str:
        return (
            f'{self.batch_size}: {self.batch_ms:.3f} ms per image in batches of {self.largest}, '
            f'{self.single_ms:.3f} ms in single images; batches are used if they take at least '
            f'{_MINIMUM_GAIN:.0%} less'
        )


def choose_batch_size(runner: BatchRunner, image: Image, largest: int) -> BatchChoice:
    """
    Measure batches and single images in turn, as the inference thread runs them.

    Each round processes the same number of images in both. The fastest round counts.

    :param runner: nothing is in flight. The first run of each size is behind it.
    :param image: every image of the batches.
    :param largest: number of images per batch, at least 2.
    :raises EngineError: if the inference fails.
    """
    batch_s: list[float] = []
    single_s: list[float] = []
    begun = time.perf_counter()
    passed_s = 0.0
    while passed_s < (_LONGEST_S if len(batch_s) < _ROUNDS else _MEASURE_S):
        batch_s.append(_time_batches(runner, [image] * largest, 2))
        single_s.append(_time_batches(runner, [image], 2 * largest))
        passed_s = time.perf_counter() - begun
    per_image = 1e3 / (2 * largest)
    return BatchChoice(largest, min(batch_s) * per_image, min(single_s) * per_image)


def _time_batches(runner: BatchRunner, images: Sequence[Image], number: int) -> float:
    """Time a number of batches, with as many in flight as the runner takes."""
    in_progress: deque[PendingBatch] = deque()
    depth = runner.get_depth(len(images))
    begun = time.perf_counter()
    for _ in range(number):
        if 0 < len(in_progress) == depth - 1:
            in_progress[0].slot.wait()
        in_progress.append(runner.submit(images))
        if len(in_progress) >= depth:
            runner.collect(in_progress.popleft())
    while in_progress:
        runner.collect(in_progress.popleft())
    return time.perf_counter() - begun
