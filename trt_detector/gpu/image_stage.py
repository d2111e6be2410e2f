# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The way of one image's raw bytes to the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError
from ..image import Image
from ..preprocess import Letterbox
from .buffers import TensorBuffer
from .letterbox_kernel import KERNEL_ENCODINGS

__all__ = ['ImageStage', 'StagedImage', 'rows_read']

_PLANES_420 = frozenset({'nv12', 'nv21'})


@dataclass(frozen=True, slots=True)
class StagedImage:
    """
    An image on the device.

    :param address: of its first row.
    :param step: bytes from a row to the next.
    :param chroma_offset: bytes from the first row to the chroma rows of nv12 and nv21.
    :param gathered: it holds only the two rows that each row of the picture reads.
    """

    address: int
    step: int
    chroma_offset: int
    gathered: bool


def rows_read(source_height: int, resized_height: int) -> npt.NDArray[np.intp]:
    """Return the two rows of the source that each row of the picture reads, as the kernel does."""
    index = np.arange(resized_height)
    first = ((2 * index + 1) * source_height - resized_height) // (2 * resized_height)
    pairs = np.stack((first, first + 1), axis=1).reshape(-1)
    return np.clip(pairs, 0, source_height - 1).astype(np.intp)


class ImageStage:
    """
    Page-locked and device memory for one image; it grows to the largest that ever came.

    A bilinear resize reads two rows of the source for each of its own. Where the picture becomes
    less than half as high, only those are copied: 720 of 2160 rows for 4K in a 640x640 network.

    :param cuda: pycuda.driver.
    :param mapped: let the device read the page-locked memory itself, with no second copy: for
        GPUs that share the machine's memory.
    """

    def __init__(self, cuda: Any, *, mapped: bool) -> None:
        self._cuda = cuda
        self._mapped = mapped
        self._buffer: TensorBuffer | None = None
        self._rows: npt.NDArray[np.intp] | None = None
        self._rows_of = (0, 0)

    def load(self, image: Image, place: Letterbox, stream: Any) -> StagedImage:
        """
        Copy an image to the device in the order of a stream.

        What was loaded before must not be in use any more; the image itself is not needed once
        this returns.

        :param image: in one of KERNEL_ENCODINGS.
        :raises EngineError: if there is no memory for it.
        """
        planar = image.encoding in _PLANES_420
        stored_rows = image.height * 3 // 2 if planar else image.height
        rows = image.data[: image.step * stored_rows].reshape(stored_rows, image.step)
        height = place.resized_size[1]
        gathered = 2 * height < image.height
        if gathered:
            wanted = self._find_rows(image.height, height, planar)
            view = self._room(len(wanted), image.step)
            # With mode='raise', take() would go through a buffer of its own.
            np.take(rows, wanted, axis=0, out=view, mode='clip')
            step, chroma_row = image.step, 2 * height
        else:
            step = image.width * KERNEL_ENCODINGS[image.encoding][1]
            view = self._room(stored_rows, step)
            np.copyto(view, rows[:, :step])
            chroma_row = image.height
        buffer = self._buffer
        if buffer is None:
            raise EngineError('an image stage has no memory')
        buffer.upload(view, stream)
        return StagedImage(buffer.address, step, chroma_row * step, gathered)

    def free(self) -> None:
        """Free the memory; calling it again does nothing."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            buffer.free()

    def _find_rows(self, height: int, resized: int, planar: bool) -> npt.NDArray[np.intp]:
        """Return the rows to copy: of the luma plane, then those of the chroma plane."""
        if self._rows is None or self._rows_of != (height, resized):
            self._rows, self._rows_of = rows_read(height, resized), (height, resized)
        return np.concatenate((self._rows, height + self._rows // 2)) if planar else self._rows

    def _room(self, rows: int, step: int) -> npt.NDArray[np.uint8]:
        """Return page-locked memory for rows of bytes."""
        size = rows * step
        if self._buffer is None or not self._buffer.holds(size):
            self.free()
            self._buffer = TensorBuffer(
                self._cuda, 'image', np.dtype(np.uint8), (size,), mapped=self._mapped
            )
        return self._buffer.view((rows, step))
