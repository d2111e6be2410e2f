# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""File of the results so far, from which an interrupted run continues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import fcntl
import json
import os
from pathlib import Path
import time
from typing import Any, BinaryIO

from ...errors import BagError
from .record import ImageRecord

__all__ = ['Journal', 'JournalEntry']

_SYNC_PERIOD_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class JournalEntry:
    """
    Results of one batch.

    :param end: number of the first message of the bag behind the batch.
    :param records: results of its images, malformed ones included, in the order of the bag.
    """

    end: int
    records: tuple[ImageRecord, ...]


class Journal:
    """
    Results of a run, appended batch by batch; a line that a kill has cut is dropped.

    A batch is the unit, because the outputs of a network can depend on the images beside one.

    :param path: file; created if it is missing.
    :param settings: everything that decides the results.
    :ivar engine: what the interrupted run noted with :meth:`set_engine`; empty if it is new.
    :ivar images: number of images with a result.
    :ivar end: number of the first message behind those that the interrupted run left.
    :raises BagError: if another process writes it, or it belongs to a run with other settings.
    :raises OSError: if it cannot be read or written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        self._file: BinaryIO = path.open('a+b')
        self._synced_s = 0.0
        self.engine: dict[str, Any] = {}
        self.images = 0
        self.end = 0
        self._replayed_bytes = 0
        try:
            self._lock()
            self._read(json.loads(json.dumps(settings)))
        except BaseException:
            self._file.close()
            raise

    def replay(self) -> Iterator[JournalEntry]:
        """Yield the results that the interrupted run left."""
        with self._path.open('rb') as file:
            while file.tell() < self._replayed_bytes:
                entry = _read_entry(json.loads(file.readline()))
                if entry is not None:
                    yield entry

    def set_engine(self, engine: Mapping[str, Any]) -> None:
        """
        Note what runs, once per run.

        :raises BagError: if the interrupted run had something else.
        """
        if self.engine:
            differs = _find_difference(self._path, self.engine, engine)
            if differs is not None:
                raise differs
            return
        self.engine = dict(engine)
        self._append({'engine': self.engine})

    def append(self, entry: JournalEntry) -> None:
        """Append the results of a batch; they survive the process at once."""
        self.images += len(entry.records)
        self._append({'end': entry.end, 'images': [r.to_json() for r in entry.records]})
        if time.monotonic() - self._synced_s > _SYNC_PERIOD_S:
            os.fsync(self._file.fileno())
            self._synced_s = time.monotonic()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _lock(self) -> None:
        """Refuse a second process; the lock ends with the process that holds it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BagError(
                f'another run_bag is writing to {self._path.parent}; wait until it ends, or '
                'choose another --output'
            ) from error

    def _read(self, settings: dict[str, Any]) -> None:
        """Read the entries and drop what is not complete; a new journal gets the settings."""
        self._file.seek(0)
        good = 0
        differs: BagError | None = None
        for line in self._file:
            try:
                value = json.loads(line) if line.endswith(b'\n') else None
                if value is None:
                    break
                if good == 0:
                    differs = _find_difference(self._path, value['settings'], settings)
                else:
                    self._take(value)
            except (ValueError, KeyError, TypeError):
                break
            good += len(line)
        if differs is not None and self.images:
            raise differs
        if differs is not None:
            # Nothing would be lost.
            good, self.engine = 0, {}
        self._file.truncate(good)
        self._replayed_bytes = good
        if good == 0:
            self._append({'settings': settings})

    def _take(self, value: Any) -> None:
        """Take over one line."""
        if 'engine' in value:
            self.engine = value['engine']
        else:
            entry = _read_entry(value)
            if entry is not None:
                self.images += len(entry.records)
                self.end = entry.end

    def _append(self, value: Any) -> None:
        """Write a line."""
        self._file.write(json.dumps(value, separators=(',', ':')).encode() + b'\n')
        self._file.flush()


def _read_entry(value: Any) -> JournalEntry | None:
    """Read a line; None if it holds no results."""
    if 'images' not in value:
        return None
    return JournalEntry(value['end'], tuple(map(ImageRecord.from_json, value['images'])))


def _find_difference(
    path: Path, before: Mapping[str, Any], now: Mapping[str, Any]
) -> BagError | None:
    """Return the error for the first value in which an interrupted run differs, or None."""
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            error = _find_difference(path, old, new)
            if error is not None:
                return error
        elif old != new:
            return BagError(
                f'{path.parent} holds an interrupted run with another {name}: {old!r}, now '
                f'{new!r}; continue it with the same options, or start again with --overwrite'
            )
    return None
