# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Thread that creates, runs and closes the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
import logging
import threading
import traceback
from typing import Protocol, TypeVar

from ..config import DetectorConfig
from ..errors import BuildCancelledError
from ..pipeline import Detector
from ..process.start_thread import start_thread
from ..values.progress import Progress, ProgressCallback
from .image_queue import ImageQueue, QueuedImage

__all__ = ['DetectorFactory', 'InferenceThread', 'Processor']

_LOG = logging.getLogger(__name__)

Batch = TypeVar('Batch')


class DetectorFactory(Protocol):
    """Signature of :func:`trt_detector.factory.create_detector`."""

    def __call__(
        self,
        config: DetectorConfig,
        *,
        default_batch_size: int = 1,
        on_progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> Detector: ...


class Processor(Protocol[Batch]):
    """
    The three steps of a batch, each called in the inference thread; none may raise.

    :class:`trt_detector.ros.batch_processor.BatchProcessor` implements it.
    """

    def begin(self, detector: Detector, queued_images: Sequence[QueuedImage]) -> Batch | None:
        """Submit a batch to the detector; None if nothing of it can be used."""

    def wait(self, detector: Detector, batch: Batch) -> None:
        """Wait until the device has run the batch."""

    def end(self, detector: Detector, batch: Batch) -> None:
        """Wait for the batch and handle its result; called in the order of begin()."""


class InferenceThread:
    """
    Owns the detector from configure to cleanup.

    A detector belongs to the thread that created it, because a CUDA context does, and creating it
    can take minutes. Both are reasons for a thread of its own.

    :param config: parameters for the factory.
    :param image_queue: images to process; closed by :meth:`close`.
    :param create: creates the detector.
    :param processor: processes the batches.
    :param on_progress: called with the progress of the build, in the inference thread.
    """

    def __init__(
        self,
        config: DetectorConfig,
        image_queue: ImageQueue,
        create: DetectorFactory,
        processor: Processor[Batch],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._config = config
        self._image_queue = image_queue
        self._create = create
        self._on_progress = on_progress
        self._cancel = threading.Event()
        self._prepared = threading.Event()
        self._detector: Detector | None = None
        self._error: BaseException | None = None
        # A daemon: a driver call that never returns must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._run, args=(processor,), name='inference', daemon=True
        )

    def open(self) -> Detector:
        """
        Create the detector and wait until it is ready.

        :return: the detector; outside the inference thread only :attr:`Detector.options` and
            constant attributes may be used.
        :raises EngineError: if no thread can be started.
        :raises Exception: the error of the factory.
        """
        start_thread(self._thread, 'the inference thread')
        self._prepared.wait()
        detector = self._detector
        if detector is None:
            self._thread.join()
            raise self._error or RuntimeError('the inference thread ended without a detector')
        return detector

    def cancel(self) -> bool:
        """Cancel the build; return False if none is in progress."""
        building = self._thread.is_alive() and not self._prepared.is_set()
        if building:
            self._cancel.set()
        return building

    def describe_end(self) -> str:
        """Describe the error that ended the thread by itself; '' if there is none."""
        error = self._error
        if error is None or self._cancel.is_set():
            return ''
        return f'the inference thread ended: {type(error).__name__}: {error}'

    def close(self, timeout_s: float = 10.0) -> bool:
        """
        Close the detector and end the thread.

        :return: False if the thread did not end in time and was abandoned.
        """
        self._cancel.set()
        self._image_queue.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, processor: Processor[Batch]) -> None:
        """Thread main loop: create the detector, process images, close the detector."""
        try:
            detector = self._create(
                self._config,
                default_batch_size=len(self._config.image_topics),
                on_progress=self._on_progress,
                cancel=self._cancel,
            )
            try:
                if self._cancel.is_set():
                    raise BuildCancelledError('the preparation of the detector was cancelled')
                self._detector = detector
                self._prepared.set()
                self._process(detector, processor)
            finally:
                self._detector = None
                detector.close()
        except BaseException as error:  # noqa: BLE001 open() raises it in the caller's thread
            if self._prepared.is_set():
                _LOG.error('the inference thread ended:\n%s', traceback.format_exc())
            self._error = error
        finally:
            self._prepared.set()

    def _process(self, detector: Detector, processor: Processor[Batch]) -> None:
        """
        Process images until the queue is closed.

        If the detector takes several batches and images are queued, the next batch begins before
        the previous one ends. The last batch slot is filled when the device has run the oldest
        batch, just before that one is decoded: the device is kept busy meanwhile, and no image
        waits longer than necessary. If no image is queued, no result is held back.
        """
        in_progress: deque[Batch] = deque()
        while True:
            if 0 < len(in_progress) == detector.depth - 1:
                processor.wait(detector, in_progress[0])
            queued_images = self._image_queue.take(detector.batch_size, busy=bool(in_progress))
            if not queued_images and not in_progress:
                return
            if queued_images:
                batch = processor.begin(detector, queued_images)
                if batch is not None:
                    in_progress.append(batch)
                # Not kept while waiting: an image can have tens of megabytes.
                del batch
            if in_progress and (not queued_images or len(in_progress) >= detector.depth):
                processor.end(detector, in_progress.popleft())
            del queued_images
