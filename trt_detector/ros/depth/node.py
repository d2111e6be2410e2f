# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node that turns detections and depth images into 3D detections."""

from __future__ import annotations

from typing import Any

from rclpy.parameter import Parameter

from ...depth.config import DepthConfig
from ...errors import DetectorError
from ..lifecycle.managed_node import ManagedNode
from ..parameters import NodeParameters
from .diagnostics import DepthDiagnostics, DepthHealth
from .session import DepthSession

__all__ = ['Detections3DNode']

_PARAMETERS = NodeParameters(DepthConfig)


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
        session = self._get_session()
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

    def _apply_changes(self, parameters: list[Parameter]) -> None:
        """
        Check a change of parameters, and let it take effect.

        :raises DetectorError: if it is refused.
        """
        session = self._health.session
        if session is None:
            _PARAMETERS.check_changes(parameters, None)
            return
        session.apply(_PARAMETERS.check_changes(parameters, session.config))

    def _get_session(self) -> DepthSession:
        """Get the session of the configured node."""
        session = self._health.session
        if session is None:
            raise DetectorError('the node is not configured')
        return session
