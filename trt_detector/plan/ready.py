# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Plans that the user built elsewhere."""

from __future__ import annotations

from pathlib import Path

from .store import StoredPlan

__all__ = ['read_ready_plan']


def read_ready_plan(path: Path) -> StoredPlan:
    """
    Read a .engine or .plan file as it is, with a note that nothing vouches for it.

    :raises PlanError: if it cannot be read, is empty, or another user could write it.
    """
    raise NotImplementedError
