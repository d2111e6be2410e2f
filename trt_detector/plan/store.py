# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that keeps plans: load one that is still true, or build it once."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import hashlib
import os
from pathlib import Path
import threading
from typing import TYPE_CHECKING

from ..errors import PlanError
from ..trusted_files import read_trusted, try_writing, write_atomic
from .build import PlanBuild
from .entry import PlanEntry, Rejection
from .key import DeviceKey, PlanKey
from .lock import hold_lock
from .manifest import BuiltPlan, Manifest, StoredPlan

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ['PlanStore', 'default_cache_dir', 'find_cache_dir', 'read_prebuilt_plan']

_MINIMUM_FREE_BYTES = 64 * 2**20


def default_cache_dir() -> Path:
    """
    Return trt_detector in the user's cache folder (XDG_CACHE_HOME, else ~/.cache).

    :raises PlanError: if the user has no home folder.
    """
    # The XDG specification: a relative path there is to be ignored.
    chosen = Path(os.environ.get('XDG_CACHE_HOME', ''))
    if not chosen.is_absolute():
        try:
            chosen = Path.home() / '.cache'
        except RuntimeError as error:
            raise PlanError(
                'this user has no home folder to keep plans in; set engine_cache_dir'
            ) from error
    return chosen / 'trt_detector'


def find_cache_dir(chosen: str) -> Path:
    """
    Return the folder for plans and what belongs to them.

    :param chosen: the user's, '' for :func:`default_cache_dir`.
    :raises PlanError: if that is needed and the user has no home folder.
    """
    return Path(chosen).expanduser() if chosen else default_cache_dir()


class PlanStore:
    """
    Keeps plans in a folder; several processes and threads may use one folder.

    :param directory: the folder; made when first needed, for its owner only.
    :param keep: most plans to keep of one network, at least 1.
    """

    def __init__(self, directory: Path, *, keep: int = 4) -> None:
        if keep < 1:
            raise ValueError(f'keep is {keep}; expected 1 or more')
        self._root = directory.expanduser().absolute()
        self._keep = keep

    def load_or_build(
        self,
        key: PlanKey,
        build: Callable[[], BuiltPlan],
        *,
        log: Callable[[str], None],
        cancel: threading.Event | None = None,
    ) -> StoredPlan:
        """
        Return the stored plan of a key, or build and store it.

        A folder that cannot be written or a full disk costs only the storing: the plan is then
        returned from memory, with a note.

        :param build: called at most once, and by one process at a time for a key.
        :param log: takes one sentence at a time.
        :param cancel: ends the wait for another process.
        :raises BuildCancelledError: if cancelled before the build.
        """
        slot = PlanEntry(self._root, key)
        # Without the lock first: each file is whole at any moment, and a folder that is
        # read-only, in a container image say, still serves its plans.
        found = slot.read()
        if not isinstance(found, Rejection):
            return _loaded(slot, found)
        session = PlanBuild(self._root, self._keep, slot, key, build, log)
        try:
            self.check_writable()
        except PlanError as error:
            return session.build_in_memory(f'{error}; the plan will be built at each start')
        with contextlib.ExitStack() as stack:
            wait = f'another process is building {slot.plan_path}; waiting for it'
            try:
                stack.enter_context(
                    hold_lock(slot.lock_path, cancel=cancel, on_wait=lambda: log(wait))
                )
            except OSError as error:
                return session.build_in_memory(f'{slot.lock_path} cannot be locked: {error}')
            # Another process may have built it meanwhile.
            found = slot.read()
            if not isinstance(found, Rejection):
                return _loaded(slot, found)
            return session.build_and_store(found)

    def check_writable(self, needed_bytes: int = _MINIMUM_FREE_BYTES) -> None:
        """
        Try what storing a plan needs.

        :param needed_bytes: free space to ask for.
        :raises PlanError: if the folder cannot be made or written, or too little space is left.
        """
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            try_writing(self._root)
            space = os.statvfs(self._root)
        except OSError as error:
            raise PlanError(
                f'plan folder {self._root} cannot be written: {error.strerror or error}; '
                'set engine_cache_dir to a folder of this user'
            ) from error
        free = space.f_bavail * space.f_frsize
        if free < needed_bytes:
            raise PlanError(
                f'plan folder {self._root} has {free >> 20} MiB free; expected '
                f'{needed_bytes >> 20} MiB or more; free some, or set engine_cache_dir'
            )

    def timing_cache_path(self, library: str, version: str, device: DeviceKey) -> Path:
        """Return the file of the builder's timing cache for a library and a device."""
        major, minor = device.compute_capability
        digest = hashlib.sha256(repr(device).encode()).hexdigest()[:8]
        name = f'{library}-{version}.cc_{major}.{minor}_sm_{device.sm_count}-{digest}.timing'
        return self._root / 'timing' / name

    def read_timing_cache(self, library: str, version: str, device: DeviceKey) -> bytes:
        """Return the stored timing cache, b'' where there is none that may be trusted."""
        # Nothing depends on a timing cache but the length of the build, and the next build
        # replaces one that is refused.
        with contextlib.suppress(OSError, PlanError):
            return read_trusted(self.timing_cache_path(library, version, device))
        return b''

    def write_timing_cache(
        self, library: str, version: str, device: DeviceKey, data: bytes
    ) -> None:
        """
        Store a timing cache atomically.

        :raises PlanError: if it cannot be written; nothing depends on it.
        """
        path = self.timing_cache_path(library, version, device)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, data)
        except OSError as error:
            raise PlanError(f'timing cache {path} cannot be written: {error}') from error


def _loaded(slot: PlanEntry, found: tuple[bytes, Manifest]) -> StoredPlan:
    """Return a plan that came from its slot."""
    slot.mark_used()
    data, manifest = found
    return StoredPlan(data=data, manifest=manifest, path=slot.plan_path, from_cache=True)


def read_prebuilt_plan(path: Path) -> StoredPlan:
    """
    Read a .engine or .plan file as it is, with a note that nothing vouches for it.

    :raises PlanError: if it cannot be read, is empty, or another user could write it.
    """
    try:
        data = read_trusted(path, follow_links=True)
    except OSError as error:
        raise PlanError(f'plan {path} cannot be read: {error.strerror or error}') from error
    if not data:
        raise PlanError(f'plan {path} is empty; expected a serialized TensorRT engine')
    note = (
        f'{path} is loaded as it is: no manifest vouches for the model, GPU, TensorRT version or '
        'precision it was built for, and a plan runs code; name the ONNX file instead to have the '
        'plan built and checked here'
    )
    return StoredPlan(data=data, manifest=None, path=path, from_cache=True, notes=(note,))
