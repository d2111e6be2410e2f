# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Remove plans that were not used for longest."""

from __future__ import annotations

from collections import Counter
import contextlib
from pathlib import Path

from .entry import iterate_manifests, PlanEntry
from .key import PlanKey
from .lock import try_lock

__all__ = ['prune_plans']

# 'best.onnx' is the name of many people's models: several networks of one name may each keep
# their plans, but a network that is trained anew every day must not fill the disk.
_NETWORKS_PER_NAME = 4


def prune_plans(root: Path, key: PlanKey, keep: int) -> tuple[Path, ...]:
    """
    Remove old plans of a key's model, those unused for longest first.

    At most keep plans stay of one network, and four times as many of one model name. The plan of
    the key itself and one that another process is building stay in any case.

    :return: the plans removed.
    :raises OSError: if a folder cannot be read or written.
    """
    used = []
    for path, manifest in iterate_manifests(root):
        if manifest.key.model_name == key.model_name and manifest.key != key:
            # One that vanished meanwhile needs no pruning.
            with contextlib.suppress(FileNotFoundError):
                used.append((path.stat().st_mtime_ns, manifest.key))
    used.sort(key=lambda item: item[0], reverse=True)
    kept = Counter({key.model_sha256: 1})
    removed = []
    for _, other in used:
        full = kept[other.model_sha256] >= keep or kept.total() >= keep * _NETWORKS_PER_NAME
        if full and _remove(PlanEntry(root, other)):
            removed.append(PlanEntry(root, other).plan_path)
        else:
            kept[other.model_sha256] += 1
    return tuple(removed)


def _remove(slot: PlanEntry) -> bool:
    """Remove a slot's files unless another process holds it; its lock file stays for others."""
    slot.lock_path.parent.mkdir(mode=0o700, exist_ok=True)
    with try_lock(slot.lock_path) as free:
        if not free:
            return False
        # The manifest first: without one, no plan is loaded.
        slot.manifest_path.unlink(missing_ok=True)
        for path in slot.directory.iterdir():
            path.unlink()
        slot.directory.rmdir()
    return True
