# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Plans that the user built elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PlanError
from .files import read_trusted
from .values import StoredPlan

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ['read_ready_plan']


def read_ready_plan(path: Path) -> StoredPlan:
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
