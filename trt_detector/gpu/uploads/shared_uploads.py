# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads of images that several detectors of the process use on one device."""

from __future__ import annotations

from collections import deque
from functools import partial
import threading
from typing import Any
import weakref

import numpy as np
import numpy.typing as npt

from ...errors import EngineError
from ...image.image import Image
from ...preprocess import Letterbox
from .image_upload import find_height, ImageUpload, UploadedImage
from .page_locks import PageLocks

__all__ = ['SharedUpload', 'SharedUploads']

# Unused buffers that are kept for the next images.
_SPARE = 3
_OPEN: dict[tuple[int, bool], SharedUploads] = {}
_LOCK = threading.Lock()

# Buffer of an image, and the event that follows its copy.
_Memory = tuple[ImageUpload, Any]


class SharedUpload:
    """
    Upload of a shared image; its memory is used again after the last reference to this object.

    :param image: the image in device memory.
    :param event: recorded after the copy.
    :param source: bytes of the image that the device reads.
    """

    __slots__ = ('__weakref__', 'event', 'image', 'source')

    def __init__(self, image: UploadedImage, event: Any, source: npt.NDArray[np.uint8]) -> None:
        self.image = image
        self.event = event
        self.source = source


class SharedUploads:
    """
    Memory for the shared images on one device; thread-safe.

    A shared image (:attr:`.Image.shared`) keeps its upload, and so do the batch slots until they
    have read it: no memory is written that a stream may still read. The context of the device must
    be current for every call.

    :param cuda: CUDA bindings, see :func:`.context.load_cuda`.
    :param mapped: see :class:`.image_upload.ImageUpload`.
    """

    def __init__(self, cuda: Any, *, mapped: bool) -> None:
        self._cuda = cuda
        self._mapped = mapped
        self._users = 0
        self._all: list[_Memory] = []
        # Appended to without the lock, in any thread, even while it is held: see _upload().
        self._unused: deque[_Memory] = deque()
        #: Memory that images arrive in.
        self.locks = PageLocks(mapped=mapped)
        self._lock = threading.Lock()

    @classmethod
    def join(cls, cuda: Any, device_id: int, *, mapped: bool) -> SharedUploads:
        """
        Join the other users of a device; the caller has to :meth:`leave`.

        No memory is allocated before an image is shared.
        """
        with _LOCK:
            uploads = _OPEN.setdefault((device_id, mapped), cls(cuda, mapped=mapped))
            uploads._users += 1
        return uploads

    def leave(self) -> None:
        """Free all memory after the last user."""
        with _LOCK:
            self._users -= 1
            if self._users:
                return
            for key in [key for key, uploads in _OPEN.items() if uploads is self]:
                del _OPEN[key]
        with self._lock:
            while self._all:
                self._all.pop()[0].free()
            self._unused.clear()
        self.locks.close()

    def get(self, image: Image, letterbox: Letterbox | None, stream: Any) -> SharedUpload:
        """
        Upload a shared image, unless another detector has; work in the stream waits for it.

        Detectors share an upload if they need all rows of the image, or the same ones.

        :param image: in one of KERNEL_ENCODINGS, with :attr:`.Image.shared`.
        :param letterbox: position of the image in the input; None if all its rows are needed.
        :return: to be kept until the stream has read the image.
        :raises EngineError: if the image is not shared, or the memory cannot be allocated.
        """
        if image.shared is None:
            raise EngineError('the image of a shared upload is not shared')
        key = (self, find_height(image, letterbox))
        upload: SharedUpload = image.shared.get(
            key, partial(self._upload, image, letterbox, stream)
        )
        stream.wait_for_event(upload.event)
        return upload

    def _upload(self, image: Image, letterbox: Letterbox | None, stream: Any) -> SharedUpload:
        """Queue the upload of an image in a stream."""
        memory = self._take()
        buffer, event = memory
        try:
            uploaded, work = buffer.begin(image, letterbox)
            if work is not None:
                work()
            buffer.send(stream)
            event.record(stream)
        except BaseException:
            # The copy may be in progress.
            stream.synchronize()
            self._unused.append(memory)
            raise
        upload = SharedUpload(uploaded, event, image.data)
        # Without CUDA calls: the thread of the last reference may have no context. Not at exit:
        # the driver frees everything then.
        weakref.finalize(upload, self._unused.append, memory).atexit = False
        return upload

    def _take(self) -> _Memory:
        """Take an unused buffer, or a new one; free those that are too many."""
        with self._lock:
            while len(self._unused) > _SPARE:
                surplus = self._unused.popleft()
                self._all.remove(surplus)
                surplus[0].free()
            if self._unused:
                return self._unused.pop()
            event = self._cuda.Event(self._cuda.event_flags.DISABLE_TIMING)
            self._all.append(
                (ImageUpload(self._cuda, mapped=self._mapped, locks=self.locks), event)
            )
            return self._all[-1]
