# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a video with the detections drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import BagError
from ...image.drawing import draw_detections
from ...image.image import Image
from ...regions.camera_regions import CameraRegions
from ...regions.drawing import draw_regions
from ...tracking.trails import Trails
from ..bag.reader import BagMessage
from .record import ImageRecord

__all__ = ['VIDEO_SUFFIXES', 'VideoOutput']

_CODECS = {'.mp4': 'mp4v', '.mkv': 'mp4v', '.avi': 'MJPG'}
# A player, or the container, may not know an odd size.
_EVEN = 2

VIDEO_SUFFIXES = frozenset(_CODECS)
"""Endings of the files that are written."""


class VideoOutput:
    """
    Video with one frame per image, at a constant rate, in the size of the first image.

    :param path: file to create.
    :param rate_hz: frames per second.
    :param class_names: labels.
    :param regions: drawn, too; None without any.
    """

    needs_pixels = True

    def __init__(
        self,
        path: Path,
        rate_hz: float,
        class_names: Sequence[str],
        regions: CameraRegions | None,
    ) -> None:
        self._path = path
        self._rate_hz = rate_hz
        self._class_names = class_names
        self._regions = regions
        self._trails = Trails()
        self._writer: cv2.VideoWriter | None = None
        self._size_wh = (0, 0)
        self._frames = 0

    def open(self) -> None:
        """Do nothing: the first image has the size of the video."""

    def write(self, record: ImageRecord, image: Image | None) -> None:
        """Draw the detections of an image and append it."""
        if image is None or record.detections is None:
            return
        picture = draw_regions(image.to_bgr(), self._regions)
        trails = self._trails.update(record.detections, record.stamp_ns)
        drawn = draw_detections(picture, record.detections, self._class_names, trails)
        if self._writer is None:
            self._writer = self._create(drawn)
        self._writer.write(_fit(drawn, self._size_wh))
        self._frames += 1

    def copy(self, message: BagMessage) -> None:
        """Do nothing: a video has no messages."""

    def finish(self) -> Path:
        """
        Complete the file.

        :raises BagError: if no image could be read, or the file lacks frames.
        """
        if self._writer is None:
            raise BagError(f'no image of the topic can be read, so {self._path.name} has no frame')
        self.abort()
        # A writer of OpenCV tells nobody that it failed.
        found = _count_frames(self._path)
        if abs(found - self._frames) > 1:
            raise BagError(
                f'{self._path.name} has {found} of {self._frames} frames; is the disk full?'
            )
        return self._path

    def abort(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def _create(self, first: npt.NDArray[np.uint8]) -> cv2.VideoWriter:
        """Create the file in the size of an image."""
        height, width = first.shape[:2]
        self._size_wh = (max(_EVEN, width - width % _EVEN), max(_EVEN, height - height % _EVEN))
        codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._path), codec, self._rate_hz, self._size_wh)
        if not writer.isOpened():
            raise BagError(
                f'OpenCV cannot write {self._path.name} of {width}x{height} pixels; try '
                f'{" or ".join(sorted(VIDEO_SUFFIXES))}, or --format bag'
            )
        return writer


def _count_frames(path: Path) -> int:
    """Count the frames of a video by its header; 0 if it cannot be opened."""
    video = cv2.VideoCapture(str(path))
    try:
        return int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    finally:
        video.release()


def _fit(picture: npt.NDArray[np.uint8], size_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Scale a picture into a size, with black bars; cut one odd row or column."""
    height, width = picture.shape[:2]
    if (width - width % _EVEN, height - height % _EVEN) == size_wh:
        return np.ascontiguousarray(picture[: size_wh[1], : size_wh[0]])
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    left, top = (size_wh[0] - inner[0]) // 2, (size_wh[1] - inner[1]) // 2
    scaled = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas
