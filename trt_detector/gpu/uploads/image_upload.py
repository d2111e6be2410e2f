# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Upload of the raw bytes of one image to the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import functools
from functools import partial
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...image.image import Image
from ...preprocess import Letterbox
from ...values.recent_peak import RecentPeak
from ..buffers import TensorBuffer
from ..kernels.letterbox import KERNEL_ENCODINGS
from .page_locks import PageLock, PageLocks

__all__ = ['HostWork', 'ImageUpload', 'UploadedImage', 'find_height', 'rows_read']

HostWork = Callable[[], object]

_PLANES_420 = frozenset({'nv12', 'nv21'})
_MAX_PAIRS = 16


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """
    Image in device memory.

    :param address: address of the first row.
    :param step: bytes from one row to the next.
    :param chroma_offset: bytes from the first row to the chroma rows of nv12 and nv21.
    :param gathered: only the two source rows that each resized row reads are there.
    """

    address: int
    step: int
    chroma_offset: int
    gathered: bool


@dataclass(frozen=True, slots=True)
class _Strided:
    """Pitched copy of rows; all values but the number of rows are in bytes."""

    source: int
    source_pitch: int
    target: int
    target_pitch: int
    width: int
    rows: int

    def enqueue(self, cuda: Any, data: npt.NDArray[np.uint8], address: int, stream: Any) -> None:
        """Queue the copy from page-locked memory to the device."""
        copy = cuda.Memcpy2D()
        copy.set_src_host(data)
        copy.set_dst_device(address)
        copy.src_x_in_bytes, copy.src_pitch = self.source, self.source_pitch
        copy.dst_x_in_bytes, copy.dst_pitch = self.target, self.target_pitch
        copy.width_in_bytes, copy.height = self.width, self.rows
        copy(stream)


def rows_read(source_height: int, resized_height: int) -> npt.NDArray[np.intp]:
    """Return the two source rows that the kernel reads for each resized row."""
    index = np.arange(resized_height)
    first = ((2 * index + 1) * source_height - resized_height) // (2 * resized_height)
    pairs = np.stack((first, first + 1), axis=1).reshape(-1)
    return np.clip(pairs, 0, source_height - 1).astype(np.intp)


def find_height(image: Image, letterbox: Letterbox | None) -> int:
    """
    Find the number of rows after the resize, for which rows of the image are selected.

    :return: the height of the image if all its rows are uploaded.
    """
    height = image.height if letterbox is None else letterbox.resized_size[1]
    return height if 2 * height < image.height else image.height


@functools.lru_cache(maxsize=64)
def _find_rows(height: int, resized: int, planar: bool) -> npt.NDArray[np.intp]:
    """Return the read-only indexes of the rows to copy: luma rows, then chroma rows."""
    rows = rows_read(height, resized)
    return np.concatenate((rows, height + rows // 2)) if planar else rows


@functools.lru_cache(maxsize=64)
def _plan_copies(
    width: int, height: int, step: int, encoding: str, resized: int
) -> tuple[int, int, bool, tuple[_Strided, ...]]:
    """
    Plan the copies of a page-locked image: rows, bytes per row, whether gathered, copies.

    The rows that a resize reads repeat in a pattern: 2160 rows are resized to 288 with 15 source
    rows for every 2. Each pair of rows of the pattern is one pitched copy. A pattern of many
    pairs, which few sizes have, is not worth it.
    """
    repeats = math.gcd(height, resized)
    pairs = resized // repeats
    planar = encoding in _PLANES_420
    if planar or 2 * resized >= height or pairs > _MAX_PAIRS:
        row_bytes = width * KERNEL_ENCODINGS[encoding][1]
        rows = height * 3 // 2 if planar else height
        return rows, row_bytes, False, (_Strided(0, step, 0, row_bytes, row_bytes, rows),)
    period = height // repeats
    first_rows = rows_read(height, resized)[: 2 * pairs : 2].tolist()
    copies = [
        _Strided(row * step, period * step, 2 * i * step, 2 * pairs * step, 2 * step, repeats)
        for i, row in enumerate(first_rows)
    ]
    return 2 * resized, step, True, tuple(copies)


def _map(image: Image, lock: PageLock) -> UploadedImage:
    """Let the device read an image where it is."""
    offset = image.data.__array_interface__['data'][0] - lock.address
    address = lock.device_address + offset
    return UploadedImage(address, image.step, image.height * image.step, gathered=False)


class ImageUpload:
    """
    Page-locked and device memory for one image, large enough for the largest recent image.

    A bilinear resize reads two source rows for each resized row. If it more than halves the
    height, only those rows are copied: 720 of 2160 rows of a 4K image for a 640x640 network.

    :param cuda: CUDA bindings, see :func:`.context.load_cuda`.
    :param mapped: let the device read the page-locked memory directly, without another copy, for
        GPUs that share the system memory.
    :param locks: locks the memory that images arrive in; the device then reads them from there.
    """

    def __init__(self, cuda: Any, *, mapped: bool, locks: PageLocks) -> None:
        self._cuda = cuda
        self._mapped = mapped
        self._locks = locks
        self._buffer: TensorBuffer | None = None
        self._size = RecentPeak()
        self._send: Callable[[Any], None] | None = None

    def begin(
        self, image: Image, letterbox: Letterbox | None
    ) -> tuple[UploadedImage, HostWork | None]:
        """
        Allocate memory for an image and plan its copy.

        The previous image must not be in use any more.

        :param image: in one of KERNEL_ENCODINGS.
        :param letterbox: position of the image in the input; None if all its rows are needed.
        :return: the image on the device, and the host's part of the copy, to be called before
            send() in any thread; None for an image in locked memory, which the device reads
            directly and must stay in use until it has.
        :raises EngineError: if the memory cannot be allocated.
        """
        height = find_height(image, letterbox)
        lock = self._locks.lock(image.memory)
        if lock is not None:
            return _map(image, lock) if self._mapped else self._begin_directly(image, height), None
        planar = image.encoding in _PLANES_420
        stored_rows = image.height * 3 // 2 if planar else image.height
        rows = image.data[: image.step * stored_rows].reshape(stored_rows, image.step)
        work: HostWork
        gathered = height < image.height
        if gathered:
            wanted = _find_rows(image.height, height, planar)
            step, chroma_row = image.step, 2 * height
            buffer = self._allocate(len(wanted) * step)
            view = buffer.view((len(wanted), step))
            # With mode='raise', take() would use a temporary buffer.
            work = partial(np.take, rows, wanted, axis=0, out=view, mode='clip')
        else:
            step = image.width * KERNEL_ENCODINGS[image.encoding][1]
            chroma_row = image.height
            buffer = self._allocate(stored_rows * step)
            view = buffer.view((stored_rows, step))
            work = partial(np.copyto, view, rows[:, :step])
        self._send = partial(buffer.upload, view)
        return UploadedImage(buffer.address, step, chroma_row * step, gathered), work

    def send(self, stream: Any) -> None:
        """
        Queue the copy of the image to the device in a stream.

        The image is not used after that unless its memory is locked.
        """
        send, self._send = self._send, None
        if send is not None:
            send(stream)

    def _begin_directly(self, image: Image, height: int) -> UploadedImage:
        """
        Plan the direct copy of a page-locked image to the device.

        :param height: number of rows after the resize.
        """
        rows, step, gathered, copies = _plan_copies(
            image.width, image.height, image.step, image.encoding, height
        )
        address = self._allocate(rows * step).address

        def send(stream: Any) -> None:
            for copy in copies:
                copy.enqueue(self._cuda, image.data, address, stream)

        self._send = send
        return UploadedImage(address, step, image.height * step, gathered)

    def free(self) -> None:
        """Free the memory; calling it again does nothing."""
        buffer, self._buffer, self._send = self._buffer, None, None
        if buffer is not None:
            buffer.free()

    def _allocate(self, size: int) -> TensorBuffer:
        """
        Allocate the buffer, unless it is large enough.

        :param size: in bytes.
        :raises EngineError: if there is not enough memory.
        """
        shrunk = self._size.note(size)
        if self._buffer is None or shrunk or not self._buffer.holds(size):
            self.free()
            # Not the kept size if the buffer is missing: its allocation may just have failed.
            nbytes = self._size.kept if shrunk else size
            self._buffer = TensorBuffer(
                self._cuda, 'image', np.dtype(np.uint8), (nbytes,), mapped=self._mapped
            )
        return self._buffer
