# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choose frames that spread over an input and differ from each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
import hashlib
from itertools import chain

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ImageError
from ..image.image import Image

__all__ = ['Coverage', 'FrameSampler', 'SourceFrame']

_THUMBNAIL = (16, 16)
_TENTHS = 10


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """
    A frame of the input that can be loaded.

    :param number: its position in the input, from 0.
    :param name: shown to the user.
    :param load: reads it; raises ImageError.
    """

    number: int
    name: str
    load: Callable[[], Image]


@dataclass(frozen=True, slots=True)
class Coverage:
    """
    Coverage of the input by the sample.

    :param available: frames in the part of the input that was read.
    :param read: frames that were looked at.
    :param used: frames that were taken.
    :param duplicates: frames that were skipped because a similar one was taken before.
    :param unreadable: frames that could not be read.
    :param tenths: number of the ten equal parts of the input with a frame in the sample.
    :param sha256: over the pixels of the frames that were taken, in order.
    """

    available: int
    read: int
    used: int
    duplicates: int
    unreadable: int
    tenths: int
    sha256: str


class FrameSampler:
    """
    Selects frames that are spread over an input and differ from each other.

    :param wanted: maximum number of frames to take.
    :param total: frames in the input; if it is None, the first frames are taken.
    :param min_difference: mean difference of two small gray pictures, 0 to 255, below which
        frames count as duplicates; 0 takes every frame.
    :param on_unreadable: called with the error of each frame that cannot be read.
    """

    def __init__(
        self,
        wanted: int,
        total: int | None,
        *,
        min_difference: float = 2.0,
        on_unreadable: Callable[[ImageError], None] | None = None,
    ) -> None:
        self._wanted = wanted
        self._total = total
        self._min_difference = min_difference
        self._on_unreadable = on_unreadable
        self._taken_thumbnails = np.empty((wanted, _THUMBNAIL[0] * _THUMBNAIL[1]), np.uint8)
        self._numbers: list[int] = []
        self._seen = self._read = self._duplicates = self._unreadable = 0
        self._digest = hashlib.sha256()

    def sample(self, frames: Iterable[SourceFrame]) -> Iterator[tuple[SourceFrame, Image]]:
        """
        Yield the frames to take, in the order of the input.

        Frame n of N is tried while fewer than n * wanted / N frames were taken, so the frame
        after a duplicate replaces it.
        """
        for frame in frames:
            self._seen += 1
            if not self._is_due(frame.number):
                continue
            image = self._load(frame)
            if image is None or self._is_duplicate(image):
                continue
            self._numbers.append(frame.number)
            self._digest.update(_fingerprint(image))
            yield frame, image
            if len(self._numbers) == self._wanted:
                break

    @property
    def coverage(self) -> Coverage:
        """Return the coverage of the frames taken so far."""
        available = max(self._total or 0, self._seen)
        tenths = {number * _TENTHS // max(available, 1) for number in self._numbers}
        return Coverage(
            available=available,
            read=self._read,
            used=len(self._numbers),
            duplicates=self._duplicates,
            unreadable=self._unreadable,
            tenths=len(tenths),
            sha256=self._digest.hexdigest(),
        )

    def _is_due(self, number: int) -> bool:
        """Return whether another frame is due at this position of the input."""
        if self._total is None or self._total <= self._wanted:
            return True
        return len(self._numbers) * self._total <= number * self._wanted

    def _load(self, frame: SourceFrame) -> Image | None:
        """Return the picture of a frame, None if it cannot be read."""
        self._read += 1
        try:
            return frame.load()
        except ImageError as error:
            self._unreadable += 1
            if self._on_unreadable is not None:
                self._on_unreadable(error)
            return None

    def _is_duplicate(self, image: Image) -> bool:
        """Return whether a frame like this was taken; keep its thumbnail if not."""
        count = len(self._numbers)
        thumbnail = _thumbnail(image)
        if count and self._min_difference > 0:
            taken = self._taken_thumbnails[:count].astype(np.int16)
            differences = np.abs(taken - thumbnail).mean(axis=1)
            if float(differences.min()) < self._min_difference:
                self._duplicates += 1
                return True
        self._taken_thumbnails[count] = thumbnail
        return False


def _thumbnail(image: Image) -> npt.NDArray[np.uint8]:
    """Return a small gray picture, (256,)."""
    pixels, order = image.pixels()
    small = cv2.resize(pixels, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    if order != 'gray':
        code = cv2.COLOR_BGR2GRAY if order == 'bgr' else cv2.COLOR_RGB2GRAY
        small = cv2.cvtColor(small, code)
    return np.asarray(small, np.uint8).reshape(-1)


def _fingerprint(image: Image) -> bytes:
    """Return the hash of an image's size, encoding and bytes."""
    head = f'{image.width}x{image.height} {image.encoding} {image.step}'.encode()
    return hashlib.sha256(b''.join(chain((head, b'\0'), (image.data.tobytes(),)))).digest()
