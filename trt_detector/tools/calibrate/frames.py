# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Use of the sampled frames: some for the INT8 check, the rest as calibration input."""

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
    Frames for the INT8 check, selected evenly and kept beside the cache as JPEG.

    :param folder: to write them to.
    :param wanted: number of frames to select.
    :param frames: expected number of all frames.
    """

    def __init__(self, folder: Path, wanted: int, frames: int) -> None:
        self._folder = folder
        self._wanted = wanted
        self._frames = frames
        self._seen = 0
        self._encoded: list[bytes] = []

    @property
    def count(self) -> int:
        """Return the number of frames selected so far."""
        return len(self._encoded)

    def takes(self, image: Image) -> bool:
        """Keep this frame for the check if it is due; return whether it is."""
        self._seen += 1
        if self._seen * self._wanted < (self.count + 1) * self._frames:
            return False
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        done, data = cv2.imencode('.jpg', image.to_bgr(), options)
        if done:
            self._encoded.append(np.asarray(data, np.uint8).tobytes())
        return bool(done)

    def write(self) -> None:
        """Replace the frames in the folder."""
        for old in self._folder.glob('frame_*.jpg'):
            old.unlink()
        if self._encoded:
            self._folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(self._encoded):
            (self._folder / f'frame_{number:04}.jpg').write_bytes(data)


class InputBatches:
    """
    Network inputs made from pictures, in batches.

    :param detector: prepares the pictures as for inference.
    :param size: pictures per batch.
    :param keep: number of batches to copy to :attr:`kept`, evenly.
    :param expected: approximate number of pictures.
    """

    def __init__(self, detector: Detector, size: int, *, keep: int, expected: int) -> None:
        self._detector = detector
        self._size = size
        self._keep = keep
        self._kept_every = max(1, expected // max(1, keep))
        self.kept: list[npt.NDArray[Any]] = []
        self.frames = 0

    def of(self, images: Iterable[Image]) -> Iterator[tuple[npt.NDArray[Any], int]]:
        """Yield each batch, valid until the next, and the number of new pictures in it."""
        waiting: list[Image] = []
        for image in images:
            waiting.append(image)
            if len(waiting) == self._size:
                yield self._batch(waiting), len(waiting)
                waiting = []
        if waiting:
            # An incomplete batch is padded with its last picture.
            filled = waiting + waiting[-1:] * (self._size - len(waiting))
            yield self._batch(filled, len(waiting)), len(waiting)

    def _batch(self, images: list[Image], count: int | None = None) -> npt.NDArray[Any]:
        """Return the input of the network for some pictures."""
        batch, _ = self._detector.prepare(images)
        if len(self.kept) < self._keep and self.frames >= len(self.kept) * self._kept_every:
            self.kept.append(batch.copy())
        self.frames += len(images) if count is None else count
        return batch
