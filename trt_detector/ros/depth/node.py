# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node that turns detections and depth images into 3D detections."""

from __future__ import annotations

from typing import Any

from ...depth.config import DepthConfig
from ..lifecycle.managed_node import ManagedNode
from ..parameters import RosParameters
from .diagnostics import DepthDiagnostics, DepthHealth
from .session import DepthSession

__all__ = ['Detections3DNode']

_PARAMETERS = RosParameters(DepthConfig)


class Detections3DNode(ManagedNode):
    """
    Lifecycle node that locates detections in 3D while it is active.

    :param name: name of the node.
    :param kwargs: passed to :class:`rclpy.node.Node`.
    """

    _health: DepthHealth

    def __init__(self, name: str = 'detections_3d', **kwargs: Any) -> None:
        super().__init__(name, _PARAMETERS, DepthHealth, **kwargs)
        self._diagnostics = DepthDiagnostics(self, self._health, self._read_period())
        self.start_up()

    def _configure(self) -> None:
        """Check the parameters and create the publishers."""
        config = _PARAMETERS.read(self)
        self._diagnostics.set_period(config.diagnostics_period)
        self._health.session = DepthSession(self, config, self._receiver, self._health.note_error)
        self._health.namesakes = self._find_namesakes()

    def _activate(self) -> None:
        """Subscribe."""
        session: DepthSession = self._get_session()
        if not self._health.namesakes:
            self._health.namesakes = self._find_namesakes()
        session.start()
        self.get_logger().info(
            f'locating the detections of {session.detections.name} in {session.depth.name}, '
            f'publishing {self.resolve_topic_name("~/detections")} in frame '
            f'{session.config.target_frame or "of the depth image"}'
        )

    def _deactivate(self) -> None:
        """Unsubscribe."""
        self._get_session().stop()

    def _free(self) -> None:
        """Close the session, if there is one."""
        session, self._health.session = self._health.session, None
        if session is not None:
            session.close()
