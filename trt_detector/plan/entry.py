# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The files of one plan key: the plan, its manifest and its lock."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path

from ..errors import PlanError
from ..trusted_files import (
    read_trusted,
    remove_leftovers,
    set_aside,
    UntrustedFileError,
    write_atomic,
)
from .key import PlanKey
from .manifest import Manifest

__all__ = ['PlanEntry', 'Rejection', 'iterate_manifests', 'slot_directories']

_DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Rejection:
    """
    Why a slot gives no plan.

    :param reason: one sentence, '' where there is simply no plan yet.
    """

    reason: str


class PlanEntry:
    """
    Where the plan of one key lies: <folder>/<model>-<hash of the key>/<name of the plan>.

    The name of a plan does not say its precision, shapes, TensorRT version or which folder the
    model came from. The sub-folder does, so that nodes that differ in any of them keep a plan
    each instead of overwriting one another's at every start.
    """

    def __init__(self, root: Path, key: PlanKey) -> None:
        self._key = key
        stem = f'{key.model_name}-{key.digest[:_DIGEST_DIGITS]}'
        self.directory = root / stem
        self.plan_path = self.directory / key.filename
        self.manifest_path = _manifest_path(self.plan_path)
        self.lock_path = root / 'locks' / f'{stem}.lock'

    def read(self) -> tuple[bytes, Manifest] | Rejection:
        """Return the plan and its manifest if each field and hash is right; changes nothing."""
        try:
            manifest, altered = Manifest.read_with_seal(read_trusted(self.manifest_path))
            faults = manifest.differences(self._key)
            if not faults and altered:
                faults = tuple(f'{name} of the manifest was altered' for name in altered)
            if faults:
                return Rejection('; '.join(faults))
            data = read_trusted(self.plan_path)
        except FileNotFoundError as error:
            return self._missing(error)
        except UntrustedFileError as error:
            return Rejection(f'refused: {error}')
        except PlanError as error:
            return Rejection(f'{self.manifest_path} is damaged: {error}')
        except OSError as error:
            return Rejection(f'{error.filename} cannot be read: {error.strerror}')
        fault = _content_fault(manifest, data)
        return Rejection(f'{self.plan_path} is damaged: {fault}') if fault else (data, manifest)

    def set_aside(self) -> tuple[Path, ...]:
        """
        Put away whatever is there and clean up after killed builds; call it with the lock held.

        :return: where the files went.
        :raises OSError: if the folder cannot be written.
        """
        if not self.directory.is_dir():
            return ()
        remove_leftovers(self.directory)
        # The manifest first: without one, no plan is loaded.
        moved = (set_aside(self.manifest_path), set_aside(self.plan_path))
        return tuple(path for path in moved if path is not None)

    def write(self, data: bytes, manifest: Manifest) -> None:
        """
        Store a plan; the manifest is its seal and comes last. Call it with the lock held.

        :raises OSError: if it cannot be stored; no part of it is left.
        """
        self.directory.mkdir(mode=0o700, exist_ok=True)
        try:
            write_atomic(self.plan_path, data)
            write_atomic(self.manifest_path, manifest.to_bytes())
        except OSError:
            # Half a pair only wastes the space that is short.
            self.plan_path.unlink(missing_ok=True)
            raise

    def mark_used(self) -> None:
        """Note that the plan was loaded just now, which pruning goes by."""
        # A plan in a folder that is read-only is never pruned: nothing to note there.
        with contextlib.suppress(OSError):
            os.utime(self.manifest_path)

    def _missing(self, error: FileNotFoundError) -> Rejection:
        """Tell a slot that was never filled from one that lost a file."""
        if error.filename == str(self.manifest_path) and not self.plan_path.exists():
            return Rejection('')
        return Rejection(f'{error.filename} is missing, as after an interrupted build')


def slot_directories(root: Path) -> list[Path]:
    """Return the folders of all slots in a store."""
    pattern = '*-' + '[0-9a-f]' * _DIGEST_DIGITS
    return [path for path in root.glob(pattern) if path.is_dir() and not path.is_symlink()]


def iterate_manifests(root: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield the path and content of each manifest in a store that can be trusted."""
    for directory in slot_directories(root):
        for path in directory.glob('*.engine.json'):
            # A file that vanishes or is damaged is no candidate; its own key's start reports it.
            with contextlib.suppress(OSError, PlanError):
                yield path, Manifest.from_bytes(read_trusted(path))


def _manifest_path(plan_path: Path) -> Path:
    """Return the path of a plan's manifest."""
    return plan_path.with_name(f'{plan_path.name}.json')


def _content_fault(manifest: Manifest, data: bytes) -> str:
    """Return what is wrong with a plan's bytes, '' for nothing."""
    if len(data) != manifest.plan_bytes:
        return f'plan_bytes was {manifest.plan_bytes}, is {len(data)}'
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.plan_sha256:
        return f'plan_sha256 was {manifest.plan_sha256[:12]}, is {digest[:12]}'
    return ''
