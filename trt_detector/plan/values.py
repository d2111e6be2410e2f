# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A plan as its builder gives it and as the store gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .manifest import Manifest

__all__ = ['BuiltPlan', 'StoredPlan']


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
