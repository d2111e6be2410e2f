# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that keeps plans: load one that is still true, or build it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
import threading

from .key import DeviceKey, PlanKey
from .manifest import Manifest

__all__ = ['BuiltPlan', 'PlanStore', 'StoredPlan', 'default_cache_dir']


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """
    What a builder made.

    :param data: the serialized plan.
    :param precision: precision that was really built: 'fp32', 'fp16' or 'int8'.
    :param details: further facts for the manifest.
    """

    data: bytes
    precision: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """
    A plan to run.

    :param data: the serialized plan.
    :param manifest: what it is, None for a ready plan that nothing vouches for.
    :param path: its file, None where it could not be stored.
    :param from_cache: whether it was loaded rather than built.
    :param notes: sentences that the user has to see; they went to the log already.
    """

    data: bytes
    manifest: Manifest | None
    path: Path | None
    from_cache: bool
    notes: tuple[str, ...] = ()


def default_cache_dir() -> Path:
    """Return trt_detector in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    raise NotImplementedError


class PlanStore:
    """
    Keeps plans in a folder; several processes and threads may use one folder.

    :param directory: the folder; made when first needed, for its owner only.
    :param keep: most plans to keep of one network.
    """

    def __init__(self, directory: Path, *, keep: int = 4) -> None:
        raise NotImplementedError

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

        :param build: called at most once, by one process at a time.
        :param log: takes one sentence at a time.
        :param cancel: ends the wait for another process.
        :raises BuildCancelledError: if cancelled before the build.
        """
        raise NotImplementedError

    def check_writable(self) -> None:
        """
        Try what storing a plan needs.

        :raises PlanError: if the folder cannot be made or written, or too little space is left.
        """
        raise NotImplementedError

    def timing_cache_path(self, flavour: str, version: str, device: DeviceKey) -> Path:
        """Return the file of the builder's timing cache for a library and a device."""
        raise NotImplementedError

    def read_timing_cache(self, flavour: str, version: str, device: DeviceKey) -> bytes:
        """Return the stored timing cache, b'' where there is none that may be trusted."""
        raise NotImplementedError

    def write_timing_cache(
        self, flavour: str, version: str, device: DeviceKey, data: bytes
    ) -> None:
        """
        Store a timing cache atomically.

        :raises PlanError: if it cannot be written; nothing depends on it.
        """
        raise NotImplementedError
