# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The place where executor threads leave images for the inference thread."""

from __future__ import annotations

from dataclasses import dataclass
import threading
import time
from typing import Any

__all__ = ['QueuedImage', 'ImageQueue']


@dataclass(frozen=True, slots=True, eq=False)
class QueuedImage:
    """
    One message that waits, or is being worked on.

    :param camera: index of the camera it came from.
    :param message: the image message.
    :param received_ns: time.monotonic_ns() when it came.
    """

    camera: int
    message: Any
    received_ns: int


class ImageQueue:
    """
    One slot a camera: a new image replaces the one that waits there.

    It starts shut. Any number of threads may put; one thread takes.

    :param cameras: number of slots.
    """

    def __init__(self, cameras: int) -> None:
        self._slots: list[QueuedImage | None] = [None] * cameras
        self._next_camera = 0
        self._accepting = False
        self._closed = False
        self._working = False
        self._changed = threading.Condition()

    def put(self, camera: int, message: Any) -> int:
        """
        Leave a message.

        :return: how many messages were lost by it: 1 if it replaced one that waited, or if the
            box is shut, else 0.
        """
        queued_image = QueuedImage(camera, message, time.monotonic_ns())
        with self._changed:
            if not self._accepting:
                return 1
            lost = int(self._slots[camera] is not None)
            self._slots[camera] = queued_image
            self._changed.notify_all()
        return lost

    def take(self, limit: int, *, busy: bool = False) -> list[QueuedImage]:
        """
        Wait for messages and take at most one a camera.

        Cameras take turns: the camera after the last one served comes first. Calling it says that
        the messages taken before are dealt with, unless the caller is busy.

        :param limit: most messages wanted.
        :param busy: messages taken before are still in work: return what is there, and wait for
            nothing.
        :return: the messages, empty once the box is closed, or where none waits for a busy caller.
        """
        with self._changed:
            if not busy:
                self._working = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or any(self._slots))
            queued_images = [] if self._closed else self._collect(limit)
            self._working = busy or bool(queued_images)
        return queued_images

    def open(self) -> None:
        """Let messages in from now on."""
        with self._changed:
            self._accepting = not self._closed

    def shut(self) -> list[int]:
        """
        Let no more messages in and throw away those that wait.

        :return: index of the camera of each message that was thrown away.
        """
        with self._changed:
            self._accepting = False
            waiting = [
                queued_image.camera for queued_image in self._slots if queued_image is not None
            ]
            self._slots = [None] * len(self._slots)
        return waiting

    def wait_idle(self, timeout_s: float) -> bool:
        """Return whether everything taken was dealt with before the time was up."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._working, timeout_s)

    def close(self) -> None:
        """Shut the box for good and let take() return nothing."""
        self.shut()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _collect(self, limit: int) -> list[QueuedImage]:
        """Empty up to limit slots, starting after the camera that was served last."""
        count = len(self._slots)
        queued_images: list[QueuedImage] = []
        for offset in range(count):
            camera = (self._next_camera + offset) % count
            queued_image = self._slots[camera]
            if queued_image is not None and len(queued_images) < limit:
                queued_images.append(queued_image)
                self._slots[camera] = None
        if queued_images:
            self._next_camera = (queued_images[-1].camera + 1) % count
        return queued_images
