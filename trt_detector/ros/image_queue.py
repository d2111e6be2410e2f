# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Queue between the threads that receive images and the inference thread."""

from __future__ import annotations

from dataclasses import dataclass
import threading
import time
from typing import Any

__all__ = ['ImageQueue', 'QueuedImage']


@dataclass(frozen=True, slots=True, eq=False)
class QueuedImage:
    """
    Image message that is queued or being processed.

    :param camera: index of its camera.
    :param message: the image message.
    :param received_ns: time.monotonic_ns() when it was received.
    """

    camera: int
    message: Any
    received_ns: int


class ImageQueue:
    """
    Queue that keeps the newest image of each camera: a new image replaces the queued one.

    It starts closed for images. Any number of threads may put; one thread takes.

    :param cameras: number of cameras.
    :param batch_wait_s: maximum time that the first image of a batch waits for other cameras. A
        camera that was waited for in vain is not waited for again until it sends an image.
    """

    def __init__(self, cameras: int, batch_wait_s: float = 0.0) -> None:
        self._batch_wait_s = batch_wait_s
        self._filled_s = 0.0
        self._images: list[QueuedImage | None] = [None] * cameras
        self._absent: set[int] = set()
        self._next_camera = 0
        self._accepting = False
        self._closed = False
        self._working = False
        self._changed = threading.Condition()

    def put(self, camera: int, message: Any) -> int:
        """
        Queue a message.

        :return: number of dropped messages: 1 if it replaced a queued one or was refused because
            the queue is not open, else 0.
        """
        queued_image = QueuedImage(camera, message, time.monotonic_ns())
        with self._changed:
            if not self._accepting:
                return 1
            if not any(self._images):
                self._filled_s = time.monotonic()
            dropped = int(self._images[camera] is not None)
            self._images[camera] = queued_image
            self._absent.discard(camera)
            self._changed.notify_all()
        return dropped

    def take(self, limit: int, *, busy: bool = False) -> list[QueuedImage]:
        """
        Wait for messages and take at most one per camera.

        Round robin: the camera after the last one served comes first. Unless busy, a call means
        that the messages taken before have been processed.

        :param limit: maximum number of messages.
        :param busy: messages taken before are still being processed: return without waiting.
        :return: the messages; empty once the queue is closed, or if no batch is ready for a busy
            caller.
        """
        with self._changed:
            if not busy:
                self._working = False
                self._changed.notify_all()
                self._wait_for_batch(limit)
            is_ready = not self._closed and self._get_wait_s(limit) <= 0
            queued_images = self._collect(limit) if is_ready else []
            self._working = busy or bool(queued_images)
        return queued_images

    def open(self) -> None:
        """Accept messages from now on."""
        with self._changed:
            self._accepting = not self._closed

    def stop_accepting(self) -> list[int]:
        """
        Refuse further messages and drop the queued ones.

        :return: camera index of each dropped message.
        """
        with self._changed:
            self._accepting = False
            return self.drop_queued()

    def drop_queued(self) -> list[int]:
        """
        Drop the queued messages.

        :return: camera index of each dropped message.
        """
        with self._changed:
            dropped = [
                queued_image.camera for queued_image in self._images if queued_image is not None
            ]
            self._images = [None] * len(self._images)
        return dropped

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until every message taken has been processed; False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._working, timeout_s)

    def close(self) -> None:
        """Refuse messages for good, and make take() return an empty list."""
        self.stop_accepting()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait_for_batch(self, limit: int) -> None:
        """Wait until a batch is ready or the queue is closed."""
        while not self._closed:
            if not any(self._images):
                self._changed.wait()
            elif (wait_s := self._get_wait_s(limit)) > 0:
                self._changed.wait(wait_s)
            else:
                return

    def _get_wait_s(self, limit: int) -> float:
        """Compute for how long the queued images may wait for those of other cameras."""
        queued = sum(image is not None for image in self._images)
        if queued >= min(limit, len(self._images) - len(self._absent)):
            return 0.0
        return self._filled_s + self._batch_wait_s - time.monotonic()

    def _collect(self, limit: int) -> list[QueuedImage]:
        """Remove up to limit messages, starting after the camera that was served last."""
        count = len(self._images)
        absent = {number for number, image in enumerate(self._images) if image is None}
        if len(absent) < count:
            self._absent = absent
        queued_images: list[QueuedImage] = []
        for offset in range(count):
            camera = (self._next_camera + offset) % count
            queued_image = self._images[camera]
            if queued_image is not None and len(queued_images) < limit:
                queued_images.append(queued_image)
                self._images[camera] = None
        if queued_images:
            self._next_camera = (queued_images[-1].camera + 1) % count
            self._filled_s = time.monotonic()
        return queued_images
