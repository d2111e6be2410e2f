# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are written atomically, and read only if no other user can write them."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
import secrets
import stat
import tempfile

from .errors import PlanError
from .values.regular_file import HashedBytes, open_unblocked, read_hashed

__all__ = [
    'UntrustedFileError',
    'read_trusted',
    'read_trusted_hashed',
    'remove_leftovers',
    'set_aside',
    'try_writing',
    'write_atomic',
]

_TEMPORARY = '.partial'


class UntrustedFileError(PlanError):
    """A file that another user could write."""


def read_trusted(
    path: Path,
    *,
    follow_links: bool = False,
    private: bool = False,
    max_bytes: int | None = None,
) -> bytes:
    """
    Read a file that only its owner, this user or root, can write.

    The check is made on the open file, so that the file cannot be replaced in between.

    :param follow_links: whether path may be a symbolic link.
    :param private: whether it is a secret, which no other user may read either.
    :param max_bytes: maximum size, None for no limit.
    :raises UntrustedFileError: if another user could write it, it is no regular file, or it is
        larger than max_bytes.
    :raises OSError: if it cannot be read.
    """
    with _open_trusted(path, follow_links=follow_links) as file:
        status = os.fstat(file.fileno())
        if private and stat.S_IMODE(status.st_mode) & 0o077:
            raise UntrustedFileError(
                f'{path} has mode {stat.S_IMODE(status.st_mode):04o}: other users could read the '
                f'secret in it; run: chmod 600 {path}'
            )
        if max_bytes is None:
            return file.readall()
        data = io.BufferedReader(file).read(max_bytes + 1)
        if len(data) > max_bytes:
            raise UntrustedFileError(
                f'{path} has {status.st_size} bytes; expected {max_bytes} or less'
            )
        return data


def read_trusted_hashed(path: Path) -> HashedBytes:
    """
    Read and hash a file that only its owner, this user or root, can write; no symbolic link.

    :raises UntrustedFileError: if another user could write it, or it is no regular file.
    :raises OSError: if it cannot be read.
    """
    with _open_trusted(path, follow_links=False) as file:
        return read_hashed(file)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """
    Write a file atomically: after a crash at any moment it is the old or the new one, complete.

    :param mode: permissions of the file; by default only its owner reads it.
    :raises OSError: if it cannot be written; no part of it is left.
    """
    temporary = path.with_name(f'.{path.name}.{secrets.token_hex(8)}{_TEMPORARY}')
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        try:
            os.fchmod(descriptor, mode)
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def try_writing(directory: Path) -> None:
    """
    Write to a folder and leave nothing there, even if the process is killed.

    :raises OSError: if it cannot be written.
    """
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(b'trt_detector')
        file.flush()
        os.fsync(file.fileno())


def set_aside(path: Path) -> Path | None:
    """
    Rename a file that must not be loaded and keep it for inspection, replacing an older one.

    :return: its new path, None if there was no such file.
    :raises OSError: if it cannot be renamed.
    """
    target = path.with_name(f'{path.name}.set_aside')
    try:
        path.replace(target)
    except FileNotFoundError:
        return None
    return target


def remove_leftovers(directory: Path) -> None:
    """
    Remove the temporary files of killed writers; call it with the folder's lock held.

    :raises OSError: if the folder cannot be read or written.
    """
    for leftover in directory.glob(f'.*{_TEMPORARY}'):
        leftover.unlink(missing_ok=True)


def _open_trusted(path: Path, *, follow_links: bool) -> io.FileIO:
    """
    Open a file that only its owner, this user or root, can write.

    :raises UntrustedFileError: if another user could write it, or it is no regular file.
    :raises OSError: if it cannot be opened.
    """
    file = open_unblocked(path, follow_links=follow_links)
    try:
        _check_owner(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Raise UntrustedFileError unless only this user or root can write the file."""
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        raise UntrustedFileError(
            f'{path} is a folder, pipe, socket or device; name a regular file'
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise UntrustedFileError(
            f'{path} belongs to user {status.st_uid}, not to this user ({os.geteuid()}) or root: '
            'whoever writes a plan runs code here'
        )
    if mode & 0o022:
        raise UntrustedFileError(
            f'{path} has mode {mode:04o}: another user could write it, and whoever writes a plan '
            f'runs code here; if it is yours, run: chmod go-w {path}'
        )


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of data; one call of write(2) takes at most 2 GiB."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_directory(directory: Path) -> None:
    """Make a rename in a folder durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot do this, and order their renames themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
