# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Modes of running a detector that the benchmark compares, and their figures."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
import time
from typing import Any, Protocol

import cv2
import numpy as np

from ...image.image import Image
from ...pipeline import Detector, PendingBatch
from ...values.tensor_spec import is_channels_last

__all__ = ['CUDA_EVENTS', 'HOST', 'Series', 'Mode', 'make_modes', 'measure_rounds']

HOST = 'host clock'
CUDA_EVENTS = 'CUDA events'
# Short rounds spread the other load of the machine over all modes.
_ROUND = 10


class Series:
    """
    Times of one mode.

    :param batch_size: images per batch.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._times_ms: dict[tuple[str, str], list[float]] = {}
        self._elapsed_s = 0.0
        self._batches = 0

    def add(self, clock: str, **stages_ms: float) -> None:
        """Add the times of one batch by stage."""
        for stage, value in stages_ms.items():
            self._times_ms.setdefault((stage, clock), []).append(value)

    def add_round(self, batches: int, elapsed_s: float) -> None:
        """Add the time of a whole round."""
        self._batches += batches
        self._elapsed_s += elapsed_s

    def as_json(self) -> dict[str, Any]:
        """Return the figures: times per batch and stage, rate, latency per image."""
        stages = [
            {'stage': stage, 'clock': clock, **_percentiles(values)}
            for (stage, clock), values in self._times_ms.items()
        ]
        images = self._batches * self._batch_size
        whole = _percentiles(self._times_ms['whole', HOST])
        return {
            'batches': self._batches,
            'images_per_s': images / self._elapsed_s,
            'ms_per_image': self._elapsed_s * 1e3 / images,
            'latency_ms': whole,
            'stages': stages,
        }


class Mode(Protocol):
    """Mode of running batches."""

    name: str

    def run(self, images: Sequence[Image], count: int, series: Series) -> None:
        """Run a batch of these images count times."""


class OneByOne:
    """Detector that finishes each batch before the next begins."""

    name = 'detector'

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def run(self, images: Sequence[Image], count: int, series: Series) -> None:
        """Run a batch of these images count times."""
        for _ in range(count):
            start = time.perf_counter()
            result = self._detector.detect(images)
            whole = (time.perf_counter() - start) * 1e3
            times = result.times
            series.add(
                HOST,
                preprocess=times.preprocess_ms,
                infer=times.infer_ms,
                decode=times.decode_ms,
                whole=whole,
            )
            series.add(CUDA_EVENTS, **result.device_ms)


class Pipelined:
    """Detector with as many batches in flight as it supports."""

    name = 'detector, pipelined'

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def run(self, images: Sequence[Image], count: int, series: Series) -> None:
        """Run a batch of these images count times; its time starts at its submission."""
        waiting: deque[tuple[float, PendingBatch]] = deque()
        for _ in range(count):
            # As the node's thread: begin the next batch, then decode the finished one.
            if len(waiting) == self._detector.depth - 1:
                self._detector.wait(waiting[0][1])
            start = time.perf_counter()
            waiting.append((start, self._detector.submit(images)))
            if len(waiting) == self._detector.depth:
                self._collect(waiting, series)
        while waiting:
            self._collect(waiting, series)

    def _collect(self, waiting: deque[tuple[float, PendingBatch]], series: Series) -> None:
        """Finish the oldest batch."""
        start, pending = waiting.popleft()
        result = self._detector.collect(pending)
        series.add(HOST, whole=(time.perf_counter() - start) * 1e3)
        series.add(CUDA_EVENTS, **result.device_ms)


class Baseline:
    """One library call per step, stretched resize, one batch at a time."""

    name = 'baseline'

    def __init__(self, detector: Detector) -> None:
        self._engine, self._head = detector.engine, detector.head
        self._options = detector.options
        self._size = detector.input_size[::-1]
        shape = self._engine.batch_shape(1)
        self._channels_last = is_channels_last(shape)
        self._gray = (shape[3] if self._channels_last else shape[1]) == 1
        self._dtype = self._engine.input_spec.dtype

    def run(self, images: Sequence[Image], count: int, series: Series) -> None:
        """Run a batch of these images count times."""
        pictures = [image.to_bgr() for image in images]
        for _ in range(count):
            start = time.perf_counter()
            batch = np.ascontiguousarray(np.stack([self._prepare(p) for p in pictures]))
            prepared = time.perf_counter()
            outputs = self._engine.run(batch)
            inferred = time.perf_counter()
            self._head.decode(outputs, self._options)
            end = time.perf_counter()
            series.add(
                HOST,
                preprocess=(prepared - start) * 1e3,
                infer=(inferred - prepared) * 1e3,
                decode=(end - inferred) * 1e3,
                whole=(end - start) * 1e3,
            )

    def _prepare(self, picture: Any) -> Any:
        """Return one image of the network's input."""
        small = cv2.resize(picture, self._size)
        code = cv2.COLOR_BGR2GRAY if self._gray else cv2.COLOR_BGR2RGB
        ready = cv2.cvtColor(small, code).reshape(small.shape[0], small.shape[1], -1)
        if np.issubdtype(self._dtype, np.floating):
            ready = (ready.astype(np.float32) / 255).astype(self._dtype, copy=False)
        return ready if self._channels_last else ready.transpose(2, 0, 1)


def make_modes(detector: Detector, *, compare: bool) -> list[Mode]:
    """
    Return the modes to measure.

    :param detector: with a settled input size.
    :param compare: whether to measure the baseline, too.
    """
    modes: list[Mode] = [OneByOne(detector)]
    if detector.depth > 1:
        modes.append(Pipelined(detector))
    if compare:
        modes.append(Baseline(detector))
    return modes


def measure_rounds(
    modes: Sequence[Mode],
    batches: Sequence[Sequence[Image]],
    iterations: int,
    warm_up: int,
) -> dict[str, dict[str, Any]]:
    """
    Measure each mode.

    The modes alternate in short rounds, so that other load of the machine affects all of them.

    :param batches: batches of images, all of one size, used in rotation.
    :param iterations: batches of each mode that are measured.
    :param warm_up: batches of each mode before.
    """
    count = len(batches[0])
    series = {mode.name: Series(count) for mode in modes}
    if warm_up:
        for mode in modes:
            mode.run(batches[0], warm_up, Series(count))
    done = number = 0
    while done < iterations:
        size = min(_ROUND, iterations - done)
        for mode in modes:
            start = time.perf_counter()
            mode.run(batches[number % len(batches)], size, series[mode.name])
            series[mode.name].add_round(size, time.perf_counter() - start)
        done, number = done + size, number + 1
    return {name: one.as_json() for name, one in series.items()}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return mean, extremes and percentiles."""
    p50, p90, p95, p99 = np.percentile(values, (50, 90, 95, 99)).tolist()
    return {
        'mean': float(np.mean(values)),
        'min': min(values),
        'p50': p50,
        'p90': p90,
        'p95': p95,
        'p99': p99,
        'max': max(values),
    }
