# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The node's state as its diagnostics see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .detection_flow import DetectionFlow

__all__ = ['Health']


@dataclass(slots=True)
class Health:
    """
    Written by the node, read by the diagnostics; each field is replaced as a whole.

    :param get_state: gives the label of the lifecycle state.
    :param flow: what exists from configure to cleanup, None outside.
    :param failure: why the last transition failed, '' since one succeeded.
    :param last_error: the last thing that went wrong, kept until another does.
    """

    get_state: Callable[[], str]
    flow: DetectionFlow | None = None
    failure: str = ''
    last_error: str = ''

    @property
    def state(self) -> str:
        """Return the label of the lifecycle state."""
        return self.get_state()

    def note_failure(self, text: str) -> None:
        """Keep why a transition failed."""
        self.failure = text
        self.last_error = text

    def note_error(self, text: str) -> None:
        """Keep what went wrong with an image."""
        self.last_error = text
