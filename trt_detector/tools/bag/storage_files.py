# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Find the files of a bag, also if its recorder was killed."""

from __future__ import annotations

from collections.abc import Sequence
import logging
from pathlib import Path
import re

from ...errors import BagError

__all__ = ['find_storage_files', 'get_remedy']

_LOG = logging.getLogger(__name__)

_SUFFIXES = ('.mcap', '.db3')


def find_storage_files(path: Path) -> tuple[Path, ...]:
    """
    Find the storage files of a bag, in the order of their numbers.

    :param path: folder of the bag, or one storage file.
    :raises BagError: if there are none, or they lack messages that are in another file.
    """
    if not path.exists():
        raise BagError(f'--bag {path} cannot be read: it does not exist')
    if path.suffix == '.bag':
        raise BagError(
            f'--bag {path} is a bag of ROS 1; convert it: rosbags-convert --src {path} --dst '
            f'{path.with_suffix("")}'
        )
    if path.name == 'metadata.yaml':
        raise BagError(f'--bag {path} cannot be read: name its folder, {path.parent}')
    files = sorted(path.iterdir(), key=_number_key) if path.is_dir() else [path]
    has_metadata = path.is_dir() and (path / 'metadata.yaml').is_file()
    found = tuple(file for file in files if _is_storage(file, compressed=has_metadata))
    if not has_metadata:
        _refuse_packed(path, files)
    if not found:
        named = ', '.join(file.name for file in files[:10]) or 'nothing'
        raise BagError(
            f'--bag {path} cannot be read: expected a folder with {" or ".join(_SUFFIXES)} files, '
            f'or such a file; found {named}'
        )
    if path.is_dir() and not has_metadata:
        _LOG.warning(
            '%s has no metadata.yaml: its recording was not finished; reading %s '
            '(ros2 bag reindex writes the metadata)',
            path,
            ', '.join(file.name for file in found),
        )
    for file in found:
        _check_journal(file)
    return found


def get_remedy(files: Sequence[Path]) -> str:
    """Write the advice for files that cannot be read."""
    last = files[-1]
    if last.suffix == '.mcap':
        saved = (
            'a recorder that was killed leaves an incomplete file: mcap recover '
            f'{last.name} -o recovered.mcap (https://mcap.dev/guides/cli) saves what is complete'
        )
    else:
        saved = (
            f'of a file that is damaged, sqlite3 {last} .dump | sed "s/^ROLLBACK.*/COMMIT;/" | '
            'sqlite3 recovered.db3 saves what can be read'
        )
    if not last.with_name('metadata.yaml').is_file():
        return f'; {saved}'
    return f'; ros2 bag reindex repairs the metadata of a bag; {saved}'


def _refuse_packed(path: Path, files: Sequence[Path]) -> None:
    """Refuse compressed files without metadata: their messages would be missing silently."""
    packed = [
        file for file in files if file.suffix == '.zstd' and _is_storage(file, compressed=True)
    ]
    if packed:
        commands = ' && '.join(f'zstd -d {file} -o {file.with_suffix("")}' for file in packed)
        raise BagError(
            f'--bag {path} cannot be read: {packed[0].name} is compressed, and no metadata.yaml '
            f'says how; name the folder of the bag, or if its recorder was killed, run: {commands}'
        )


def _is_storage(file: Path, *, compressed: bool) -> bool:
    """Tell whether a file holds messages; only metadata.yaml says how to decompress one."""
    # A pipe of that name would be waited for.
    is_regular = file.is_file()
    if compressed and file.suffix == '.zstd':
        file = file.with_suffix('')
    return file.suffix in _SUFFIXES and is_regular


def _number_key(file: Path) -> tuple[object, ...]:
    """Return a key that sorts bag_10 behind bag_9."""
    parts = re.split(r'(\d+)', file.name)
    return tuple((int(part), '') if part.isdigit() else (-1, part) for part in parts)


def _check_journal(file: Path) -> None:
    """Refuse an SQLite file whose last messages are still in its write-ahead log."""
    log = file.with_name(f'{file.name}-wal')
    if file.suffix == '.db3' and log.is_file() and log.stat().st_size:
        raise BagError(
            f'--bag {file} lacks messages that are in {log.name}, because its recorder is running '
            'or was killed; if it was killed, run: python3 -c "import sqlite3, sys; '
            f"sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')\" {file}"
        )
