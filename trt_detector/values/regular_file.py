# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Regular files: read with a limit, and hashed while they are read."""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from dataclasses import dataclass, field
import errno
from functools import cache
import hashlib
import io
import mmap
import os
from pathlib import Path
from queue import SimpleQueue
import stat
import threading

__all__ = ['HashedBytes', 'open_regular', 'open_unblocked', 'read_hashed', 'read_regular']

_CHUNK_BYTES = 512 << 10
# Below, starting a thread costs as much as it saves.
_THREADED_BYTES = 4 << 20
_MADV_POPULATE_WRITE = 23


@dataclass(frozen=True, slots=True, eq=False)
class HashedBytes:
    """
    Content of a file and its hash, which are of the same bytes.

    :param data: the bytes.
    :param sha256: of data, 64 hex digits.
    """

    data: bytes = field(repr=False)
    sha256: str


def open_unblocked(path: Path, *, follow_links: bool = True) -> io.FileIO:
    """
    Open a file of any kind to read it; never wait for the other end of a pipe.

    :param follow_links: whether path may be a symbolic link.
    :raises OSError: if it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    if not follow_links:
        flags |= os.O_NOFOLLOW
    return io.FileIO(os.open(path, flags), 'rb')


def open_regular(path: Path) -> io.FileIO:
    """
    Open a regular file to read it.

    :raises OSError: if it cannot be opened, or is a folder, pipe, socket or device.
    """
    file = open_unblocked(path)
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file
    file.close()
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, 'it is a pipe, socket or device, not a regular file', str(path))


def read_regular(path: Path, max_bytes: int) -> bytes:
    """
    Read a regular file of limited size.

    :param max_bytes: maximum size.
    :raises OSError: if it cannot be read, is not a regular file, or is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        # A file can grow while it is read.
        data = b'' if size > max_bytes else io.BufferedReader(file).read(max_bytes + 1)
    if size > max_bytes or len(data) > max_bytes:
        raise OSError(
            errno.EFBIG, f'it has {max(size, len(data))} bytes; expected {max_bytes} or less',
            str(path),
        )  # fmt: skip
    return data


def read_hashed(file: io.FileIO) -> HashedBytes:
    """
    Read an open file and hash it at the same time, in a second thread.

    Both use the same bytes in memory: nobody can change the file between hash and use. What is
    appended meanwhile is not read.

    :raises OSError: if it cannot be read.
    """
    digest = hashlib.sha256()
    size = os.fstat(file.fileno()).st_size
    if size < _THREADED_BYTES:
        data = file.readall()
        digest.update(data)
        return HashedBytes(data, digest.hexdigest())
    parts: SimpleQueue[memoryview | None] = SimpleQueue()

    def hash_parts() -> None:
        while (part := parts.get()) is not None:
            digest.update(part)
            part.release()

    thread = threading.Thread(target=hash_parts, name='hash')
    thread.start()
    # Neither bytes() fills its memory nor getvalue() copies it: each byte is written once.
    content = io.BytesIO(bytes(size))
    end = 0
    with content.getbuffer() as buffer:
        try:
            while end < size:
                with buffer[end : end + _CHUNK_BYTES] as target:
                    _populate(target)
                    count = file.readinto(target)
                if not count:
                    break
                parts.put(buffer[end : end + count])
                end += count
        finally:
            parts.put(None)
            thread.join()
    content.truncate(end)
    return HashedBytes(content.getvalue(), digest.hexdigest())


def _populate(part: memoryview) -> None:
    """
    Take memory that was not written yet from the kernel, all of it in one call.

    A fault per page would cost more than the copy of its bytes. Nothing depends on it: a kernel
    before 5.14 refuses.
    """
    madvise = _find_madvise()
    if madvise is not None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(part))
        # The first page may be that of the part before; the last one is left if it is shared.
        begin = address // mmap.PAGESIZE * mmap.PAGESIZE
        end = (address + len(part)) // mmap.PAGESIZE * mmap.PAGESIZE
        madvise(begin, end - begin, _MADV_POPULATE_WRITE)


@cache
def _find_madvise() -> Callable[[int, int, int], int] | None:
    """Find the function of the C library, None without."""
    try:
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return madvise
