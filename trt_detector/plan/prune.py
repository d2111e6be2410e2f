# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Remove the least recently used plans."""

from __future__ import annotations

from collections import Counter
import contextlib
from pathlib import Path

from .entry import iterate_manifests, PlanEntry
from .key import PlanKey
from .lock import try_lock

__all__ = ['prune_plans']

# Different models often have the same file name ('best.onnx'): several networks of one name may
# each keep their plans, but a network that is retrained every day must not fill the disk.
_NETWORKS_PER_NAME = 4


def prune_plans(root: Path, key: PlanKey, keep: int) -> tuple[Path, ...]:
    """
    Remove old plans of the model of a key, the least recently used first.

    At most keep plans remain per network, and four times as many per model name. The plan of the
    key itself and a plan that another process is building are never removed.

    :param root: folder of the store.
    :param key: key whose model is pruned.
    :param keep: maximum number of plans per network.
    :return: paths of the removed plans.
    :raises OSError: if a folder cannot be read or written.
    """
    used = []
    for path, manifest in iterate_manifests(root):
        if manifest.key.model_name == key.model_name and manifest.key != key:
            # Another process may have removed it.
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


def _remove(entry: PlanEntry) -> bool:
    """Remove the files of an entry unless another process holds its lock; keep the lock file."""
    entry.lock_path.parent.mkdir(mode=0o700, exist_ok=True)
    with try_lock(entry.lock_path) as free:
        if not free:
            return False
        # The manifest first: a plan without manifest is never loaded.
        entry.manifest_path.unlink(missing_ok=True)
        for path in entry.directory.iterdir():
            path.unlink()
        entry.directory.rmdir()
    return True
