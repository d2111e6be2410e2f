# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The note beside a plan that says what it was built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .key import PlanKey

__all__ = ['Manifest']


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a stored plan was built from and what it is.

    :param key: everything that decided the build.
    :param plan_sha256: of the plan file.
    :param plan_bytes: size of the plan file.
    :param precision: precision that was really built.
    :param created: time of the build, ISO 8601 with zone.
    :param build_seconds: how long it took.
    :param details: further facts of the builder.
    """

    key: PlanKey
    plan_sha256: str
    plan_bytes: int
    precision: str
    created: str
    build_seconds: float
    details: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Return the manifest's file."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """
        Read a manifest's file.

        :raises PlanError: if it is truncated, altered, of another format or mistyped.
        """
        raise NotImplementedError

    def differences(self, key: PlanKey) -> tuple[str, ...]:
        """Return one phrase a differing field, its name first: 'X was A, is B'."""
        raise NotImplementedError
