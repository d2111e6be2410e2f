# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""State of a lifecycle node for its diagnostics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ['LifecycleHealth']


@dataclass(slots=True)
class LifecycleHealth:
    """
    State of a lifecycle node, written by the node and read by the diagnostics.

    Each field is replaced as a whole; a reader takes it once into a variable.

    :param get_state: reads the label of the lifecycle state.
    :param failure: reason why the last transition failed; '' after a successful one.
    :param last_error: newest error, kept until the next.
    :param namesakes: sentence about other nodes of the same name; '' if there were none.
    """

    get_state: Callable[[], str]
    failure: str = ''
    last_error: str = ''
    namesakes: str = ''

    @property
    def state(self) -> str:
        """Label of the lifecycle state."""
        return self.get_state()

    def note_failure(self, text: str) -> None:
        """Store why a transition failed."""
        self.failure = text
        self.last_error = text

    def note_error(self, text: str) -> None:
        """Store why an image failed."""
        self.last_error = text
