# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the newest picture of each topic, and who wants it."""

from __future__ import annotations

from dataclasses import dataclass
import threading

import cv2
import numpy as np

__all__ = ['Frame', 'FrameStore', 'shrink_jpeg']

# Pages ask many times per second; after this time without a question nobody looks.
_INTEREST_S = 2.0
_MAX_EDGE = 1920
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Frame:
    """
    One picture.

    :param number: counts the pictures of all topics.
    :param jpeg: bytes of a JPEG file.
    """

    number: int
    jpeg: bytes


class FrameStore:
    """Newest picture of each topic that a page asks for; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: dict[str, Frame] = {}
        self._asked_s: dict[str, float] = {}
        self._number = 0

    def ask(self, topic: str, after: int, now_s: float) -> Frame | None:
        """
        Note that a page wants pictures of a topic.

        :param after: number of the picture that the page has; 0 if it has none.
        :param now_s: time.monotonic().
        :return: a newer picture; None if there is none.
        """
        with self._lock:
            self._asked_s[topic] = now_s
            frame = self._frames.get(topic)
        return frame if frame is not None and frame.number != after else None

    def put(self, topic: str, jpeg: bytes) -> None:
        """Store a picture, unless nobody wants it any more."""
        with self._lock:
            if topic in self._asked_s:
                self._number += 1
                self._frames[topic] = Frame(self._number, jpeg)

    def replace(self, topic: str, old: Frame, new: Frame) -> None:
        """Replace a picture by a smaller copy, unless a newer one has arrived."""
        with self._lock:
            if self._frames.get(topic) is old:
                self._frames[topic] = new

    def wanted(self, now_s: float) -> set[str]:
        """List the topics that a page asked for lately, and forget the others."""
        with self._lock:
            for topic in [t for t, at_s in self._asked_s.items() if now_s - at_s > _INTEREST_S]:
                del self._asked_s[topic]
                self._frames.pop(topic, None)
            return set(self._asked_s)


def shrink_jpeg(jpeg: bytes) -> bytes:
    """
    Shrink a JPEG file of more pixels than a page can show.

    :return: the file itself if it is small enough or cannot be read.
    """
    coded = np.frombuffer(jpeg, np.uint8)
    # An eighth of the size is decoded in a fraction of the time, and tells the size.
    eighth = cv2.imdecode(coded, cv2.IMREAD_REDUCED_COLOR_8)
    if eighth is None or max(eighth.shape) * 8 <= _MAX_EDGE + 7:
        return jpeg
    half = cv2.imdecode(coded, cv2.IMREAD_REDUCED_COLOR_2)
    if half is None:
        return jpeg
    height, width = half.shape[:2]
    scale = min(1.0, _MAX_EDGE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(half, size, interpolation=cv2.INTER_AREA) if scale < 1 else half
    _, encoded = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(encoded.tobytes())
