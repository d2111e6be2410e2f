# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw and publish debug images in a thread of their own."""

from __future__ import annotations

from dataclasses import dataclass
import threading
from typing import Any, Protocol

from rclpy.node import Node

from ...image.image import Image
from ...values.detections import Detections

__all__ = ['DebugImages', 'DebugPublisher']

_WARNING_PERIOD_S = 5.0
_END_TIMEOUT_S = 5.0


class DebugPublisher(Protocol):
    """Interface of :class:`trt_detector.ros.camera_publisher.CameraPublisher`."""

    def wants_debug_image(self) -> bool:
        """Tell whether anybody subscribes to the debug images."""

    def publish_debug_image(self, header: Any, image: Image, detections: Detections) -> None:
        """Draw and publish the debug images that have a subscriber."""


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Image to be drawn."""

    publisher: DebugPublisher
    header: Any
    image: Image
    detections: Detections


class DebugImages:
    """
    Thread that draws the newest image of each camera, and never makes the inference thread wait.

    An image that is still waiting when the next one of its camera arrives is not drawn. The thread
    starts with the first image that has a subscriber. The methods may be called in any thread.

    :param node: logs.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed = threading.Condition()
        # The camera that waits longest comes first: replacing its image keeps its position.
        self._waiting: dict[int, _Work] = {}
        self._is_drawing = False
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def put(
        self,
        camera: int,
        publisher: DebugPublisher,
        header: Any,
        image: Image,
        detections: Detections,
    ) -> None:
        """Let an image be drawn, if its debug image has a subscriber."""
        if not publisher.wants_debug_image():
            return
        with self._changed:
            if self._is_closed or not self._has_thread():
                return
            self._waiting[camera] = _Work(publisher, header, image, detections)
            self._changed.notify_all()

    def clear(self) -> None:
        """Drop the images that wait, and wait for the one that is being drawn."""
        with self._changed:
            self._waiting.clear()
            self._changed.wait_for(lambda: not self._is_drawing, _END_TIMEOUT_S)

    def close(self) -> None:
        """End the thread; calling it again does nothing."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_END_TIMEOUT_S)

    def _has_thread(self) -> bool:
        """Start the thread if it does not run yet; tell whether it runs."""
        if self._thread is not None:
            return True
        thread = threading.Thread(target=self._run, name='debug images', daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._log(f'no debug image: {error}; raise the limit of threads (ulimit -u)')
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        """Thread main loop."""
        while True:
            with self._changed:
                self._is_drawing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
                work = self._waiting.pop(next(iter(self._waiting)))
                self._is_drawing = True
            self._draw(work)
            # Not kept while waiting: an image can have tens of megabytes.
            del work

    def _draw(self, work: _Work) -> None:
        """Draw and publish one image; a failure is logged."""
        try:
            work.publisher.publish_debug_image(work.header, work.image, work.detections)
        except Exception as error:  # noqa: BLE001 logged; the detections are published already
            self._log(f'no debug image: {type(error).__name__}: {error}')

    def _log(self, text: str) -> None:
        """Log an error from time to time."""
        self._node.get_logger().error(text, throttle_duration_sec=_WARNING_PERIOD_S)
