# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Source of what the page shows."""

from __future__ import annotations

from typing import Any, Protocol

from ..frames import FrameStore
from ..views import NodeView

__all__ = ['Source']


class Source(Protocol):
    """
    Interface of a watcher of nodes; callable in any thread.

    :class:`trt_detector.dashboard.graph.watcher.Watcher` implements it.
    """

    frames: FrameStore
    domain_id: int

    def views(self) -> tuple[NodeView, ...]:
        """Create the views of all nodes, by name."""

    def has_picture(self, topic: str) -> bool:
        """Tell whether a topic is a debug image of a detector node."""

    def change_state(self, name: str, transition: str) -> None:
        """Request a lifecycle transition of a node."""

    def set_parameter(self, name: str, parameter: str, value: Any) -> None:
        """Set a parameter of a node."""
