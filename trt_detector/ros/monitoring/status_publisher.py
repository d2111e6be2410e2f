# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Publish statuses on /diagnostics, in every lifecycle state."""

from __future__ import annotations

from collections.abc import Mapping
import traceback

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from ..steady_timer import create_steady_timer

__all__ = ['StatusPublisher']

_LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
}


class StatusPublisher:
    """
    Publisher of the statuses that a subclass makes.

    The timer has its own callback group, so that a long transition does not silence it.

    :param node: creates the publisher and the timer.
    :param period_s: seconds between two messages.
    """

    def __init__(self, node: Node, period_s: float) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name().lstrip('/')
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = create_steady_timer(node, period_s, self._tick)

    def set_period(self, period_s: float) -> None:
        """Change the time between two messages."""
        period_ns = round(period_s * 1e9)
        if self._timer.timer_period_ns != period_ns:
            self._timer.timer_period_ns = period_ns

    def make_message(self) -> DiagnosticArray:
        """Create the message; rates and new errors are counted since the last call."""
        message = DiagnosticArray(status=self._make_statuses())
        message.header.stamp = self._node.get_clock().now().to_msg()
        return message

    def _make_statuses(self) -> list[DiagnosticStatus]:
        """Create the statuses."""
        raise NotImplementedError

    def _make_status(
        self, part: str, level: str, text: str, values: Mapping[str, str], hardware: str = ''
    ) -> DiagnosticStatus:
        """Create the status of one part of the node."""
        return DiagnosticStatus(
            level=_LEVELS[level],
            name=f'{self._name}: {part}',
            message=text,
            hardware_id=hardware,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )

    def _tick(self) -> None:
        """Publish a message; a failure must not end the executor."""
        try:
            self._publisher.publish(self.make_message())
        except Exception:  # noqa: BLE001 logged; the node goes on without diagnostics
            self._node.get_logger().error(
                f'diagnostics failed:\n{traceback.format_exc()}', throttle_duration_sec=10.0
            )
