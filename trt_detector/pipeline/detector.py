# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detector: preprocessing, inference and decoding of batches of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
import logging
import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ..decode import DecodeOptions, Head, SanityCheck
from ..engine import BatchSlot, HostSlot, InferenceEngine
from ..errors import EngineError
from ..image.image import Image
from ..preprocess import Letterbox, Preprocessor
from ..values.batch_result import BatchResult, StageTimes
from ..values.engine_info import EngineInfo
from ..values.int8_verdict import Int8Verdict
from .batch_choice import BatchChoice, choose_batch_size
from .batch_decoder import BatchDecoder
from .batch_slots import SlotPool

__all__ = ['Detector', 'ChooseInputSize', 'PendingBatch']

# Writes the images of a run into its slot and returns their geometry.
Fill = Callable[[BatchSlot], tuple[Letterbox, ...]]
# Called with (width, height) of the first image: sets the engine's input size and returns
# preprocessor and head for it; None if the size stays. It calls its second argument before the
# size changes.
ChooseInputSize = Callable[[tuple[int, int], Callable[[], None]], tuple[Preprocessor, Head] | None]

_LOG = logging.getLogger(__name__)

# Above it the warm-up does not run every batch size.
_MANY_IMAGES = 32


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
    probing: bool = False


class Detector:
    """
    Model with its preprocessing and decoding.

    It belongs to the thread that made it, except for :attr:`options`.

    :param engine: the network; closed with the detector.
    :param preprocessor: fills the slots of the batch.
    :param head: decodes the network's outputs.
    :param model_name: for the log.
    :param class_names: names by class id.
    :param options: selection of the detections to report.
    :param choose_input_size: chooses the input size for the first image, None if it is known.
    :param warnings: sentences for :attr:`info`, beside the engine's own.
    :param description: one line: head, preprocessing, input size, classes and their sources.
    :param sanity: check of the decoded values, None for none.
    :param choose_batch: let the warm-up choose between single images and full batches.
    :param class_map: class id under which each class of the network is returned; None if it is
        always its own.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        preprocessor: Preprocessor,
        head: Head,
        *,
        model_name: str,
        class_names: tuple[str, ...],
        options: DecodeOptions,
        choose_input_size: ChooseInputSize | None = None,
        warnings: tuple[str, ...] = (),
        description: str = '',
        sanity: SanityCheck | None = None,
        choose_batch: bool = False,
        class_map: tuple[int, ...] | None = None,
    ) -> None:
        self._engine = engine
        self._preprocessor = preprocessor
        self._head = head
        self.model_name = model_name
        self.description = description
        self.class_names = class_names
        self._class_map = class_map
        self.options = options
        self._choose_input_size = choose_input_size
        self._input_size_pending = choose_input_size is not None
        self._warnings = warnings
        self._sanity = sanity
        self._int8_verdict: Int8Verdict | None = None
        self._failure = ''
        self._counts_run: set[int] = set()
        self._choose_batch = choose_batch and engine.get_batch_size() > 1
        self._batch_choice: BatchChoice | None = None
        self._slots = SlotPool(engine)
        self._decoder = self._open_slots()

    def _open_slots(self) -> BatchDecoder:
        """Open the slots at the current input size; return the decoder of their outputs."""
        self._slots.open(self._preprocessor, self._head)
        return BatchDecoder(self._head, self._slots.candidate_head, self.input_size, self._sanity)

    @property
    def info(self) -> EngineInfo:
        """Return the description of what runs."""
        info, verdict = self._engine.info, self._int8_verdict
        choice, entries = self._batch_choice, info.entries
        if choice is not None:
            entries += (('batch choice', str(choice)),)
        warnings = info.warnings + self._warnings
        if self._sanity is not None:
            warnings += self._sanity.warnings
        if verdict is not None and verdict.warning:
            warnings += (verdict.warning,)
        return replace(
            info,
            warnings=warnings,
            entries=entries,
            cuda_graph=self._slots.cuda_graph or info.cuda_graph,
            int8_check=verdict,
        )

    @property
    def input_size_pending(self) -> bool:
        """Return whether the first image will choose the input size."""
        return self._input_size_pending

    @property
    def input_size_open(self) -> bool:
        """Return whether the input size follows the images, see :meth:`fit_input_size`."""
        return self._choose_input_size is not None

    @property
    def engine(self) -> InferenceEngine:
        """Return the network; the detector owns it."""
        return self._engine

    @property
    def head(self) -> Head:
        """Return the decoder of the network's outputs at the current input size."""
        return self._head

    @property
    def layout(self) -> str:
        """Return the name of the head layout."""
        return self._head.layout

    @property
    def batch_size(self) -> int:
        """Return the largest number of images that detect() takes."""
        return self.run_size

    @property
    def run_size(self) -> int:
        """Return the largest number of images per run of the engine."""
        choice = self._batch_choice
        return self._engine.get_batch_size() if choice is None else choice.batch_size

    @property
    def input_size(self) -> tuple[int, int]:
        """Return (height, width) of the network's input in pixels."""
        return self._engine.get_input_shape()

    @property
    def options(self) -> DecodeOptions:
        """Return the selection of the detections to report."""
        return self._options

    @options.setter
    def options(self, options: DecodeOptions) -> None:
        """Change the selection from the next batch on; any thread may call it."""
        self._options = replace(options, class_map=self._class_map)

    def detect(self, images: Sequence[Image]) -> BatchResult:
        """
        Detect objects.

        :param images: 1 to :attr:`batch_size` images of any sizes and encodings.
        :raises ValueError: if there are more or fewer.
        :raises EngineError: if the inference fails; there are no detections of the images then.
        :raises DecodeError: if the outputs contradict the head; no detections either.
        """
        return self.collect(self.submit(images))

    @property
    def depth(self) -> int:
        """Return the number of batches that may be in flight."""
        return self.get_depth(self.batch_size)

    def get_depth(self, batch_size: int) -> int:
        """Return the number of batches of a size that may be in flight."""
        return self.get_run_depth(batch_size)

    def get_run_depth(self, count: int) -> int:
        """
        Return the number of runs of the engine, of count images each, that may be in flight.

        Parallel runs are for single images. Batches run one after the other, because several at
        once would make every image older: the next one begins before the last one is decoded.
        """
        slots = len(self._slots)
        if self._engine.get_parallel_runs() == 1:
            return slots
        return max(2, slots // count)

    def has_run(self, count: int) -> bool:
        """
        Tell whether a batch of count images has run at the present input size.

        The first one can take minutes: a runtime compiles or initializes for it.
        """
        return count in self._counts_run

    def submit(self, images: Sequence[Image]) -> PendingBatch:
        """
        Start a batch; return before it ran if the engine is asynchronous.

        :param images: as :meth:`detect` takes them; page-locked images must stay unchanged until
            the batch is collected.
        :return: for :meth:`collect`, in the order of submission.
        :raises ValueError: if there are more or fewer.
        :raises EngineError: if :attr:`depth` batches are in flight, or the engine refuses.
        """
        self._check_images(images)
        return self.submit_run(images)

    def submit_run(self, images: Sequence[Image]) -> PendingBatch:
        """
        Start a run of the engine.

        :param images: 1 to :attr:`run_size`; the input size is chosen.
        :return: for :meth:`collect_run`.
        :raises EngineError: as :meth:`submit` does.
        """
        return self._start_run(len(images), partial(self._fill, images), self._options)

    def _start_run(self, count: int, fill: Fill, options: DecodeOptions) -> PendingBatch:
        """
        Fill a batch slot and start it.

        :param count: number of images.
        :param fill: writes them into the slot and returns their geometry.
        :param options: selection of the detections to report.
        """
        slot = self._slots.acquire()
        probing = self._sanity is not None and self._sanity.take_probe()
        begun = time.perf_counter()
        try:
            letterboxes = fill(slot)
            started = time.perf_counter()
            slot.start(count, -math.inf if probing else options.minimum_score)
        except BaseException:
            self._slots.release_failed(slot)
            raise
        preprocess_ms = (started - begun) * 1e3
        return PendingBatch(slot, letterboxes, options, preprocess_ms, started, probing)

    def wait(self, pending: PendingBatch) -> None:
        """
        Wait until the network has run. Then submit the next batch before collecting this one.

        :raises EngineError: if the inference fails; collect() raises it, too.
        """
        pending.slot.wait()

    def collect(self, pending: PendingBatch) -> BatchResult:
        """
        Wait for a batch and decode it.

        :raises EngineError: if the inference fails; there are no detections of the images then.
        :raises DecodeError: if the outputs contradict the head; no detections either.
        """
        return self.collect_run(pending)

    def collect_run(self, pending: PendingBatch) -> BatchResult:
        """
        Wait for a run of the engine and decode it.

        :raises EngineError: as :meth:`collect` does.
        :raises DecodeError: as :meth:`collect` does.
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
            self._slots.release_failed(slot)
            raise
        self._slots.release(slot)
        self._counts_run.add(len(pending.letterboxes))
        decoded = time.perf_counter()
        times = StageTimes(
            preprocess_ms=pending.preprocess_ms,
            infer_ms=(inferred - pending.started_s) * 1e3,
            decode_ms=(decoded - inferred) * 1e3,
        )
        return BatchResult(found, times, device_ms)

    def time_stages(self) -> bool:
        """
        Time the stages on the device, for a few CUDA events per batch.

        Detect in one image first if :attr:`input_size_pending`.

        :return: whether the device can; then results have device_ms.
        """
        return all(slot.time_stages() for slot in self._slots)

    def set_int8_verdict(self, verdict: Int8Verdict) -> None:
        """Add the verdict of the INT8 check to :attr:`info`."""
        self._int8_verdict = verdict

    def prepare(self, images: Sequence[Image]) -> tuple[npt.NDArray[Any], list[Letterbox]]:
        """
        Preprocess images, as :meth:`detect` does, for calibration.

        :param images: 1 to :attr:`batch_size` images.
        :return: the network's input, valid until the next call, and the geometry of each image.
        :raises ValueError: if there are more or fewer images.
        """
        count = self._check_images(images)
        slot = self._slots[0]
        if not isinstance(slot, HostSlot):
            raise EngineError(
                'the images are prepared on the device; open the detector with backend '
                'onnxruntime and onnxruntime_provider cpu'
            )
        letterboxes = self._fill(images, slot)
        return slot.batch[:count], list(letterboxes)

    def _check_images(self, images: Sequence[Image]) -> int:
        """
        Count the images, and let the first image choose the input size if it is pending.

        :raises ValueError: if there are more or fewer than a batch holds.
        :raises EngineError: if the first image left the detector without slots, with the reason.
        """
        count = len(images)
        if not 1 <= count <= self.batch_size:
            raise ValueError(f'got {count} images; expected 1 to {self.batch_size}')
        if self._failure:
            raise EngineError(
                'the detector could not be prepared for the size of the first image '
                f'({self._failure}); set input_shape, and configure again'
            )
        if self._input_size_pending:
            self.fit_input_size(images[0])
        return count

    def _fill(self, images: Sequence[Image], slot: BatchSlot) -> tuple[Letterbox, ...]:
        """Write images into a slot."""
        return tuple(
            self._preprocessor(image, target)
            for image, target in zip(images, slot.targets(len(images)), strict=True)
        )

    def fit_input_size(self, image: Image) -> None:
        """
        Choose the input size for an image anew, if the model leaves it open.

        The first image of a stream does so by itself; call it before each image whose detections
        must not depend on the images before. No batch may be in flight.

        :raises EngineError: if the engine cannot run at the size.
        """
        choose, self._input_size_pending = self._choose_input_size, False
        if choose is None:
            return
        self._counts_run.clear()
        # The slots' CUDA graphs must not outlive the size that they were captured at.
        try:
            with self._engine.device_lock():
                stages = choose((image.width, image.height), self._slots.close)
                if stages is not None:
                    self._preprocessor, self._head = stages
                    self._decoder = self._open_slots()
                    self._batch_choice = None
                    if self._choose_batch:
                        self._run_black([1, self.run_size])
                    elif self._engine.info.device_id is not None:
                        self._run_black([1])
            self._measure_batches()
        except Exception as error:
            self._slots.close()
            self._failure = f'{type(error).__name__}: {error}'
            raise

    def warm_up(self, iterations: int) -> None:
        """
        Detect in black images, one and a full batch, as in live ones.

        On a GPU the batch sizes between run once, because its runtimes initialize for each. If
        the input size is pending, only the network runs.

        Further runs are measured instead if they are to choose the batch size.

        :param iterations: runs of one image and of a full batch; 0 runs nothing.
        :raises EngineError: if the inference fails.
        """
        if not iterations:
            return
        if self.input_size_pending:
            with self._engine.device_lock():
                self._engine.warm_up(1)
            self._engine.warm_up(iterations - 1)
            return
        sizes = sorted({1, self.run_size})
        if self._sanity is not None:
            self._sanity.expect_warm_up()
        with self._engine.device_lock():
            if self._engine.info.device_id is not None and self.run_size <= _MANY_IMAGES:
                self._run_black(range(1, self.run_size + 1))
            else:
                self._run_black(sizes)
        if self._choose_batch:
            self._measure_batches()
        else:
            for _ in range(iterations - 1):
                self._run_black(sizes)
        if self._sanity is not None:
            self._sanity.expect_live_images()

    def _measure_batches(self) -> None:
        """Measure whether to use batches, if that is to be chosen; every size has run before."""
        if not self._choose_batch:
            return
        self._batch_choice = choose_batch_size(self, self._make_black(), self.run_size)
        _LOG.info('%s: batch size %s', self.model_name, self._batch_choice)
        if self._sanity is not None:
            self._sanity.expect_live_images()

    def _run_black(self, counts: Iterable[int]) -> None:
        """Run the engine on batches of black images."""
        black = self._make_black()
        for count in counts:
            self.collect_run(self.submit_run([black] * count))

    def _make_black(self) -> Image:
        """Make a black image of the input size."""
        return Image.from_array(np.zeros((*self.input_size, 3), np.uint8))

    def close(self) -> None:
        """Free the slots and the engine; calling it again does nothing."""
        try:
            self._slots.close()
        finally:
            self._engine.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
