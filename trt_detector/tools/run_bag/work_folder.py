# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Folder beside the output, which holds everything until the output is complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import shutil
from typing import Any

from ...errors import BagError
from .journal import Journal

__all__ = ['WorkFolder']

_JOURNAL = 'journal.jsonl'


class WorkFolder:
    """
    Folder `OUTPUT.partial` with the journal and the unfinished output.

    The output appears under its own name only when it is complete.

    :param output: to write.
    :param bag: the bag that is read.
    :param overwrite: replace an output that exists, and drop an interrupted run that cannot be
        continued.
    :param settings: everything that decides the results.
    :raises BagError: if the output exists, or an interrupted run cannot be continued.
    :raises OSError: if the folder cannot be written.
    """

    def __init__(
        self, output: Path, bag: Path, *, overwrite: bool, settings: Mapping[str, Any]
    ) -> None:
        self.output = output
        self.path = output.with_name(f'{output.name}.partial')
        _check_output(output, bag, overwrite=overwrite)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self.journal = Journal(self.path / _JOURNAL, settings)
        except BagError as error:
            if not overwrite or isinstance(error.__cause__, BlockingIOError):
                raise
            (self.path / _JOURNAL).unlink()
            self.journal = Journal(self.path / _JOURNAL, settings)
        # Whatever a run before had written of the output is made again from the journal.
        for leftover in self.path.iterdir():
            if leftover.name != _JOURNAL:
                _remove(leftover)

    def publish(self, result: Path) -> None:
        """
        Move the complete output to its name, and remove the folder.

        :param result: file or folder in this folder.
        :raises OSError: if it cannot be moved; the folder stays.
        """
        if self.output.is_dir() or (self.output.exists() and result.is_dir()):
            self.output.rename(self.path / 'replaced')
        result.replace(self.output)
        self.journal.close()
        _remove(self.path)

    def close(self) -> None:
        """Close the journal; the folder stays for the next run if it has a result."""
        self.journal.close()
        if not self.journal.images and self.path.exists():
            _remove(self.path)


def _check_output(output: Path, bag: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists, and one that would replace what this tool did not write."""
    source, target = bag.resolve(), output.resolve()
    if target == source or source in target.parents or target in source.parents:
        raise BagError(
            f'--output {output} and --bag {bag}: one is inside the other; choose another --output'
        )
    if not output.exists():
        return
    if not overwrite:
        raise BagError(
            f'--output {output} exists; choose another one, or replace it with --overwrite'
        )
    if output.is_dir() and not (output / 'metadata.yaml').is_file():
        raise BagError(
            f'--output {output} is a folder without metadata.yaml, so no bag; it is not '
            'overwritten; choose another --output'
        )
    others = [
        file.name
        for file in (output.iterdir() if output.is_dir() else ())
        if file.name != 'metadata.yaml' and not {'.mcap', '.db3'} & set(file.suffixes)
    ]
    if others:
        raise BagError(
            f'--output {output} holds {", ".join(sorted(others)[:5])} beside a bag; it is not '
            'overwritten; choose another --output'
        )


def _remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
