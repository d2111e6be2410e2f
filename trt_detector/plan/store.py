# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Folder of built plans: load the plan of a key, or build and store it once."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import hashlib
import os
from pathlib import Path
import threading

from ..errors import PlanError
from ..model_info import is_onnx, split_plan_header
from ..trusted_files import read_trusted, try_writing, write_atomic
from ..values.user_path import expand_user
from .build import PlanBuild
from .entry import PlanEntry, Rejection
from .key import DeviceKey, PlanKey
from .lock import hold_lock
from .manifest import BuiltPlan, Manifest, StoredPlan
from .plan_hmac import PlanHmac

__all__ = [
    'PlanStore',
    'find_cache_dir',
    'read_plan_file',
    'read_prebuilt_plan',
]

_MINIMUM_FREE_BYTES = 64 * 2**20


def _default_cache_dir() -> Path:
    """
    Return the default plan folder: trt_detector in XDG_CACHE_HOME, or in ~/.cache.

    :raises PlanError: if the user has no home folder.
    """
    # The XDG specification ignores relative paths.
    chosen = Path(os.environ.get('XDG_CACHE_HOME', ''))
    if not chosen.is_absolute():
        try:
            chosen = Path.home() / '.cache'
        except RuntimeError as error:
            raise PlanError(
                'this user has no home folder for built plans; set engine_cache_dir'
            ) from error
    return chosen / 'trt_detector'


def find_cache_dir(chosen: str) -> Path:
    """
    Return the folder for plans and the files that belong to them.

    :param chosen: engine_cache_dir, '' for the one of this user.
    :raises PlanError: if chosen is '' and the user has no home folder.
    """
    return expand_user(chosen) if chosen else _default_cache_dir()


class PlanStore:
    """
    Store of plans in a folder that several processes and threads may share.

    :param directory: the folder; created on first use, accessible by its owner only.
    :param keep: maximum number of plans to keep per network, 1 or more.
    :param plan_hmac: signs manifests and refuses plans without a valid HMAC; None for neither.
    """

    def __init__(
        self, directory: Path, *, keep: int = 4, plan_hmac: PlanHmac | None = None
    ) -> None:
        if keep < 1:
            raise ValueError(f'keep is {keep}; expected 1 or more')
        self._root = expand_user(directory).absolute()
        self._keep = keep
        self._hmac = plan_hmac

    def load_or_build(
        self,
        key: PlanKey,
        build: Callable[[], BuiltPlan],
        *,
        log: Callable[[str], None],
        cancel: threading.Event | None = None,
    ) -> StoredPlan:
        """
        Load the plan of a key, or build and store it.

        If the folder cannot be written or the disk is full, the plan is built and returned with
        a note, but not stored.

        :param key: key of the plan.
        :param build: called at most once, and by one process at a time per key.
        :param log: function that logs one sentence.
        :param cancel: ends the wait for another process.
        :raises BuildCancelledError: if cancelled before the build.
        """
        entry = PlanEntry(self._root, key, self._hmac)
        # First without the lock: files are replaced atomically, and plans in a read-only folder
        # (e.g. of a container image) can be loaded.
        found = entry.read()
        if not isinstance(found, Rejection):
            return _loaded(entry, found)
        session = PlanBuild(self._root, self._keep, entry, key, build, log)
        try:
            self.check_writable()
        except PlanError as error:
            return session.build_in_memory(f'{error}; the plan will be built at each start')
        with contextlib.ExitStack() as stack:
            wait = f'another process is building {entry.plan_path}; waiting for it'
            try:
                stack.enter_context(
                    hold_lock(entry.lock_path, cancel=cancel, on_wait=lambda: log(wait))
                )
            except OSError as error:
                return session.build_in_memory(
                    f'{entry.lock_path} cannot be locked: {error}; the plan will be built at each '
                    'start; set engine_cache_dir to a local folder'
                )
            # Another process may have built it in the meantime.
            found = entry.read()
            if not isinstance(found, Rejection):
                return _loaded(entry, found)
            return session.build_and_store(found)

    def check_writable(self) -> None:
        """
        Check that a plan can be stored.

        :raises PlanError: if the folder cannot be created or written, or lacks free space.
        """
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            try_writing(self._root)
            space = os.statvfs(self._root)
        except OSError as error:
            in_the_way = isinstance(error, (FileExistsError, NotADirectoryError))
            reason = 'a file is in its place' if in_the_way else error.strerror or error
            raise PlanError(
                f'plan folder {self._root} cannot be written: {reason}; '
                'set engine_cache_dir to a folder of this user'
            ) from error
        free = space.f_bavail * space.f_frsize
        if free < _MINIMUM_FREE_BYTES:
            raise PlanError(
                f'plan folder {self._root} has {free >> 20} MiB free; expected '
                f'{_MINIMUM_FREE_BYTES >> 20} MiB or more; free some space, or set '
                'engine_cache_dir'
            )

    def timing_cache_path(self, library: str, version: str, device: DeviceKey) -> Path:
        """Return the path of the timing cache of a library and a device."""
        major, minor = device.compute_capability
        digest = hashlib.sha256(repr(device).encode()).hexdigest()[:8]
        name = f'{library}-{version}.cc_{major}.{minor}_sm_{device.sm_count}-{digest}.timing'
        return self._root / 'timing' / name

    def read_timing_cache(self, library: str, version: str, device: DeviceKey) -> bytes:
        """Read the stored timing cache, b'' if there is none that can be trusted."""
        # A timing cache only shortens the build, and the next build replaces it.
        with contextlib.suppress(OSError, PlanError):
            return read_trusted(self.timing_cache_path(library, version, device))
        return b''

    def write_timing_cache(
        self, library: str, version: str, device: DeviceKey, data: bytes
    ) -> None:
        """
        Store a timing cache atomically.

        :raises PlanError: if it cannot be written; the build does not depend on it.
        """
        path = self.timing_cache_path(library, version, device)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, data)
        except OSError as error:
            raise PlanError(f'timing cache {path} cannot be written: {error}') from error


