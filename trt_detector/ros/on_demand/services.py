# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Services that pause the detection."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from ..monitoring.diagnostics import NodeHealth

__all__ = ['DemandServices']


class DemandServices:
    """
    Service ``~/set_enabled`` of a node, in every lifecycle state.

    :param node: creates the service.
    :param health: state of the node.
    """

    def __init__(self, node: Node, health: NodeHealth) -> None:
        self._node = node
        self._health = health
        node.create_service(
            SetBool,
            '~/set_enabled',
            self._answer_set_enabled,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def _answer_set_enabled(self, request: Any, response: Any) -> Any:
        """Set parameter enabled: it is the only state, and tools see it."""
        (result,) = self._node.set_parameters([Parameter('enabled', value=bool(request.data))])
        response.success, response.message = result.successful, result.reason
        if result.successful:
            response.message = 'detection is on' if request.data else 'detection is paused'
            if self._health.state != 'active':
                response.message += f'; the node is {self._health.state}'
        return response
