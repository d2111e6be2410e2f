# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Regular files: hashed while they are read, limited, and told from pipes and devices."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
from pathlib import Path
import platform
import re
import threading

import numpy as np
import pytest
from support.special_files import KINDS, make
from trt_detector.values.regular_file import _populate, open_regular, read_hashed, read_regular

MEBIBYTE = 1 << 20


def random_file(path: Path, size: int) -> bytes:
    """Write random bytes and return them."""
    data = np.random.default_rng(size).bytes(size)
    path.write_bytes(data)
    return data


@pytest.mark.parametrize(
    'size', [0, 1, MEBIBYTE, 4 * MEBIBYTE - 1, 4 * MEBIBYTE, 5 * MEBIBYTE + 3, 9 * MEBIBYTE]
)
def test_bytes_and_hash_are_those_of_the_file(size: int, tmp_path: Path) -> None:
    data = random_file(tmp_path / 'f', size)
    with open_regular(tmp_path / 'f') as file:
        found = read_hashed(file)
    assert found.data == data
    assert type(found.data) is bytes
    assert found.sha256 == hashlib.sha256(data).hexdigest()


def count_resident(address: int, size: int) -> int:
    """Count the resident pages of a part of this process, by the present bits of its page map."""
    with Path('/proc/self/pagemap').open('rb') as file:
        file.seek(address // mmap.PAGESIZE * 8)
        entries = np.frombuffer(file.read(size // mmap.PAGESIZE * 8), np.uint64)
    return int((entries >> np.uint64(63)).sum())


@pytest.mark.skipif(
    tuple(map(int, re.findall(r'\d+', platform.release())[:2])) < (5, 14),
    reason='the kernel takes memory page by page: 5.14 or later is needed',
)
def test_memory_is_taken_at_once_and_only_that_of_the_part() -> None:
    page = mmap.PAGESIZE
    with mmap.mmap(-1, 64 * page) as memory, memoryview(memory) as view:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        for begin, end, expected in ((8, 24, 16), (23, 24, 16), (30, 31, 17)):
            with view[begin * page : end * page] as part:
                _populate(part)
            assert count_resident(address, 64 * page) == expected
        # Neither what is before nor what follows is changed.
        view[40 * page - 1] = 1
        with view[40 * page + 5 : 42 * page + 5] as part:
            _populate(part)
        assert count_resident(address, 64 * page) == expected + 3
        assert bytes(view).strip(b'\0') == b'\1'


def test_the_hash_is_that_of_the_bytes_read_although_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / 'f'
    random_file(path, 16 * MEBIBYTE)
    stop = threading.Event()

    def change() -> None:
        with path.open('r+b') as file:
            number = 0
            while not stop.is_set():
                file.seek((number * 7919) % (16 * MEBIBYTE))
                file.write(bytes([number % 256]))
                file.flush()
                number += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(5):
            with open_regular(path) as file:
                found = read_hashed(file)
            assert hashlib.sha256(found.data).hexdigest() == found.sha256
    finally:
        stop.set()
        thread.join()


def test_a_file_that_shrinks_while_it_is_read_ends_there(tmp_path: Path) -> None:
    data = random_file(tmp_path / 'f', 8 * MEBIBYTE)

    class Shrunk:
        """File that ends earlier than its size said."""

        def __init__(self, number: int) -> None:
            self._number = number

        def fileno(self) -> int:
            return self._number

        def readinto(self, target: memoryview) -> int:
            left = 5 * MEBIBYTE + 7 - os.lseek(self._number, 0, os.SEEK_CUR)
            return os.readv(self._number, [target[:left]]) if left else 0

    with open_regular(tmp_path / 'f') as file:
        found = read_hashed(Shrunk(file.fileno()))  # type: ignore[arg-type]
    assert found.data == data[: 5 * MEBIBYTE + 7]
    assert found.sha256 == hashlib.sha256(found.data).hexdigest()


def test_a_failing_disk_ends_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_file(tmp_path / 'f', 8 * MEBIBYTE)
    reads = []

    class Failing:
        """File whose second read fails."""

        def __init__(self, number: int) -> None:
            self._number = number

        def fileno(self) -> int:
            return self._number

        def readinto(self, target: memoryview) -> int:
            reads.append(len(target))
            if len(reads) > 1:
                raise OSError(5, os.strerror(5))
            return os.readv(self._number, [target])

    before = threading.active_count()
    with open_regular(tmp_path / 'f') as file, pytest.raises(OSError, match='Input/output error'):
        read_hashed(Failing(file.fileno()))  # type: ignore[arg-type]
    assert threading.active_count() == before


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    data = random_file(tmp_path / 'f', 1000)
    assert read_regular(tmp_path / 'f', 1000) == data
    with pytest.raises(OSError, match='it has 1000 bytes; expected 999 or less'):
        read_regular(tmp_path / 'f', 999)
    # A sparse file takes no memory.
    with (tmp_path / 'g').open('wb') as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match=f'it has {1 << 40} bytes'):
        read_regular(tmp_path / 'g', 1000)


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path / 'f')
    reason = {'folder': 'Is a directory', 'socket': 'No such device'}
    with pytest.raises(OSError, match=reason.get(kind, 'it is a pipe, socket or device')):
        read_regular(path, 1000)