def _loaded(entry: PlanEntry, found: tuple[bytes, Manifest]) -> StoredPlan:
    """Make the result for a plan that was loaded from its entry."""
    entry.mark_used()
    data, manifest = found
    return StoredPlan(data=data, manifest=manifest, path=entry.plan_path, from_cache=True)


def read_plan_file(path: Path) -> bytes:
    """
    Read the file of a plan that the user built.

    :raises PlanError: if it cannot be read, is empty or an ONNX file, or another user could write
        it.
    """
    try:
        data = read_trusted(path, follow_links=True)
    except OSError as error:
        raise PlanError(f'plan {path} cannot be read: {error.strerror or error}') from error
    if not data:
        raise PlanError(f'plan {path} is empty; expected a serialized TensorRT engine')
    if is_onnx(data[:64]):
        rename = '' if path.suffix == '.onnx' else 'rename it to .onnx, or '
        raise PlanError(
            f'{path} is an ONNX file by its content, not a TensorRT plan; {rename}name a plan, '
            'which build_engine makes of it'
        )
    return data


def read_prebuilt_plan(path: Path, plan_hmac: PlanHmac | None = None) -> StoredPlan:
    """
    Read a plan that the user built, with a note that it is not verified if there is no key.

    A header of Ultralytics before the plan is left out.

    :param plan_hmac: checks the HMAC file beside the plan, None for no check.
    :raises PlanError: if it cannot be read, is empty, another user could write it, or its HMAC is
        missing or wrong.
    """
    data = read_plan_file(path)
    if plan_hmac is not None:
        plan_hmac.check_plan(path, data)
    note = (
        f'{path} is loaded without verification: a prebuilt plan has no manifest that states '
        'its model, GPU, TensorRT version and precision, and a plan contains code; set '
        'model_path to the ONNX file to have the plan built and verified here'
    )
    notes = (note,) if plan_hmac is None else ()
    plan = split_plan_header(data)[1]
    return StoredPlan(data=plan, manifest=None, path=path, from_cache=True, notes=notes)
