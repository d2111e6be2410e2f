# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The one thread that makes, uses and closes the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import threading
from typing import Any, Protocol

from ..config import DetectorConfig
from ..errors import BuildCancelledError
from ..pipeline import Detector
from ..values.progress import Progress, ProgressCallback
from .image_queue import ImageQueue, QueuedImage

__all__ = ['DetectorFactory', 'InferenceThread']


class DetectorFactory(Protocol):
    """What :func:`trt_detector.factory.create_detector` is."""

    def __call__(
        self,
        config: DetectorConfig,
        *,
        on_progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> Detector: ...


class InferenceThread:
    """
    Owns the detector from configure to cleanup.

    A detector belongs to the thread that made it (a CUDA context does), and making it can take
    minutes: both are why it lives in a thread of its own.

    :param config: what the detector is made from.
    :param image_queue: where the images wait; closed by :meth:`close`.
    :param create: makes the detector.
    :param begin: hands a batch to the detector, in the worker's thread; returns the work that is
        under way then, None where nothing is. Must not raise.
    :param wait: waits until the device has done that work. Must not raise.
    :param end: waits for that work and deals with its result, in the order of begin(). Must not
        raise.
    :param on_progress: told how the preparation goes, in the worker's thread.
    """

    def __init__(
        self,
        config: DetectorConfig,
        image_queue: ImageQueue,
        create: DetectorFactory,
        begin: Callable[[Detector, list[QueuedImage]], Any],
        wait: Callable[[Detector, Any], None],
        end: Callable[[Detector, Any], None],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._config = config
        self._image_queue = image_queue
        self._create = create
        self._begin = begin
        self._wait = wait
        self._end = end
        self._on_progress = on_progress
        self._cancel = threading.Event()
        self._prepared = threading.Event()
        self._detector: Detector | None = None
        self._error: BaseException | None = None
        # A daemon: a driver call that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)

    def open(self) -> Detector:
        """
        Make the detector and wait until it is ready.

        :return: the detector; only :attr:`Detector.options` and what never changes may be used
            outside the worker's thread.
        :raises Exception: what the factory raised.
        """
        self._thread.start()
        self._prepared.wait()
        if self._detector is None:
            self._thread.join()
            raise self._error or RuntimeError('the inference thread ended without a detector')
        return self._detector

    def cancel(self) -> bool:
        """Ask a preparation to stop; return whether one was under way."""
        building = self._thread.is_alive() and not self._prepared.is_set()
        if building:
            self._cancel.set()
        return building

    def close(self, timeout_s: float = 10.0) -> bool:
        """
        Close the detector and end the thread.

        :return: False if the thread did not end in time and was left alone.
        """
        self._cancel.set()
        self._image_queue.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        """Be the thread: prepare, serve, close."""
        try:
            detector = self._create(
                self._config, on_progress=self._on_progress, cancel=self._cancel
            )
            try:
                if self._cancel.is_set():
                    raise BuildCancelledError('the preparation of the detector was cancelled')
                self._detector = detector
                self._prepared.set()
                self._serve(detector)
            finally:
                self._detector = None
                detector.close()
        except BaseException as error:  # noqa: BLE001 open() raises it in the caller's thread
            self._error = error
        finally:
            self._prepared.set()

    def _serve(self, detector: Detector) -> None:
        """
        Deal with images until the image_queue closes.

        A further batch begins before the first one ends, where the detector takes several and
        images wait. Where none waits, nothing is held back. The last slot is filled once the
        device has done the oldest batch, just before that one is decoded: the device goes on
        meanwhile, and no image waits in a queue longer than it has to.
        """
        under_way: deque[Any] = deque()
        while True:
            if 0 < len(under_way) == detector.depth - 1:
                self._wait(detector, under_way[0])
            queued_images = self._image_queue.take(detector.batch_size, busy=bool(under_way))
            if not queued_images and not under_way:
                return
            if queued_images:
                work = self._begin(detector, queued_images)
                if work is not None:
                    under_way.append(work)
                # Not kept while waiting: an image can have tens of megabytes.
                del work
            if under_way and (not queued_images or len(under_way) >= detector.depth):
                self._end(detector, under_way.popleft())
            del queued_images
