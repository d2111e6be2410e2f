# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Result of comparing an INT8 engine with the full-precision model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ['Int8Outcome', 'Int8Verdict']


class Int8Outcome(Enum):
    """Outcome of the INT8 check."""

    PASSED = 'passed'
    REFUSED = 'refused'
    UNCHECKED = 'unchecked'


@dataclass(frozen=True, slots=True)
class Int8Verdict:
    """
    Verdict on an INT8 engine.

    :param outcome: REFUSED means that another precision runs in its place.
    :param report: one line for reports: the agreement, or the reason why there is none.
    :param warning: sentence for the user, '' if the engine runs as asked.
    """

    outcome: Int8Outcome
    report: str
    warning: str = ''
