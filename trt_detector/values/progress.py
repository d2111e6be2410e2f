# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of a preparation that can take minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ['Progress', 'ProgressCallback']


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Progress of the preparation of an engine.

    :param phase: name of the current step, for people.
    :param fraction: 0 to 1 of the whole, None if unknown.
    :param elapsed_s: seconds since the preparation began.
    """

    phase: str
    fraction: float | None
    elapsed_s: float


ProgressCallback = Callable[[Progress], None]
