# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What calibrate does with the frames that were sampled: some to check with, the rest as input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...image.image import Image
from ...pipeline import Detector

__all__ = ['GateFrames', 'InputBatches']

_JPEG_QUALITY = 95


class GateFrames:
    """
    Takes its share of the frames, evenly, and keeps them beside the cache as JPEG.

    :param folder: to write them to.
    :param wanted: how many of them.
    :param frames: how many frames there will be in all.
    """

    def __init__(self, folder: Path, wanted: int, frames: int) -> None:
        self._folder = folder
        self._wanted = wanted
        self._frames = frames
        self._seen = 0
        self._encoded: list[bytes] = []

    @property
    def count(self) -> int:
        """Return how many frames were taken."""
        return len(self._encoded)

    def takes(self, image: Image) -> bool:
        """Return whether this frame is for checking, not for calibration; keep it if so."""
        self._seen += 1
        if self._seen * self._wanted < (self.count + 1) * self._frames:
            return False
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        done, data = cv2.imencode('.jpg', image.to_bgr(), options)
        if done:
            self._encoded.append(np.asarray(data, np.uint8).tobytes())
        return bool(done)

    def write(self) -> None:
        """Replace the folder's frames by these."""
        for old in self._folder.glob('frame_*.jpg'):
            old.unlink()
        if self._encoded:
            self._folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(self._encoded):
            (self._folder / f'frame_{number:04}.jpg').write_bytes(data)


class InputBatches:
    """
    Makes the network's inputs of pictures, in batches of the network's own size.

    :param detector: prepares the pictures as for inference.
    :param size: pictures in a batch.
    :param keep: how many batches to keep a copy of, in :attr:`kept`, evenly.
    :param expected: how many pictures will come, about.
    """

    def __init__(self, detector: Detector, size: int, *, keep: int, expected: int) -> None:
        self._detector = detector
        self._size = size
        self._keep = keep
        self._kept_every = max(1, expected // max(1, keep))
        self.kept: list[npt.NDArray[Any]] = []
        self.frames = 0

    def of(self, images: Iterable[Image]) -> Iterator[tuple[npt.NDArray[Any], int]]:
        """Yield each batch, valid until the next, and how many pictures in it are new."""
        waiting: list[Image] = []
        for image in images:
            waiting.append(image)
            if len(waiting) == self._size:
                yield self._batch(waiting), len(waiting)
                waiting = []
        if waiting:
            # The places behind a batch that is not full get its last picture once more.
            filled = waiting + waiting[-1:] * (self._size - len(waiting))
            yield self._batch(filled, len(waiting)), len(waiting)

    def _batch(self, images: list[Image], count: int | None = None) -> npt.NDArray[Any]:
        """Return the input of the network for some pictures."""
        batch, _ = self._detector.prepare(images)
        if len(self.kept) < self._keep and self.frames >= len(self.kept) * self._kept_every:
            self.kept.append(batch.copy())
        self.frames += len(images) if count is None else count
        return batch
