# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Gate before the image queue."""

from __future__ import annotations

from collections.abc import Sequence
import threading
import time

from .request import DetectRequest, RequestAnswer

__all__ = ['ImageGate']


class ImageGate:
    """
    Decides which images are processed: pause, maximum rate and requests; thread-safe.

    The rate is that of the steady clock at reception, not of the stamps: it limits the load of
    this machine, whatever the stamps of a camera or the speed of a recording are.

    :param cameras: number of cameras.
    """

    def __init__(self, cameras: int) -> None:
        self._paused = False
        self._periods_ns = [0] * cameras
        self._due_ns = [0] * cameras
        self._wanted = [True] * cameras
        self._requests: list[DetectRequest] = []
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether every image passes, so that nobody has to ask."""
        with self._lock:
            closed = self._paused or any(self._periods_ns) or not all(self._wanted)
            return not (closed or self._requests)

    @property
    def has_requests(self) -> bool:
        """Whether a request waits for an answer."""
        return bool(self._requests)

    def is_requested(self, camera: int) -> bool:
        """Tell whether a request waits for an image of a camera."""
        with self._lock:
            return any(each.camera == camera for each in self._requests)

    def configure(self, *, paused: bool, rates_hz: Sequence[float]) -> None:
        """
        Set what passes.

        :param paused: nothing passes but the images that requests wait for.
        :param rates_hz: maximum rate of each camera; 0 is no limit.
        """
        periods_ns = [round(1e9 / rate) if rate > 0 else 0 for rate in rates_hz]
        with self._lock:
            self._paused = paused
            if periods_ns != self._periods_ns:
                self._periods_ns = periods_ns
                self._due_ns = [0] * len(periods_ns)

    def set_wanted(self, camera: int, wanted: bool) -> None:
        """Set whether anybody wants the detections of a camera beside the requests."""
        self._wanted[camera] = wanted

    def admit(self, camera: int) -> bool:
        """Decide whether an image that was received just now is processed."""
        with self._lock:
            requested = False
            for request in self._requests:
                if request.camera == camera and not request.admitted:
                    request.admitted = requested = True
            passes = not self._paused and self._wanted[camera] and self._pass_rate(camera)
            return passes or requested

    def add(self, request: DetectRequest) -> None:
        """Let the next image of its camera pass, and expect its outcome."""
        with self._lock:
            self._requests.append(request)

    def remove(self, request: DetectRequest) -> None:
        """Forget a request."""
        with self._lock:
            if request in self._requests:
                self._requests.remove(request)

    def forget_admitted(self, cameras: Sequence[int]) -> None:
        """Admit another image for the requests of cameras whose queued image was dropped."""
        with self._lock:
            for request in self._requests:
                if request.camera in cameras:
                    request.admitted = False

    def answer(self, camera: int, received_ns: int, answer: RequestAnswer) -> None:
        """Answer the requests that are older than an image of their camera."""
        with self._lock:
            due = [
                each
                for each in self._requests
                if each.camera == camera and each.created_ns <= received_ns
            ]
        for request in due:
            request.answer(answer)

    def answer_all(self, answer: RequestAnswer) -> None:
        """Answer every request."""
        with self._lock:
            requests = list(self._requests)
        for request in requests:
            request.answer(answer)

    def _pass_rate(self, camera: int) -> bool:
        """
        Let an image pass if the maximum rate allows.

        Up to one period is made up for: a camera whose images are a little late, or whose rate is
        no multiple of the limit, still gets the limit on average.
        """
        period_ns = self._periods_ns[camera]
        if not period_ns:
            return True
        now_ns = time.monotonic_ns()
        due_ns = self._due_ns[camera] or now_ns
        if now_ns < due_ns:
            return False
        self._due_ns[camera] = max(due_ns + period_ns, now_ns)
        return True
