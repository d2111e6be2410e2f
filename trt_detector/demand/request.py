# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Request for the detections of the next image of a camera."""

from __future__ import annotations

from dataclasses import dataclass
import threading
import time
from typing import Any

from ..values.detections import Detections

__all__ = ['DetectRequest', 'RequestAnswer']


@dataclass(frozen=True, slots=True, eq=False)
class RequestAnswer:
    """
    Answer to a request.

    :param problem: sentence why there are no detections; '' if there are.
    :param header: header of the image; None without detections.
    :param detections: in pixels of the image.
    :param size_wh: width and height of the image in pixels.
    """

    problem: str = ''
    header: Any = None
    detections: Detections | None = None
    size_wh: tuple[int, int] = (0, 0)


class DetectRequest:
    """
    Request for the next image of a camera; one thread waits, another one answers.

    :param camera: index of the camera.
    """

    def __init__(self, camera: int) -> None:
        self.camera = camera
        self.created_ns = time.monotonic_ns()
        #: The gate has admitted an image for it; written under the lock of the gate.
        self.admitted = False
        self._answered = threading.Event()
        self._answer = RequestAnswer()

    def answer(self, answer: RequestAnswer) -> None:
        """Answer the request; only the first answer counts."""
        if not self._answered.is_set():
            self._answer = answer
            self._answered.set()

    def wait(self, timeout_s: float) -> RequestAnswer | None:
        """Wait for the answer; None after the timeout."""
        return self._answer if self._answered.wait(timeout_s) else None
