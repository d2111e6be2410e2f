# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detector: a model with its input size, batch size and warm-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
import logging
from typing import Any

import numpy.typing as npt

from ..decode import DecodeOptions, Head, SanityCheck
from ..engine import HostSlot, InferenceEngine
from ..errors import EngineError
from ..image.image import Image
from ..preprocess import Letterbox, Preprocessor
from ..values.batch_result import BatchResult
from ..values.engine_info import EngineInfo
from ..values.int8_verdict import Int8Verdict
from .batch_choice import BatchChoice, choose_batch_size
from .batch_runner import BatchRunner, PendingBatch

__all__ = ['ChooseInputSize', 'Detector']

# Called with (width, height) of the first image: sets the engine's input size and returns
# preprocessor and head for it; None if the size stays. It calls its second argument before the
# size changes.
ChooseInputSize = Callable[[tuple[int, int], Callable[[], None]], tuple[Preprocessor, Head] | None]

_LOG = logging.getLogger(__name__)

# Above it the warm-up does not run every batch size.
_MANY_IMAGES = 32


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
    :param sanity: check of the decoded values.
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
        choose_input_size: ChooseInputSize | None,
        warnings: tuple[str, ...],
        description: str,
        sanity: SanityCheck,
        choose_batch: bool,
        class_map: tuple[int, ...] | None,
    ) -> None:
        self.engine = engine
        self.model_name = model_name
        self.description = description
        self.class_names = class_names
        self._class_map = class_map
        self._choose_input_size = choose_input_size
        #: The first image will choose the input size.
        self.input_size_pending = choose_input_size is not None
        self._warnings = warnings
        self._sanity = sanity
        self._int8_verdict: Int8Verdict | None = None
        self._failure = ''
        self._choose_batch = choose_batch and engine.get_batch_size() > 1
        self._batch_choice: BatchChoice | None = None
        self._runner = BatchRunner(
            engine, preprocessor, head, replace(options, class_map=class_map), sanity
        )

    @property
    def info(self) -> EngineInfo:
        """Return the description of what runs."""
        info, verdict = self.engine.info, self._int8_verdict
        choice, entries = self._batch_choice, info.entries
        if choice is not None:
            entries += (('batch choice', str(choice)),)
        warnings = info.warnings + self._warnings + self._sanity.warnings
        if verdict is not None and verdict.warning:
            warnings += (verdict.warning,)
        return replace(
            info,
            warnings=warnings,
            entries=entries,
            cuda_graph=self._runner.slots.cuda_graph or info.cuda_graph,
            int8_check=verdict,
        )

    @property
    def input_size_follows_images(self) -> bool:
        """Return whether the input size follows the images, see :meth:`fit_input_size`."""
        return self._choose_input_size is not None

    @property
    def head(self) -> Head:
        """Return the decoder of the network's outputs at the current input size."""
        return self._runner.head

    @property
    def layout(self) -> str:
        """Return the name of the head layout."""
        return self._runner.head.layout

    @property
    def batch_size(self) -> int:
        """Return the largest number of images that detect() takes."""
        return self.run_size

    @property
    def run_size(self) -> int:
        """Return the largest number of images per run of the engine."""
        choice = self._batch_choice
        return self.engine.get_batch_size() if choice is None else choice.batch_size

    def count_inputs(self, size_wh: tuple[int, int]) -> int:  # noqa: ARG002 as with tiles
        """Return the number of inputs of the network that an image of a size takes."""
        return 1

    @property
    def input_size(self) -> tuple[int, int]:
        """Return (height, width) of the network's input in pixels."""
        return self.engine.get_input_shape()

    @property
    def options(self) -> DecodeOptions:
        """Return the selection of the detections to report."""
        return self._runner.options

    @options.setter
    def options(self, options: DecodeOptions) -> None:
        """Change the selection from the next batch on; any thread may call it."""
        self._runner.options = replace(options, class_map=self._class_map)

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
        return self._runner.get_depth(batch_size)

    def has_run(self, count: int) -> bool:
        """
        Tell whether a batch of count images has run at the present input size.

        The first one can take minutes: a runtime compiles or initializes for it.
        """
        return count in self._runner.counts_run

    def submit(self, images: Sequence[Image]) -> PendingBatch:
        """
        Start a batch; return before it ran if the engine is asynchronous.

        :param images: as :meth:`detect` takes them; those in memory that a GPU locks must stay
            unchanged until the batch is collected.
        :return: for :meth:`collect`, in the order of submission.
        :raises ValueError: if there are more or fewer.
        :raises EngineError: if :attr:`depth` batches are in flight, or the engine refuses.
        """
        self._check_images(images)
        return self._runner.submit(images)

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
        return self._runner.collect(pending)

    def time_stages(self) -> bool:
        """
        Time the stages on the device, for a few CUDA events per batch.

        Detect in one image first if :attr:`input_size_pending`.

        :return: whether the device can; then results have device_ms.
        """
        return all(slot.time_stages() for slot in self._runner.slots)

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
        slot = self._runner.slots[0]
        if not isinstance(slot, HostSlot):
            raise EngineError(
                'the images are prepared on the device; open the detector with backend '
                'onnxruntime and onnxruntime_provider cpu'
            )
        letterboxes = self._runner.fill(images, slot)
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
        if self.input_size_pending:
            self.fit_input_size(images[0])
        return count

    def fit_input_size(self, image: Image) -> None:
        """
        Choose the input size for an image anew, if the model leaves it open.

        The first image of a stream does so by itself; call it before each image whose detections
        must not depend on the images before. No batch may be in flight.

        :raises EngineError: if the engine cannot run at the size.
        """
        choose, self.input_size_pending = self._choose_input_size, False
        if choose is None:
            return
        # The slots' CUDA graphs must not outlive the size that they were captured at.
        try:
            with self.engine.device_lock():
                stages = choose((image.width, image.height), self._runner.slots.close)
                if stages is not None:
                    self._runner.open(*stages)
                    self._batch_choice = None
                    if self._choose_batch:
                        self._runner.run_black([1, self.run_size])
                    elif self.engine.info.device_id is not None:
                        self._runner.run_black([1])
            if self._batch_choice is None:
                self._measure_batches()
        except Exception as error:
            self._runner.slots.close()
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
            with self.engine.device_lock():
                self.engine.warm_up(1)
            self.engine.warm_up(iterations - 1)
            return
        self._batch_choice = None
        sizes = sorted({1, self.run_size})
        self._sanity.expect_warm_up()
        with self.engine.device_lock():
            if self.engine.info.device_id is not None and self.run_size <= _MANY_IMAGES:
                self._runner.run_black(range(1, self.run_size + 1))
            else:
                self._runner.run_black(sizes)
        if self._choose_batch:
            self._measure_batches()
        else:
            for _ in range(iterations - 1):
                self._runner.run_black(sizes)
        self._sanity.expect_live_images()

    def _measure_batches(self) -> None:
        """Measure whether to use batches, if that is to be chosen; every size has run before."""
        if not self._choose_batch:
            return
        self._batch_choice = choose_batch_size(
            self._runner, self._runner.make_black(), self.run_size
        )
        _LOG.info('%s: batch size %s', self.model_name, self._batch_choice)
        self._sanity.expect_live_images()

    def close(self) -> None:
        """Free the slots and the engine; calling it again does nothing."""
        try:
            self._runner.slots.close()
        finally:
            self.engine.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
