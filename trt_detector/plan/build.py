# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Build the plan of one key and store it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
import hashlib
from pathlib import Path
import time

from ..errors import BuildError
from .entry import find_unusable_manifest, iterate_manifests, PlanEntry, Rejection
from .key import PlanKey
from .manifest import BuiltPlan, Manifest, StoredPlan
from .prune import prune_plans

__all__ = ['PlanBuild']


class PlanBuild:
    """
    Build of the plan of one key.

    :param root: folder of the store.
    :param keep: maximum number of plans to keep per network.
    :param entry: entry of the store that receives the plan.
    :param key: key of the plan.
    :param build: function that builds the plan.
    :param log: function that logs one sentence.
    """

    def __init__(
        self,
        root: Path,
        keep: int,
        entry: PlanEntry,
        key: PlanKey,
        build: Callable[[], BuiltPlan],
        log: Callable[[str], None],
    ) -> None:
        self._root = root
        self._keep = keep
        self._entry = entry
        self._key = key
        self._build = build
        self._log = log
        self._notes: list[str] = []

    def build_in_memory(self, reason: str) -> StoredPlan:
        """Build a plan and return it without storing it."""
        self._note(reason)
        built, manifest = self._run()
        return self._result(built, manifest, None)

    def build_and_store(self, rejection: Rejection) -> StoredPlan:
        """Build a plan and store it; the caller holds the lock of the entry."""
        try:
            self._explain(rejection)
        except OSError as error:
            return self.build_in_memory(
                f'{self._entry.directory} cannot be cleaned for a new plan: {error}'
            )
        built, manifest = self._run()
        try:
            self._entry.write(built.data, manifest)
        except OSError as error:
            self._note(
                f'the plan could not be stored as {self._entry.plan_path}: '
                f'{error.strerror or error}; it runs from memory, and the next start builds it '
                'again unless there is space in engine_cache_dir'
            )
            return self._result(built, manifest, None)
        self._prune()
        return self._result(built, manifest, self._entry.plan_path)

    def _explain(self, rejection: Rejection) -> None:
        """Log why a build is needed, and set aside the files in its place."""
        moved = self._entry.set_aside()
        name = self._key.model_name
        if rejection.reason:
            self._note(f'rebuilding {name}: {rejection.reason}')
            for path in moved:
                self._note(f'set aside: {path}')
            return
        nearest = _nearest_differences(self._root, self._key)
        if nearest:
            self._note(f'rebuilding {name}: {"; ".join(nearest)}')
            return
        unusable = find_unusable_manifest(self._root, name)
        if unusable:
            self._note(f'rebuilding {name}: {unusable}')
        else:
            self._log(f'building {name}: no plan of it is stored in {self._root} yet')

    def _run(self) -> tuple[BuiltPlan, Manifest]:
        """Build the plan and its manifest."""
        started = time.monotonic()
        built = self._build()
        seconds = time.monotonic() - started
        if not built.data:
            raise BuildError(f'the builder returned an empty plan of {self._key.model_name}')
        manifest = Manifest(
            key=self._key,
            plan_sha256=hashlib.sha256(built.data).hexdigest(),
            plan_bytes=len(built.data),
            built_precision=built.precision,
            layer_precision=built.layer_precision,
            created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
            build_seconds=round(seconds, 3),
            details=dict(built.details),
        )
        return built, self._entry.sign(manifest)

    def _prune(self) -> None:
        """Remove old plans; a failure is only logged."""
        try:
            for path in prune_plans(self._root, self._key, self._keep):
                self._log(f'removed the least recently used plan {path}')
        except OSError as error:
            self._log(f'old plans in {self._root} could not be removed: {error}')

    def _note(self, sentence: str) -> None:
        self._notes.append(sentence)
        self._log(sentence)

    def _result(self, built: BuiltPlan, manifest: Manifest, path: Path | None) -> StoredPlan:
        return StoredPlan(
            data=built.data,
            manifest=manifest,
            path=path,
            from_cache=False,
            notes=tuple(self._notes),
        )


def _nearest_differences(root: Path, key: PlanKey) -> tuple[str, ...]:
    """
    Return the differences between a key and the most similar stored plan, () if there is none.

    Only plans of a model with the same name or the same content are compared.
    """
    related = [
        manifest
        for _, manifest in iterate_manifests(root)
        if key.model_name == manifest.key.model_name
        or key.model_sha256 == manifest.key.model_sha256
    ]
    if not related:
        return ()
    newest_first = sorted(related, key=lambda manifest: manifest.created, reverse=True)
    return min((manifest.key.differences(key) for manifest in newest_first), key=len)
