# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files of one plan key: the plan, its manifest and its lock."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import os
from pathlib import Path

from ..errors import PlanError
from ..trusted_files import (
    read_trusted,
    read_trusted_hashed,
    remove_leftovers,
    set_aside,
    UntrustedFileError,
    write_atomic,
)
from ..values.regular_file import HashedBytes
from .key import PlanKey
from .manifest import Manifest, MAXIMUM_MANIFEST_BYTES
from .plan_hmac import PlanHmac

__all__ = [
    'PlanEntry',
    'Rejection',
    'find_unusable_manifest',
    'iterate_manifests',
]

_DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Rejection:
    """
    Reason why an entry has no usable plan.

    :param reason: one sentence, '' if there is no plan yet.
    """

    reason: str


class PlanEntry:
    """
    Files of one key: <folder>/<model>-<hash of the key>/<name of the plan>.

    The file name of a plan tells the model and the GPU only. The hash in the name of the
    subfolder covers precision, shapes, TensorRT version and everything else, so that nodes with
    different settings do not overwrite the plan of each other.

    :param root: folder of the store.
    :param key: the key.
    :param plan_hmac: signs and checks manifests, None for plans without HMAC.
    """

    def __init__(self, root: Path, key: PlanKey, plan_hmac: PlanHmac | None = None) -> None:
        self._key = key
        self._hmac = plan_hmac
        stem = f'{key.model_name}-{key.digest[:_DIGEST_DIGITS]}'
        self.directory = root / stem
        self.plan_path = self.directory / key.filename
        self.manifest_path = _manifest_path(self.plan_path)
        self.lock_path = root / 'locks' / f'{stem}.lock'

    def read(self) -> tuple[bytes, Manifest] | Rejection:
        """Read the plan and its manifest, and compare both with the key; changes nothing."""
        try:
            manifest = _read_manifest(self.manifest_path)
            differences = manifest.key.differences(self._key)
            if differences:
                return Rejection('; '.join(differences))
            fault = self._hmac.find_fault(manifest) if self._hmac else ''
            if fault:
                return Rejection(f'{self.plan_path} is refused: {fault}')
            plan = read_trusted_hashed(self.plan_path)
        except FileNotFoundError as error:
            return self._missing(error)
        except UntrustedFileError as error:
            return Rejection(f'refused: {error}')
        except PlanError as error:
            return Rejection(f'{self.manifest_path} cannot be used: {error}')
        except OSError as error:
            return Rejection(f'{error.filename} cannot be read: {error.strerror}')
        fault = _content_fault(manifest, plan)
        if fault:
            return Rejection(f'{self.plan_path} is damaged: {fault}')
        return plan.data, manifest

    def sign(self, manifest: Manifest) -> Manifest:
        """Add the HMAC to a manifest if there is a key."""
        return self._hmac.sign(manifest) if self._hmac else manifest

    def set_aside(self) -> tuple[Path, ...]:
        """
        Rename existing files and remove those of killed builds; the caller holds the lock.

        :return: new paths of the files.
        :raises OSError: if the folder cannot be written.
        """
        if not self.directory.is_dir():
            return ()
        remove_leftovers(self.directory)
        # The manifest first: a plan without manifest is never loaded.
        moved = (set_aside(self.manifest_path), set_aside(self.plan_path))
        return tuple(path for path in moved if path is not None)

    def write(self, data: bytes, manifest: Manifest) -> None:
        """
        Write a plan, then its manifest; the caller holds the lock.

        :raises OSError: if it cannot be stored; no part of it is left.
        """
        self.directory.mkdir(mode=0o700, exist_ok=True)
        try:
            write_atomic(self.plan_path, data)
            write_atomic(self.manifest_path, manifest.to_bytes())
        except OSError:
            # A plan without manifest is never loaded, and the disk may be full.
            self.plan_path.unlink(missing_ok=True)
            raise

    def mark_used(self) -> None:
        """Set the time of last use, which decides the order of pruning."""
        # Plans in a read-only folder are never pruned.
        with contextlib.suppress(OSError):
            os.utime(self.manifest_path)

    def _missing(self, error: FileNotFoundError) -> Rejection:
        """Distinguish an entry without plan from one that lost a file."""
        if error.filename == str(self.manifest_path) and not self.plan_path.exists():
            return Rejection('')
        return Rejection(f'{error.filename} is missing; an earlier build was interrupted')


def _entry_directories(root: Path) -> list[Path]:
    """List the folders of all entries in a store."""
    pattern = '*-' + '[0-9a-f]' * _DIGEST_DIGITS
    return [path for path in root.glob(pattern) if path.is_dir() and not path.is_symlink()]


def iterate_manifests(root: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield path and content of every valid manifest in a store."""
    for directory in _entry_directories(root):
        for path in directory.glob('*.engine.json'):
            # Unreadable manifests are reported when their own key is loaded.
            with contextlib.suppress(OSError, PlanError):
                yield path, _read_manifest(path)


def find_unusable_manifest(root: Path, model_name: str) -> str:
    """
    Find a manifest of a model that cannot be used, e.g. one of an earlier version.

    :return: path, reason and remedy as one sentence, '' if there is none.
    """
    for directory in _entry_directories(root):
        if directory.name[: -_DIGEST_DIGITS - 1] != model_name:
            continue
        for path in directory.glob('*.engine.json'):
            try:
                _read_manifest(path)
            except PlanError as error:
                return f'{path} cannot be used: {error}; the folder {directory} can be removed'
            except OSError:
                continue
    return ''


def _read_manifest(path: Path) -> Manifest:
    """Read a manifest that no other user can write."""
    return Manifest.from_bytes(read_trusted(path, max_bytes=MAXIMUM_MANIFEST_BYTES))


def _manifest_path(plan_path: Path) -> Path:
    """Return the path of a plan's manifest."""
    return plan_path.with_name(f'{plan_path.name}.json')


def _content_fault(manifest: Manifest, plan: HashedBytes) -> str:
    """Compare the bytes of a plan with its manifest; return the difference, '' if none."""
    if len(plan.data) != manifest.plan_bytes:
        return f'plan_bytes was {manifest.plan_bytes}, is {len(plan.data)}'
    if plan.sha256 != manifest.plan_sha256:
        return f'plan_sha256 was {manifest.plan_sha256[:12]}, is {plan.sha256[:12]}'
    return ''
