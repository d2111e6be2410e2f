# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of the engine on batches of images: fill a slot, start, wait, decode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
import math
import time

import numpy as np

from ..decode import DecodeOptions, Head, SanityCheck
from ..engine import BatchSlot, InferenceEngine
from ..image.image import Image
from ..preprocess import Letterbox, Preprocessor
from ..values.batch_result import BatchResult, StageTimes
from .batch_decoder import BatchDecoder
from .batch_slots import SlotPool

__all__ = ['BatchRunner', 'PendingBatch']

# Writes the images of a run into its slot and returns their geometry.
Fill = Callable[[BatchSlot], tuple[Letterbox, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class PendingBatch:
    """
    A batch that was submitted and not yet collected.

    :param slot: memory of the batch.
    :param letterboxes: geometry of each image in the network's input.
    :param options: selection of the detections to report.
    :param preprocess_ms: time that the host worked on the images.
    :param probing: every prediction is checked, see :class:`.decode.SanityCheck`.
    :param started_s: time.perf_counter() when it was handed to the engine.
    """

    slot: BatchSlot
    letterboxes: tuple[Letterbox, ...]
    options: DecodeOptions
    preprocess_ms: float
    started_s: float
    probing: bool


class BatchRunner:
    """
    Preprocessor, engine and head at one input size, with the batches in flight.

    It belongs to the thread that made it. Its counts_run are the numbers of images in the batches
    that have run at this size.

    :param engine: the network; it stays the caller's.
    :param preprocessor: fills the slots of the batch.
    :param head: decodes the network's outputs.
    :param options: selection of the detections to report; any thread may change it.
    :param sanity: check of the decoded values.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        preprocessor: Preprocessor,
        head: Head,
        options: DecodeOptions,
        sanity: SanityCheck,
    ) -> None:
        self._engine = engine
        self._sanity = sanity
        self.options = options
        self.slots = SlotPool(engine)
        self.counts_run: set[int] = set()
        self.open(preprocessor, head)

    def open(self, preprocessor: Preprocessor, head: Head) -> None:
        """
        Open the slots for a preprocessor and a head, at the engine's current input size.

        :raises EngineError: if they cannot be allocated.
        """
        self.preprocessor, self.head = preprocessor, head
        self.counts_run.clear()
        self.slots.open(preprocessor, head)
        self._decoder = BatchDecoder(
            head, self.slots.candidate_head, self._engine.get_input_shape(), self._sanity
        )

    def get_depth(self, count: int) -> int:
        """
        Return the number of runs, of count images each, that may be in flight.

        Parallel runs are for single images. Batches run one after the other, because several at
        once would make every image older: the next one begins before the last one is decoded.
        """
        slots = len(self.slots)
        if self._engine.get_parallel_runs() == 1:
            return slots
        return max(2, slots // count)

    def submit(self, images: Sequence[Image]) -> PendingBatch:
        """
        Start a run on whole images, as many as the engine takes.

        :raises EngineError: if too many batches are in flight, or the engine refuses.
        """
        return self.start(len(images), partial(self.fill, images), self.options)

    def fill(self, images: Sequence[Image], slot: BatchSlot) -> tuple[Letterbox, ...]:
        """Write images into a slot; return their geometry."""
        return tuple(
            self.preprocessor(image, target)
            for image, target in zip(images, slot.targets(len(images)), strict=True)
        )

    def start(self, count: int, fill: Fill, options: DecodeOptions) -> PendingBatch:
        """
        Fill a batch slot and start it.

        :param count: number of images.
        :param fill: writes them into the slot and returns their geometry.
        :param options: selection of the detections to report.
        :raises EngineError: as :meth:`submit` does.
        """
        slot = self.slots.acquire()
        probing = self._sanity.take_probe()
        begun = time.perf_counter()
        try:
            letterboxes = fill(slot)
            started = time.perf_counter()
            slot.start(count, -math.inf if probing else options.minimum_score)
        except BaseException:
            self.slots.release_failed(slot)
            raise
        preprocess_ms = (started - begun) * 1e3
        return PendingBatch(slot, letterboxes, options, preprocess_ms, started, probing)

    def collect(self, pending: PendingBatch) -> BatchResult:
        """
        Wait for a run and decode it.

        :raises EngineError: if the inference fails.
        :raises DecodeError: if the outputs contradict the head.
        """
        slot = pending.slot
        try:
            outputs = slot.finish()
            inferred = time.perf_counter()
            device_ms = slot.get_stage_ms()
            found = self._decoder.decode(
                outputs,
                slot.get_candidates(),
                pending.letterboxes,
                pending.options,
                probing=pending.probing,
            )
        except BaseException:
            self.slots.release_failed(slot)
            raise
        self.slots.release(slot)
        self.counts_run.add(len(pending.letterboxes))
        decoded = time.perf_counter()
        times = StageTimes(
            preprocess_ms=pending.preprocess_ms,
            infer_ms=(inferred - pending.started_s) * 1e3,
            decode_ms=(decoded - inferred) * 1e3,
        )
        return BatchResult(found, times, device_ms)

    def make_black(self) -> Image:
        """Make a black image of the input size."""
        return Image.from_array(np.zeros((*self._engine.get_input_shape(), 3), np.uint8))

    def run_black(self, counts: Iterable[int]) -> None:
        """
        Run batches of black images, one of each size.

        :raises EngineError: as :meth:`collect` does.
        """
        black = self.make_black()
        for count in counts:
            self.collect(self.submit([black] * count))
